#!/usr/bin/python3
"""Measures the evidence in the rows of `bgdet score` on made cards, where it is known where each defect is to be seen.

    labelled.py --data DIR --out MADE
    bgdet score --format jsonl -o rows.jsonl MADE/
    evidence.py --made MADE --rows rows.jsonl [--sheet sheet.png]

For each reason, of the cards that show it: `named`, the share whose row has evidence for it; `hit`, the share of those whose
evidence covers the truth with an IoU of 0.3 or more (the union of its boxes against the union of the true ones); `found`, the
share of the true boxes that one box of the evidence matches with an IoU of 0.3. --sheet draws cards, true boxes thin and white,
evidence in the reason's colour, misses first.
"""
from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from regions import Region
from synth import DEFECTS, REGION_COLOURS

LEVEL = 0.3  # the IoU from which on a region counts as found
GRID = 128  # cells a side for the union of boxes


def covered(boxes: list[Region]) -> np.ndarray:
    grid = np.zeros((GRID, GRID), bool)
    for left, top, right, bottom in boxes:
        grid[int(top * GRID):int(np.ceil(bottom * GRID)), int(left * GRID):int(np.ceil(right * GRID))] = True
    return grid


def iou(first: list[Region], second: list[Region]) -> float:
    a, b = covered(first), covered(second)
    return float((a & b).sum() / max(1, (a | b).sum()))


def evidence(row: dict) -> dict[str, list[Region]]:
    found: dict[str, list[Region]] = {}
    for region in row.get("evidence", []):
        found.setdefault(region["reason"], []).append(tuple(region["box"]))
    return found


def draw(made: Path, cards: list[tuple[str, str, list[Region], list[Region], float]], path: Path) -> None:
    columns, cell = 10, (150, 200)
    sheet = Image.new("RGB", (columns * cell[0], -(-len(cards) // columns) * cell[1]), (215, 215, 215))
    for i, (name, defect, true, found, overlap) in enumerate(cards):
        image = Image.open(made / name).convert("RGB")
        image.thumbnail((140, 175))
        pen = ImageDraw.Draw(image)
        for boxes, colour, width in ((found, REGION_COLOURS[defect], 2), (true, "black", 3), (true, "white", 1)):
            for box in boxes:
                pen.rectangle([v * (side - 1) for v, side in zip(box, image.size * 2)], outline=colour, width=width)
        x, y = i % columns * cell[0] + 4, i // columns * cell[1] + 4
        sheet.paste(image, (x, y))
        ImageDraw.Draw(sheet).text((x, y + 178), f"{defect} {overlap:.2f}", fill=(0, 0, 0))
    sheet.save(path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--made", type=Path, required=True, help="the folder of labelled.py")
    parser.add_argument("--rows", type=Path, required=True)
    parser.add_argument("--sheet", type=Path)
    args = parser.parse_args()
    truth = json.loads((args.made / "regions.json").read_text())
    rows = {Path(row["id"]).name: evidence(row) for row in map(json.loads, args.rows.read_text().splitlines())
            if row["status"] == "ok"}
    drawn = []
    print("| reason | cards that show it | named | hit | found |\n|---|---|---|---|---|")
    for defect in DEFECTS:
        shown = {name: where[defect] for name, where in truth.items() if where.get(defect) and name in rows}
        named = {name: rows[name][defect] for name in shown if defect in rows[name]}
        overlap = {name: iou(shown[name], boxes) for name, boxes in named.items()}
        boxes = [(name, box) for name in named for box in shown[name]]
        matched = [any(iou([box], [other]) >= LEVEL for other in named[name]) for name, box in boxes]
        hits = [value >= LEVEL for value in overlap.values()]
        print(f"| {defect} | {len(shown)} | {len(named) / max(1, len(shown)):.0%} | {np.mean(hits or [0]):.0%} | "
              f"{np.mean(matched or [0]):.0%} of {len(boxes)} |")
        ordered = sorted(overlap, key=overlap.get)
        looked_at = ordered[:15] + ordered[15::len(ordered) // 5 + 1]  # the worst, and a few of the others
        drawn += [(name, defect, shown[name], named[name], overlap[name]) for name in looked_at]
    if args.sheet:
        draw(args.made, drawn, args.sheet)


if __name__ == "__main__":
    main()
