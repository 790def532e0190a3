#!/usr/bin/python3
"""Writes made cards of unseen products as files, for `bgdet eval` and evidence.py: cards that nobody trained on.

    labelled.py --data DIR --out DIR [--cards 2000]     DIR/00000.jpg ..., DIR/labels.csv, and DIR/regions.json:
                                                        {file: {defect: [[left, top, right, bottom], ...]}}
"""
from __future__ import annotations

import argparse
import csv
import json
import multiprocessing
from pathlib import Path

from PIL import Image

from products import load
from regions import Region
from synth import DEFECTS, Synth

HEADER = ("file", "clean", *DEFECTS, "group")

synth: Synth  # of this process and its forked workers
folder: Path


def write_card(index: int) -> tuple[list[object], dict[str, list[Region]]]:
    """The card's file as it was published, JPEG, WebP or PNG; its row, and its regions."""
    card, published = synth.published(index)
    name = f"{index:05}.{published.extension}"
    if isinstance(published.content, Image.Image):
        published.content.save(folder / name)
    else:
        (folder / name).write_bytes(published.content)
    defective, *reasons = card.labels()
    return [name, int(not defective), *map(int, reasons), card.group], card.regions()


def main() -> None:
    global synth, folder
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--renders", type=Path, help="the folder of render.py: its products join")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--cards", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=20261125, help="no other set's: no choice was made on them")
    args = parser.parse_args()
    folder = args.out
    folder.mkdir(parents=True, exist_ok=True)
    synth = Synth(*load(args.data, True, args.renders), seed=args.seed)
    with multiprocessing.Pool() as pool:
        rows, regions = zip(*pool.map(write_card, range(args.cards), chunksize=32))
    with open(folder / "labels.csv", "w", newline="", encoding="utf-8") as file:
        csv.writer(file, lineterminator="\n").writerows([HEADER, *rows])
    (folder / "regions.json").write_text(json.dumps({row[0]: where for row, where in zip(rows, regions)}) + "\n")
    print(f"{folder / 'labels.csv'}: {len(rows)} cards")


if __name__ == "__main__":
    main()
