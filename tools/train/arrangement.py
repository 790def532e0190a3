"""How several things stand together: copies of the object, other goods beside it, rows, stacks, fans and grids.

A group is a list of pieces placed in units of their own, from back to front; `settle` scales the group as a whole into a box
of the card. What is alone is a group of one.
"""
from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageOps

from canvas import Box, Canvas, Role, chance, one_of, scaled, turned, weighted
from scenery import shade

UNIT = 200.0  # the height that pieces are brought to before they are arranged


@dataclass
class Placed:
    piece: Image.Image
    x: float  # of its left upper corner
    y: float
    scale: float
    role: Role

    @property
    def width(self) -> float:
        return self.piece.width * self.scale

    @property
    def height(self) -> float:
        return self.piece.height * self.scale


Group = list[Placed]


def placed(piece: Image.Image, x: float, foot: float, height: float, role: Role = "object") -> Placed:
    """A piece of that height, centred on x and standing on `foot`. Long things are kept from growing wider than 1.6 heights."""
    scale = min(height / piece.height, 1.6 * height / piece.width)
    return Placed(piece, x - piece.width * scale / 2, foot - piece.height * scale, scale, role)


def alone(piece: Image.Image) -> Group:
    return [placed(piece, 0, 0, UNIT)]


def bounds(group: Group) -> Box:
    left, top = min(p.x for p in group), min(p.y for p in group)
    return left, top, max(p.x + p.width for p in group) - left, max(p.y + p.height for p in group) - top


def settle(rng: np.random.Generator, canvas: Canvas, group: Group, box: Box, shadows: bool, anchor: str = "") -> None:
    """Puts the group on the canvas, as large as the box takes it, in its middle or at the edge where its photo ended."""
    left, top, width, height = bounds(group)
    scale = min(box[2] / width, box[3] / height)
    x0, y0 = box[0] + (box[2] - width * scale) / 2, box[1] + (box[3] - height * scale) / 2
    y0 = {"": y0, "top": -1, "bottom": canvas.height - height * scale + 1}[anchor]
    style = int(rng.integers(1 << 30))  # one light for all
    for p in group:
        piece = scaled(p.piece, p.scale * scale)
        x, y = x0 + (p.x - left) * scale, y0 + (p.y - top) * scale
        if shadows:
            shade(np.random.default_rng(style), canvas, piece, x, y)
        canvas.put(piece, x, y, p.role)


def tint(rng: np.random.Generator, piece: Image.Image) -> Image.Image:
    """The same thing in another colour, as in a colour set; what has no colour gets lighter or darker."""
    h, s, v = piece.convert("RGB").convert("HSV").split()
    turn, gain = int(rng.integers(256)), rng.uniform(0.55, 1.3)
    h, v = h.point(lambda x: (x + turn) % 256), v.point(lambda x: min(255, int(x * gain)))
    result = Image.merge("HSV", (h, s, v)).convert("RGB")
    result.putalpha(piece.getchannel("A"))
    return result


def other_view(rng: np.random.Generator, piece: Image.Image) -> Image.Image:
    """As from another side: mirrored and squeezed, a print or a face wiped off at times."""
    view = ImageOps.mirror(piece).resize((max(2, int(piece.width * rng.uniform(0.55, 1))), piece.height), Image.BILINEAR)
    if chance(rng, 0.3):  # its plain back: no detail finer than a tenth of it
        back = view.resize((10, 10), Image.BOX).resize(view.size, Image.BICUBIC).convert("RGB")
        back.putalpha(view.getchannel("A"))
        view = back
    return view


def copy(rng: np.random.Generator, piece: Image.Image, variants: list[Image.Image]) -> Image.Image:
    """Once more the same: alike, in another colour, seen from elsewhere, or a photo of another variant."""
    if variants and chance(rng, 0.6):
        return one_of(rng, variants)
    return weighted(rng, {lambda: piece: 0.35, lambda: tint(rng, piece): 0.3, lambda: other_view(rng, piece): 0.25,
                          lambda: turned(piece, rng.uniform(-40, 40)): 0.1})()


def row(rng: np.random.Generator, pieces: list[Image.Image], roles: list[Role]) -> Group:
    """Side by side on one line, apart, touching or overlapping; who is in front is up to chance."""
    group, x = [], 0.0
    gap, ragged = rng.choice([rng.uniform(-0.45, -0.1), 0.0, rng.uniform(0.03, 0.2)]), rng.uniform(0, 0.25)
    for piece, role in zip(pieces, roles):
        height = UNIT * (1 - ragged * rng.random())
        p = placed(piece, 0, height * rng.normal(0, 0.02), height, role)
        p.x = x
        x += p.width * (1 + gap)
        group.append(p)
    return [group[k] for k in rng.permutation(len(group))]


def at_edge(p: Placed, edge: str) -> Placed:
    """The same place, but ending in one line with the others."""
    p.y = 0 if edge == "top" else -p.height
    return p


def column(rng: np.random.Generator, pieces: list[Image.Image], roles: list[Role]) -> Group:
    group, y, gap = [], 0.0, UNIT * rng.uniform(0.02, 0.2) * (3 if chance(rng, 0.3) else 1)
    for piece, role in zip(pieces, roles):
        p = placed(piece, 0, 0, UNIT, role)
        p.y = y
        y += p.height + gap
        group.append(p)
    return group


def stack(rng: np.random.Generator, pieces: list[Image.Image], roles: list[Role]) -> Group:
    """One behind the other, each further aside, up and smaller; the first in front."""
    step = one_of(rng, (-1, 1)) * UNIT * rng.uniform(0.2, 0.55)
    rise, shrink, lean = UNIT * rng.uniform(0, 0.2), rng.uniform(0.82, 1), rng.choice([0, 0, rng.uniform(-18, 18)])
    group = [placed(turned(piece, lean * k), step * k, -rise * k, UNIT * shrink ** k, role)
             for k, (piece, role) in enumerate(zip(pieces, roles))]
    return group[::-1]


def fan(rng: np.random.Generator, pieces: list[Image.Image], roles: list[Role]) -> Group:
    """Spread like cards around a point below them."""
    spread, radius = rng.uniform(12, 35), UNIT * rng.uniform(0.5, 1.3)
    group = []
    for k, (piece, role) in enumerate(zip(pieces, roles)):
        angle = (k - (len(pieces) - 1) / 2) * spread
        upright = piece.resize((max(2, round(piece.width * UNIT / piece.height)), round(UNIT)), Image.BILINEAR)
        leaf = turned(upright, -angle)
        x, y = radius * np.sin(np.radians(angle)), -radius * np.cos(np.radians(angle))
        group.append(Placed(leaf, x - leaf.width / 2, y - leaf.height / 2, 1.0, role))
    return group


def grid(rng: np.random.Generator, pieces: list[Image.Image], roles: list[Role]) -> Group:
    """In rows and columns."""
    columns = int(np.ceil(np.sqrt(len(pieces)))) if chance(rng, 0.6) else 2
    gap = rng.uniform(0.75, 1.15)
    return [placed(piece, UNIT * gap * (k % columns), UNIT * gap * (k // columns), UNIT * 0.95, role)
            for k, (piece, role) in enumerate(zip(pieces, roles))]


def heap(rng: np.random.Generator, pieces: list[Image.Image], roles: list[Role]) -> Group:
    """Lying about, turned any way, some over others."""
    return [placed(turned(piece, rng.uniform(-60, 60)), rng.uniform(0, UNIT * 0.45 * len(pieces)), rng.uniform(0, UNIT * 0.8),
                   UNIT * rng.uniform(0.8, 1), role) for piece, role in zip(pieces, roles)]


def satellite(rng: np.random.Generator, pieces: list[Image.Image], roles: list[Role]) -> Group:
    """The first large, the others small at its foot or at its sides."""
    first = placed(pieces[0], 0, 0, UNIT, roles[0])
    side, group = one_of(rng, (-1, 1)), [first]
    for piece, role in zip(pieces[1:], roles[1:]):
        height = UNIT * rng.uniform(0.3, 0.6)
        p = placed(piece, 0, -UNIT * rng.choice([0, 0, rng.uniform(0, 0.6)]), height, role)
        p.x = side * (first.width / 2 + p.width * rng.uniform(-0.35, 0.4)) - p.width / 2
        group.append(p)
        side = -side
    return group if chance(rng, 0.7) else group[::-1]


def arranged(rng: np.random.Generator, pieces: list[Image.Image], roles: list[Role], anchor: str = "") -> Group:
    """Any arrangement that so many pieces are shown in. What ends at an edge of the frame stands in a row along it."""
    if anchor:
        return [at_edge(p, anchor) for p in row(rng, pieces, roles)]
    weights = {row: 0.38, stack: 0.19, satellite: 0.14, heap: 0.04, column: 0.15, fan: 0.06, grid: 0.04}
    if len(pieces) > 3:
        weights.update({row: 0.2, grid: 0.5, satellite: 0.08, column: 0.01})
    if len(pieces) > 5:
        weights = {grid: 0.9, heap: 0.1}
    return weighted(rng, weights)(rng, pieces, roles)
