#!/usr/bin/python3
"""Makes many JPEG cards of the sample cards: mirrored, cropped, on other grounds, with other things in a corner.

    tools/samples/variants.py samples/cards OUT small 1000          as a shop's list shows them, 113 to 150 wide
    tools/samples/variants.py samples/cards OUT photos 120          as sellers upload them, in three sizes around 900x1200

Card i of a kind is the same every time, with the same Pillow. Three of ten small cards are progressive, and half of the photos;
photos have a camera's grain, without which they would be a third of the bytes of real ones. Needs Debian's python3-pil and
python3-numpy.
"""
import random
import sys
from pathlib import Path

import numpy as np
from PIL import Image, ImageEnhance, ImageOps

WIDTHS = (750, 900, 1080)  # of photos; all cards are 3:4
GRAIN = 2.2  # of 255, standard deviation


def variant(samples, i, width=None):
    """The card, and the generator that drew it."""
    rng = random.Random(i)
    width = width or rng.randint(113, 150)
    size = (width, width * 4 // 3)
    card = Image.new("RGBA", samples[i % len(samples)].size, "white")
    card.alpha_composite(samples[i % len(samples)])
    card = card.convert("RGB")
    if rng.random() < 0.5:
        card = ImageOps.mirror(card)
    if rng.random() < 0.5:  # from all of it down to a part that cuts the object
        w, h = (round(side * rng.uniform(0.5, 1)) for side in card.size)
        x, y = rng.randint(0, card.width - w), rng.randint(0, card.height - h)
        card = card.crop((x, y, x + w, y + h))
    if rng.random() < 0.3:  # more white around it
        card = ImageOps.expand(card, (rng.randint(0, 300), rng.randint(0, 300)), "white")
    if rng.random() < 0.3:  # a background that is not quite white, or not at all
        card = Image.blend(card, Image.new("RGB", card.size, tuple(rng.randint(0, 255) for _ in range(3))), rng.uniform(0, 0.4))
    card = card.resize(size, Image.BILINEAR)
    if rng.random() < 0.2:  # something else in a corner
        other = rng.choice(samples).resize((size[0] // 3, size[1] // 3), Image.BILINEAR)
        card.paste(other, (rng.randint(0, size[0] - other.width), rng.randint(0, size[1] - other.height)), other)
    return ImageEnhance.Brightness(card).enhance(rng.uniform(0.9, 1.05)), rng


def grainy(card, seed):
    noise = np.random.default_rng(seed).normal(0, GRAIN, (card.height, card.width, 1))
    return Image.fromarray(np.clip(np.asarray(card, np.float32) + noise, 0, 255).round().astype(np.uint8))


def main(folder, out, kind, count):
    samples = [Image.open(path).convert("RGBA") for path in sorted(Path(folder).iterdir())]
    for i in range(int(count)):
        card, rng = variant(samples, i, WIDTHS[i % 3] if kind == "photos" else None)
        if kind == "photos":
            grainy(card, i).save(f"{out}/{i:04}.jpg", quality=rng.randint(80, 92), progressive=i // 3 % 2 == 1)
        else:
            card.save(f"{out}/{i:04}.jpg", quality=rng.randint(60, 90), progressive=rng.random() < 0.3)


if __name__ == "__main__":
    main(*sys.argv[1:])
