#!/usr/bin/python3
"""Cuts the main object out of made cards with the trained segmenter, errors included: what the classifier then learns from.

    cutouts.py --data DIR --segmenter tracer-te0.pth --out DIR [--order thumbnail] [--size 63x84]

writes cutouts-train-ORDER-60x80.npz and cutouts-validation-ORDER-60x80.npz: `cards` (n, 80, 60, 3), `alphas` (n, 80, 60) =
the inverted mask, `labels` (n, 6), of the same cards in the same order as train.py makes for the seed. The segmenter works
at 96x128 and sees either the decoded card (photo) or its thumbnail enlarged (thumbnail: the founders' order). Another --size
is for classifiers that take no 60x80 (networks.size_of).
"""
from __future__ import annotations

import argparse
import multiprocessing
import time
from pathlib import Path

import numpy as np
from PIL import Image

from evaluate_tracer import predict
from products import load
from synth import SEGMENTER_SIZE, SIZE, Synth
from tracer import Tracer, load_tracer

ORDERS = ("photo", "thumbnail")
INPUTS = {"card": 3, "cutout3": 3, "cutout4": 4}  # what a classifier may be given, and its channels
FILL = 255  # the colour that the object is replaced by
CHUNK = 256

synth: Synth  # of this process and its forked workers
order: str
size: tuple[int, int]


def parse_size(text: str) -> tuple[int, int]:
    width, height = text.split("x")
    return int(width), int(height)


def cache_name(part: str, order: str, size: tuple[int, int]) -> str:
    return f"cutouts-{part}-{order}-{size[0]}x{size[1]}.npz"


def segmenter_view(thumbnail: np.ndarray, card: np.ndarray, order: str) -> np.ndarray:
    """What the segmenter is shown, given both views of one card."""
    if order == "photo":
        return card
    return np.asarray(Image.fromarray(thumbnail).resize(SEGMENTER_SIZE, Image.BILINEAR))


def inverted(network: Tracer, views: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """(n, height, width) bytes: 255 in the background, 0 in the object, at the classifier's size."""
    alphas = [1 - np.asarray(Image.fromarray(mask).resize(size, Image.BILINEAR)) for mask in predict(network, views)]
    return (np.stack(alphas) * 255).round().astype(np.uint8)


def classifier_input(kind: str, cards: np.ndarray, alphas: np.ndarray | None) -> np.ndarray:
    """(n, height, width, channels) bytes: the card as it is, composited on the fill colour, or with the alpha beside it."""
    if kind == "card":
        return cards
    if kind == "cutout4":
        return np.concatenate([cards, alphas[..., None]], axis=3)
    result = np.empty_like(cards)
    for i, (card, alpha) in enumerate(zip(cards, alphas[..., None].astype(np.uint16))):
        result[i] = (card * alpha + FILL * (255 - alpha) + 127) // 255
    return result


def make_views(index: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    (thumbnail, card), _, labels = synth.views(index, size, SEGMENTER_SIZE)
    return thumbnail, segmenter_view(thumbnail, card, order), labels


def make_cutouts(data: Path, count: int, seed: int, validation: bool, network: Tracer, cache: Path) -> None:
    global synth
    synth = Synth(*load(data, validation), seed=seed)
    cards = np.empty((count, size[1], size[0], 3), np.uint8)
    alphas = np.empty((count, size[1], size[0]), np.uint8)
    labels = np.empty((count, 6), np.uint8)
    start = time.time()
    with multiprocessing.Pool() as pool:
        for first in range(0, count, CHUNK):
            part = slice(first, min(first + CHUNK, count))
            made = pool.map(make_views, range(part.start, part.stop), chunksize=16)
            cards[part], views, labels[part] = map(np.stack, zip(*made))
            alphas[part] = inverted(network, views, size)
            if first // CHUNK % 8 == 0:
                print(f"  {cache.name}: {part.stop} of {count}, {part.stop / (time.time() - start):.0f}/s", flush=True)
    np.savez(cache, cards=cards, alphas=alphas, labels=labels)


def main() -> None:
    global order, size
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--segmenter", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--order", choices=ORDERS, default="photo")
    parser.add_argument("--size", type=parse_size, default=SIZE, help="the classifier's, WxH")
    parser.add_argument("--cards", type=int, default=24000)
    parser.add_argument("--seed", type=int, default=20261123, help="train.py's")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    order, size = args.order, args.size
    network = load_tracer(args.segmenter)
    make_cutouts(args.data, 2000, args.seed + 1, True, network, args.out / cache_name("validation", order, size))
    make_cutouts(args.data, args.cards, args.seed, False, network, args.out / cache_name("train", order, size))


if __name__ == "__main__":
    main()
