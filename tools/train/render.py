#!/usr/bin/python3
"""Draws beauty products with POV-Ray, as a studio would photograph them: one product a picture, cut out, with alpha.

    render.py --out DIR --count 400 --sheet sheet.png

A picture depends on the seed and its number alone; one that is there already is not drawn again.
"""
from __future__ import annotations

import argparse
import csv
import functools
import multiprocessing
import os
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from canvas import chance, weighted
from lettering import font_files
from package import SHAPES, Shape, look, pose
from studio import photograph, scene


@dataclass(frozen=True)
class Item:
    """One picture to be made."""

    product: int
    view: int
    shape: Shape

    @property
    def file(self) -> str:
        return f"{self.shape.__name__}_{self.product:04}_{self.view}.png"


def items(seed: int, count: int) -> Iterator[Item]:
    """Two or three views of one product after another."""
    rng, made, product = np.random.default_rng(seed), 0, 0
    while made < count:
        shape, views = weighted(rng, SHAPES), min(int(rng.integers(2, 4)), count - made)
        yield from (Item(product, view, shape) for view in range(views))
        made, product = made + views, product + 1


def make(out: Path, seed: int, item: Item) -> None:
    if (out / item.file).exists():
        return
    rng = np.random.default_rng((seed, item.product, item.view + 1))
    # Every view starts from the product's own numbers, so that its form stays; half of the further ones come in another colour.
    own = np.random.default_rng((seed, item.product, 0))
    colours = look(own)
    if item.view and chance(rng, 0.5):
        colours = look(rng)
    parts = item.shape(own, colours)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        text, size = scene(rng, parts, pose(rng, item.shape), folder)
        (folder / "scene.pov").write_text(text)
        picture = photograph(folder, size, clear=any(part.clear for part in parts))
    unfinished = out / f".{item.file}"
    picture.save(unfinished, "PNG")
    os.replace(unfinished, out / item.file)


def write_index(out: Path, made: Sequence[Item]) -> None:
    with open(out / "INDEX.csv", "w", newline="", encoding="utf-8") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(("file", "source_repo", "kind", "product_key"))
        table.writerows((item.file, "rendered", "cutout_render", f"{item.shape.__name__}_{item.product:04}") for item in made)


def contact_sheet(out: Path, made: Sequence[Item], columns: int = 15) -> Image.Image:
    sheet = Image.new("RGB", (columns * 100, -(-len(made) // columns) * 130), (255, 255, 255))
    for number, item in enumerate(made):
        picture = Image.open(out / item.file)
        picture.thumbnail((94, 124))
        sheet.paste(picture, (number % columns * 100 + 3, number // columns * 130 + 3), picture)
    return sheet


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--count", type=int, default=400)
    parser.add_argument("--seed", type=int, default=20261123)
    parser.add_argument("--sheet", type=Path, help="all of them on one picture, to be looked at")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    wanted = list(items(arguments.seed, arguments.count))
    font_files("en")  # without fonts, say so here: a pool never hears of a worker that exits
    with multiprocessing.Pool() as pool:
        try:
            for done, _ in enumerate(pool.imap(functools.partial(make, arguments.out, arguments.seed), wanted), 1):
                print(f"\r{done} of {len(wanted)}", end="", flush=True)
        except (OSError, RuntimeError) as error:
            raise SystemExit(f"\n{error}") from None
    print()
    write_index(arguments.out, wanted)
    if arguments.sheet:
        contact_sheet(arguments.out, wanted).save(arguments.sheet)


if __name__ == "__main__":
    main()
