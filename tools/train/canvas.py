"""What the synthesiser draws on, and the few draws from a generator that all of its parts share.

Everything that is put on a card is a piece: an RGBA picture, cut out of a photo or drawn. A canvas takes pieces from back to
front and keeps the masks of the main object and of extra objects true along with the image.
"""
from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, TypeVar

import numpy as np
from PIL import Image, ImageChops, ImageFilter, ImageOps

Colour = tuple[int, int, int]
Box = tuple[float, float, float, float]  # x, y, width, height
SIDES = ("left", "top", "right", "bottom")
Edges = tuple[int, int, int, int]  # left, top, right, bottom, as Pillow has them
Role = Literal["object", "extra", "cover"]  # the thing sold and its copies; what does not belong; text, frames, reflections
T = TypeVar("T")

HIDDEN = [0 if a < 9 else min(255, 3 * a) for a in range(256)]  # however faint a watermark is, what it covers is watermark


def one_of(rng: np.random.Generator, options: Sequence[T]) -> T:
    return options[int(rng.integers(len(options)))]


def weighted(rng: np.random.Generator, weights: Mapping[T, float]) -> T:
    """One of the keys, as often as its weight says."""
    options, shares = list(weights), np.array(list(weights.values()), float)
    return options[int(rng.choice(len(options), p=shares / shares.sum()))]


def chance(rng: np.random.Generator, share: float) -> bool:
    return bool(rng.random() < share)


def mix(first: Colour, second: Colour, share: float) -> Colour:
    """`share` of the second colour in the first."""
    return tuple(round(a + (b - a) * share) for a, b in zip(first, second))


def any_colour(rng: np.random.Generator) -> Colour:
    return tuple(int(c) for c in rng.integers(0, 256, 3))


def ink_on(ground: Colour) -> Colour:
    """Black or white, whichever can be read on the ground."""
    return (255, 255, 255) if sum(ground) < 400 else (25, 25, 25)


class Canvas:
    """A card being composed: its image, where its main object and extra objects can be seen, and how much panels cover."""

    def __init__(self, image: Image.Image) -> None:
        self.image = image
        self.mask = Image.new("L", image.size, 0)
        self.extras = Image.new("L", image.size, 0)
        self.panels = 0.0  # share of the frame that bands and panels of colour take
        self.object_area = self.area_inside = 0  # of all that was put as the object, and what of it fell into the frame
        self.copies: list[Edges] = []  # where each copy of the object is that the frame does not cut off nearly whole
        self.cut: set[str] = set()  # the SIDES of the frame that cut the object

    @property
    def width(self) -> int:
        return self.image.width

    @property
    def height(self) -> int:
        return self.image.height

    def put(self, piece: Image.Image, x: float, y: float, role: Role = "cover", behind: bool = False) -> None:
        """Lays a piece over all that is there, or behind the main object."""
        alpha = piece.getchannel("A")
        left, top = corner = round(x), round(y)
        if behind:
            alpha = ImageChops.subtract(alpha, self.mask.crop((left, top, left + piece.width, top + piece.height)))
        self.image.paste(piece, corner, alpha)
        if role == "object":
            self.mask.paste(255, corner, alpha)
            self.extras.paste(0, corner, alpha)
            inside = alpha.crop((max(0, -left), max(0, -top), max(0, self.width - left), max(0, self.height - top)))
            whole, left_over = area(alpha), area(inside)
            self.cut |= sides_beyond(alpha, left, top, self.image.size)
            self.object_area += whole
            self.area_inside += left_over
            if left_over > 0.35 * whole:
                self.copies.append(moved(inside.getbbox(), max(0, left), max(0, top)))
            return
        if not behind:
            self.mask.paste(0, corner, alpha.point(HIDDEN))
        if role == "extra":
            self.extras.paste(255, corner, alpha)

    def put_centred(self, piece: Image.Image, x: float, y: float, role: Role = "cover", behind: bool = False) -> None:
        self.put(piece, x - piece.width / 2, y - piece.height / 2, role, behind)

    def put_tile(self, tile: Canvas, x: int, y: int, shape: Image.Image | None = None) -> None:
        """A whole smaller card as a part of this one, cut to an L shape."""
        for below, above in ((self.image, tile.image), (self.mask, tile.mask), (self.extras, tile.extras)):
            below.paste(above, (x, y), shape)
        self.copies += [moved(copy, x, y) for copy in tile.copies]

    def mirror(self) -> None:
        self.image, self.mask, self.extras = map(ImageOps.mirror, (self.image, self.mask, self.extras))
        self.copies = [(self.width - right, top, self.width - left, bottom) for left, top, right, bottom in self.copies]
        self.cut = {{"left": "right", "right": "left"}.get(side, side) for side in self.cut}

    def cut_off(self) -> float:
        """Share of the object that the frame cuts off."""
        return 1 - self.area_inside / self.object_area if self.object_area else 0.0

    def extras_seen(self) -> float:
        """Share of the frame."""
        return float(np.asarray(self.extras.resize((60, 80), Image.BOX)).mean()) / 255

    def darken(self, shade: Image.Image, x: float, y: float, colour: Colour = (70, 70, 76)) -> None:
        """Lays a shadow down: an L picture, 255 where it is deepest. Shadows are no objects: the mask stays."""
        self.image.paste(colour, (round(x), round(y)), shade)

    def object_box(self) -> Box:
        """Around the main object, or the middle of the frame where none is left to see."""
        box = self.mask.getbbox() or (self.width // 4, self.height // 4, self.width * 3 // 4, self.height * 3 // 4)
        return box[0], box[1], box[2] - box[0], box[3] - box[1]

    def covered(self, box: Box) -> float:
        """Share of the box that the main object fills."""
        x, y, w, h = (round(v) for v in box)
        part = self.mask.crop((x, y, x + max(1, w), y + max(1, h)))
        return float(np.asarray(part.resize((8, 8), Image.BOX)).mean()) / 255


def sides_beyond(alpha: Image.Image, left: int, top: int, size: tuple[int, int]) -> set[str]:
    """The sides of the frame that a hundredth of a piece or more lies beyond."""
    outside = {"left": (0, 0, -left, alpha.height), "top": (0, 0, alpha.width, -top),
               "right": (size[0] - left, 0, alpha.width, alpha.height), "bottom": (0, size[1] - top, alpha.width, alpha.height)}
    return {side for side, (x0, y0, x1, y1) in outside.items()
            if x0 < x1 and y0 < y1 and area(alpha.crop((x0, y0, x1, y1))) > 0.01 * area(alpha)}


def moved(edges: Edges, x: int, y: int) -> Edges:
    left, top, right, bottom = edges
    return left + x, top + y, right + x, bottom + y


def area(alpha: Image.Image) -> int:
    """Pixels that are more than half covered."""
    return sum(alpha.histogram()[128:])


def fit(piece: Image.Image, width: float, height: float) -> Image.Image:
    scale = min(width / piece.width, height / piece.height)
    return scaled(piece, scale)


def scaled(piece: Image.Image, scale: float) -> Image.Image:
    size = (max(2, round(piece.width * scale)), max(2, round(piece.height * scale)))
    return piece.resize(size, Image.BILINEAR, reducing_gap=2)


def turned(piece: Image.Image, degrees: float) -> Image.Image:
    return piece if degrees == 0 else piece.rotate(degrees, Image.BILINEAR, expand=True)


def solid(mask: Image.Image, colour: Colour, opacity: float = 1.0) -> Image.Image:
    """A piece of one colour in the shape of an L mask."""
    piece = Image.new("RGBA", mask.size, colour)
    piece.putalpha(mask if opacity == 1 else mask.point(lambda a: int(a * opacity)))
    return piece


def rounded(mask: Image.Image, colour: Colour, radius: float, depth: float = 0.45, shine: float = 0.0) -> Image.Image:
    """A piece in the shape of an L mask, lit as if it were round: dark towards its rim, and shining at its upper left."""
    height = np.asarray(mask.filter(ImageFilter.GaussianBlur(radius)), np.float32) / 255
    light = (1 - depth + depth * np.clip(2 * height - 0.8, 0, 1))[..., None] * np.array(colour, np.float32)
    if shine:
        shift = max(1, round(radius / 2))
        slope = np.roll(height, (-shift, -shift), (0, 1)) - np.roll(height, (shift, shift), (0, 1))
        light += 255 * shine * np.clip(slope * 2, 0, 1)[..., None]
    piece = Image.fromarray(np.clip(light, 0, 255).astype(np.uint8))
    piece.putalpha(mask)
    return piece


def main_colour(rng: np.random.Generator, piece: Image.Image) -> Colour:
    """A colour of the object itself: that of one of its pixels, rather a vivid one."""
    pixels = np.asarray(piece.resize((12, 12), Image.NEAREST)).reshape(-1, 4)
    opaque = pixels[pixels[:, 3] > 200][:, :3].astype(int)
    if len(opaque) == 0:
        return any_colour(rng)
    vivid = np.ptp(opaque, axis=1) + 10.0
    return tuple(int(c) for c in opaque[rng.choice(len(opaque), p=vivid / vivid.sum())])
