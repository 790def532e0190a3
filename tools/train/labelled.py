#!/usr/bin/python3
"""Writes labelled cards for `bgdet eval`: cards that nobody trained on, as files with a labels.csv.

    labelled.py made --data DIR --out DIR [--cards 2000]     DIR/00000.jpg ... and DIR/labels.csv: made cards of unseen products
    labelled.py real --data DIR --out FILE.csv               the real pictures of the same DIR, named from it (eval --root DIR)

Real pictures: clean photos of the held-out shops as they are, and real cards with text, colours, props and collages. Nobody has
told their reasons apart, so those columns are empty; their group is people, beauty, goods, or cards for the defective ones.
"""
from __future__ import annotations

import argparse
import csv
import multiprocessing
from pathlib import Path

from PIL import Image

from products import HELD_OUT_REPOS, load, read_index
from synth import DEFECTS, Synth

HEADER = ("file", "clean", *DEFECTS, "group")
REAL_DEFECTIVE = {"real_card_defective", "ai_composed_card"}

synth: Synth  # of this process and its forked workers
folder: Path


def write_card(index: int) -> list[object]:
    """The card's file as it was published, JPEG, WebP or PNG, and its row."""
    card, published = synth.published(index)
    name = f"{index:05}.{published.extension}"
    if isinstance(published.content, Image.Image):
        published.content.save(folder / name)
    else:
        (folder / name).write_bytes(published.content)
    defective, *reasons = card.labels()
    return [name, int(not defective), *map(int, reasons), card.group]


def write_made(data: Path, out: Path, count: int, seed: int) -> list[list[object]]:
    global synth, folder
    folder = out
    folder.mkdir(parents=True, exist_ok=True)
    synth = Synth(*load(data, validation=True), seed=seed)
    with multiprocessing.Pool() as pool:
        return pool.map(write_card, range(count), chunksize=32)


def real_rows(data: Path) -> list[list[object]]:
    rows = []
    for row in read_index(data):
        if row["kind"] == "clean" and row["source_repo"] in HELD_OUT_REPOS and row["file"].startswith("clean/"):
            rows.append([row["file"], 1, 0, 0, 0, 0, 0, row["file"].split("/")[1]])
        elif row["kind"] in REAL_DEFECTIVE:
            rows.append([row["file"], 0, "", "", "", "", "", "cards"])
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kind", choices=("made", "real"))
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--cards", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=20261124, help="train.py's and one more: the cards that it measures on")
    args = parser.parse_args()
    if args.kind == "made":
        rows, path = write_made(args.data, args.out, args.cards, args.seed), args.out / "labels.csv"
    else:
        rows, path = real_rows(args.data), args.out
    with open(path, "w", newline="", encoding="utf-8") as file:
        csv.writer(file, lineterminator="\n").writerows([HEADER, *rows])
    print(f"{path}: {len(rows)} cards")


if __name__ == "__main__":
    main()
