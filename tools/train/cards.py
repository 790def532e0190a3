#!/usr/bin/python3
"""Makes the sets of cards that classifiers learn from and are measured on: thumbnails, what the segmenter cut out, labels.

    cards.py --data DIR --segmenter tracer-te0.pth --out DIR [--size 120x160] [--order thumbnail] [--cards 24000]

writes {train,validation,real}-ORDER-WxH.npz: `cards` (n, h, w, 3), `alphas` (n, h, w) = the inverted mask, errors of the
segmenter included, `labels` (n, 6) and `groups` (n). train and validation are made by synth.py, of products that share no
photo; real is real.csv, cards of shops labelled by eye. The segmenter works at 96x128 and sees either the decoded card
(photo) or its thumbnail of the set's size (thumbnail: the founders' order). A set that is there is not made again.
"""
from __future__ import annotations

import argparse
import csv
import functools
import multiprocessing
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from products import REAL_CARDS, load, picture
from synth import DEFECTS, SEGMENTER_SIZE, SIZE, Synth
from tracer import Tracer, load_tracer, predict

ORDERS = ("photo", "thumbnail")
INPUTS = {"card": 3, "cutout3": 3, "cutout4": 4}  # what a classifier may be given, and its channels
FILL = 255  # the colour that the object is replaced by
CHUNK = 64  # cards that a worker makes at a time
VALIDATION_CARDS = 2000

Size = tuple[int, int]  # width, height


@dataclass
class Cards:
    """A set in memory: n cards."""

    cards: np.ndarray  # (n, h, w, 3) bytes
    alphas: np.ndarray  # (n, h, w) bytes: 255 in the background, 0 in the object
    labels: np.ndarray  # (n, 6): defective, then DEFECTS
    groups: np.ndarray  # (n) of people, beauty, goods

    @classmethod
    def read(cls, path: Path, count: int | None = None) -> Cards:
        """The first `count` of the file's cards, or all."""
        if not path.exists():
            raise SystemExit(f"{path}: missing; cards.py makes it")
        with np.load(path) as stored:
            found = len(stored["cards"])
            if count is not None and found < count:
                raise SystemExit(f"{path}: {found} cards, {count} are needed")
            return cls(*(stored[name][:count] for name in ("cards", "alphas", "labels", "groups")))

    def shown(self, kind: str) -> np.ndarray:
        """(n, h, w, channels) bytes, by INPUTS: the cards as they are, composited on FILL, or with the alpha beside them."""
        if kind == "card":
            return self.cards
        if kind == "cutout4":
            return np.concatenate([self.cards, self.alphas[..., None]], axis=3)
        result = np.empty_like(self.cards)
        for i, (card, alpha) in enumerate(zip(self.cards, self.alphas[..., None].astype(np.uint16))):
            result[i] = (card * alpha + FILL * (255 - alpha) + 127) // 255
        return result


def parse_size(text: str) -> Size:
    width, height = text.split("x")
    return int(width), int(height)


def set_name(part: str, order: str, size: Size) -> str:
    return f"{part}-{order}-{size[0]}x{size[1]}.npz"


def segmenter_view(thumbnail: np.ndarray, card: np.ndarray, order: str) -> np.ndarray:
    """What the segmenter is shown, given both views of one card."""
    if order == "photo":
        return card
    return np.asarray(Image.fromarray(thumbnail).resize(SEGMENTER_SIZE, Image.BILINEAR))


def inverted(network: Tracer, views: np.ndarray, size: Size) -> np.ndarray:
    """(n, height, width) bytes: 255 in the background, 0 in the object, at the classifier's size."""
    alphas = [1 - np.asarray(Image.fromarray(mask).resize(size, Image.BILINEAR)) for mask in predict(network, views)]
    return (np.stack(alphas) * 255).round().astype(np.uint8)


class Maker:
    """Makes chunks of cards, in worker processes that are forked from the one that loaded photos and weights."""

    def __init__(self, synth: Synth, network: Tracer, order: str, size: Size) -> None:
        self.synth, self.network, self.order, self.size = synth, network, order, size

    def chunk(self, indices: range) -> Cards:
        torch.set_num_threads(1)
        made, seen = zip(*(self.synth.seen(i, self.size, SEGMENTER_SIZE) for i in indices))
        views = np.stack([segmenter_view(thumbnail, photo, self.order) for thumbnail, photo in seen])
        return Cards(np.stack([thumbnail for thumbnail, _ in seen]), inverted(self.network, views, self.size),
                     np.stack([card.labels() for card in made]), np.array([card.group for card in made]))


maker: Maker  # of this process and its forked workers: handing it over by pickle would copy every photo


def make_chunk(indices: range) -> Cards:
    return maker.chunk(indices)


def joined(chunks: list[Cards]) -> Cards:
    return Cards(*(np.concatenate([getattr(chunk, name) for chunk in chunks])
                   for name in ("cards", "alphas", "labels", "groups")))


def made_cards(name: str, count: int) -> Cards:
    start, done, chunks = time.time(), 0, []
    parts = [range(first, min(first + CHUNK, count)) for first in range(0, count, CHUNK)]
    with multiprocessing.Pool() as pool:
        for i, chunk in enumerate(pool.imap(make_chunk, parts)):
            chunks.append(chunk)
            done += len(chunk.cards)
            if i % 32 == 31 or done == count:
                rate = done / (time.time() - start)
                print(f"  {name}: {done} of {count} cards, {rate:.0f}/s, {(count - done) / rate / 60:.0f} min left", flush=True)
    return joined(chunks)


def real_cards(data: Path, network: Tracer, order: str, size: Size) -> Cards:
    with open(REAL_CARDS, newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    paths = [data / row["file"] for row in rows]
    cards = np.stack([picture(path, size) for path in paths])
    views = np.stack([segmenter_view(card, picture(path, SEGMENTER_SIZE), order) for path, card in zip(paths, cards)])
    labels = [[row["clean"] == "0"] + [row[defect] == "1" for defect in DEFECTS] for row in rows]
    return Cards(cards, inverted(network, views, size), np.array(labels, np.uint8), np.array([row["group"] for row in rows]))


def main() -> None:
    global maker
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--renders", type=Path, help="the folder of render.py: its products join")
    parser.add_argument("--segmenter", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--order", choices=ORDERS, default="photo")
    parser.add_argument("--size", type=parse_size, default=SIZE, help="the classifier's, WxH")
    parser.add_argument("--cards", type=int, default=24000, help="of the training set")
    parser.add_argument("--seed", type=int, default=20261123)
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    network = load_tracer(args.segmenter)
    sets = {"real": functools.partial(real_cards, args.data, network, args.order, args.size)}
    for part, count, validation in (("validation", VALIDATION_CARDS, True), ("train", args.cards, False)):
        sets[part] = functools.partial(made_cards, part, count)
    for part, make in sets.items():
        path = args.out / set_name(part, args.order, args.size)
        if path.exists():
            print(f"{path}: is there")
            continue
        if part != "real":
            synth = Synth(*load(args.data, part == "validation", args.renders), seed=args.seed + (part == "validation"))
            maker = Maker(synth, network, args.order, args.size)
        made = make()
        unfinished = path.with_suffix(".part.npz")
        np.savez(unfinished, cards=made.cards, alphas=made.alphas, labels=made.labels, groups=made.groups)
        unfinished.rename(path)
        print(f"{path}: {len(made.cards)} cards, {made.labels[:, 0].mean():.0%} defective", flush=True)


if __name__ == "__main__":
    main()
