#!/usr/bin/python3
"""Measures the evidence in the rows of `bgdet score` on made cards, where it is known where each defect is to be seen.

    labelled.py --data DIR --out MADE
    bgdet score --format jsonl -o rows.jsonl MADE/
    evidence.py --made MADE --rows rows.jsonl [--sheet sheet.png]

For each reason, of the cards that show it somewhere: `hit`, the share whose evidence covers the truth with an IoU of 0.3 or
more (the union of its boxes against the union of the true ones); `of the named`, the same of those cards whose rows have
evidence for the reason; `found`, the share of the true boxes that one box of the evidence matches with an IoU of 0.3; `frame`,
the `hit` of a box around the whole card: what it takes no evidence to reach. `false`: of the rows with evidence for the
reason, those whose card does not have it. --sheet draws cards, true boxes white, evidence in the reason's colour, misses first.
What is a region at all (how dark is not white, how small is nothing, how deep a strip) is the same rule on both sides: the
figures say how well regions are found, not whether people would draw them so.
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
    print("| reason | cards | hit | of the named | found | frame | false |\n|---|---|---|---|---|---|---|")
    for defect in DEFECTS:
        shown = {name: where[defect] for name, where in truth.items() if where.get(defect) and name in rows}
        nowhere = sum(where.get(defect) == [] for where in truth.values())
        overlap = {name: iou(boxes, rows[name].get(defect, [])) for name, boxes in shown.items()}
        named = [name for name in shown if defect in rows[name]]
        false = [defect not in truth[name] for name in rows if defect in rows[name]]
        boxes = [(name, box) for name in shown for box in shown[name]]
        matched = [any(iou([box], [other]) >= LEVEL for other in rows[name].get(defect, [])) for name, box in boxes]
        frame = [iou(boxes, [(0, 0, 1, 1)]) >= LEVEL for boxes in shown.values()]
        hit = [overlap[name] >= LEVEL for name in shown]
        of_named = [overlap[name] >= LEVEL for name in named]
        print(f"| {defect} | {len(shown)}{f' (and {nowhere} without a region)' if nowhere else ''} | {np.mean(hit):.0%} | "
              f"{np.mean(of_named):.0%} of {len(named)} | {np.mean(matched):.0%} of {len(boxes)} | {np.mean(frame):.0%} | "
              f"{np.mean(false):.0%} of {len(false)} |")
        ordered = sorted(named, key=overlap.get)
        looked_at = ordered[:15] + ordered[15::len(ordered) // 5 + 1]  # the worst, and a few of the others
        drawn += [(name, defect, shown[name], rows[name][defect], overlap[name]) for name in looked_at]
    if args.sheet:
        draw(args.made, drawn, args.sheet)


if __name__ == "__main__":
    main()
