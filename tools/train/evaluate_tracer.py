#!/usr/bin/python3
"""Measures a segmenter on made cards of unseen products, and draws what it cuts so that one can look.

    evaluate_tracer.py --data DIR --model tracer-te0.pth --made masks-validation.npz [--sheet made.png] [--photos real.png]

Mean IoU (mask at 0.5, per card), mean absolute error (soft mask), and the F-measure with beta^2 = 0.3 as the literature on
salient objects has it: at 0.5, and the best of 255 thresholds; both from precision and recall averaged over the cards.
--sheet shows of made cards, worst first within each kind: card | true mask | predicted mask | the background that is left.
--photos shows pictures as shops publish them, of which no true mask exists: card | predicted mask | background left.
"""
from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from products import picture
from synth import DEFECTS, SEGMENTER_SIZE
from tracer import Tracer, load_tracer, predict

BETA2 = 0.3
EMPTY = 0.002  # a true mask of less than this share of the card (text or another object over all of it) isn't measured


def iou(predicted: np.ndarray, true: np.ndarray) -> np.ndarray:
    """Of each pair of boolean masks."""
    both, any_ = (predicted & true).sum((1, 2)), (predicted | true).sum((1, 2))
    return both / np.maximum(any_, 1)


def f_measures(predicted: np.ndarray, true: np.ndarray) -> np.ndarray:
    """At the thresholds 1/255 .. 1."""
    levels = (predicted * 255).round().astype(np.uint8)
    precision, recall = np.zeros(255), np.zeros(255)
    for p, t in zip(levels, true):
        chosen = np.bincount(p.ravel(), minlength=256)[::-1].cumsum()[-2::-1]  # pixels at or above 1, 2 .. 255
        hits = np.bincount(p[t], minlength=256)[::-1].cumsum()[-2::-1]
        precision += hits / np.maximum(chosen, 1)
        recall += hits / t.sum()
    precision, recall = precision / len(true), recall / len(true)
    return (1 + BETA2) * precision * recall / np.maximum(BETA2 * precision + recall, 1e-9)


def measure(predicted: np.ndarray, masks: np.ndarray, labels: np.ndarray) -> dict[str, object]:
    """`masks` as bytes; `labels` as Synth makes them. Nothing is averaged over a kind that has no card."""
    there = (masks >= 128).mean((1, 2)) > EMPTY
    predicted, masks, labels = predicted[there], masks[there], labels[there]
    true = masks >= 128
    each, f = iou(predicted >= 0.5, true), f_measures(predicted, true)
    kinds = {"clean": labels[:, 0] == 0} | {name: labels[:, i + 1] == 1 for i, name in enumerate(DEFECTS)}
    return {"cards": len(true), "mean_iou": round(float(each.mean()), 4),
            "mae": round(float(np.abs(predicted - masks / 255.0).mean()), 4),
            "f_max": round(float(f.max()), 4), "f_at_half": round(float(f[127]), 4),
            "share_iou_above_0.9": round(float((each > 0.9).mean()), 4),
            "mean_iou_per_kind": {name: round(float(each[kind].mean()), 4) for name, kind in kinds.items() if kind.any()}}


def without_object(card: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """The background that is left: composited on white with alpha = 1 - mask."""
    alpha = 1 - mask[..., None]
    return (card * alpha + 255 * (1 - alpha)).round().astype(np.uint8)


def grey(mask: np.ndarray) -> np.ndarray:
    return np.repeat((mask * 255).round().astype(np.uint8)[..., None], 3, axis=2)


def draw(rows: list[tuple[list[np.ndarray], str]], columns: int, path: Path) -> None:
    """Each row's pictures side by side with its caption, several rows to a line."""
    height, width = rows[0][0][0].shape[:2]
    cell = (len(rows[0][0]) * (width + 2) + 10, height + 18)
    sheet = Image.new("RGB", (columns * cell[0], -(-len(rows) // columns) * cell[1]), (215, 215, 215))
    for i, (pictures, caption) in enumerate(rows):
        x, y = i % columns * cell[0] + 4, i // columns * cell[1] + 2
        for k, picture in enumerate(pictures):
            sheet.paste(Image.fromarray(picture), (x + k * (width + 2), y))
        ImageDraw.Draw(sheet).text((x, y + height + 2), caption, fill=(0, 0, 0))
    sheet.save(path)


def draw_made(cards: np.ndarray, masks: np.ndarray, labels: np.ndarray, predicted: np.ndarray, path: Path) -> None:
    """Of every kind: the worst four, four at random and the best two."""
    each = iou(predicted >= 0.5, masks >= 128)
    rows = []
    for name in ("clean", *DEFECTS):
        of_kind = labels[:, 0] == 0 if name == "clean" else labels[:, 1 + DEFECTS.index(name)] == 1
        order = np.flatnonzero(of_kind & ((masks >= 128).mean((1, 2)) > EMPTY))
        order = order[np.argsort(each[order])]
        middle = np.random.default_rng(1).choice(order, min(4, len(order)), replace=False)
        for i in (*order[:4], *middle, *order[-2:]):
            pictures = [cards[i], grey(masks[i] / 255), grey(predicted[i]), without_object(cards[i], predicted[i])]
            rows.append((pictures, f"{name}: IoU {each[i]:.2f}"))
    draw(rows, 5, path)


def draw_photos(network: Tracer, paths: list[Path], path: Path) -> None:
    cards = [picture(each, SEGMENTER_SIZE) for each in paths]
    predicted = predict(network, np.stack(cards))
    rows = [([card, grey(mask), without_object(card, mask)], each.name[:48]) for card, mask, each in zip(cards, predicted, paths)]
    draw(rows, 6, path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--made", type=Path, required=True, help="the cache of train_tracer.py")
    parser.add_argument("--sheet", type=Path)
    parser.add_argument("--photos", type=Path)
    args = parser.parse_args()
    network = load_tracer(args.model)
    with np.load(args.made) as made:
        cards, masks, labels = made["cards"], made["masks"], made["labels"]
    predicted = predict(network, cards)
    print(json.dumps(measure(predicted, masks, labels), indent=2))
    if args.sheet:
        draw_made(cards, masks, labels, predicted, args.sheet)
    if args.photos:
        draw_photos(network, sorted((args.data / "originals").iterdir()), args.photos)


if __name__ == "__main__":
    main()
