"""The form of a product. Every part is a loft: rings around an upright axis, each an ellipse or a rounded rectangle of its
own size, with a picture of what is printed wrapped round.
"""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from PIL import Image

from canvas import Colour

Ring = tuple[float, ...]  # half the width, half the depth, height; a fourth number, if there, is how far it leans


@dataclass
class Part:
    """A loft with its surface: one colour, or a picture wrapped round over `span` of the way, the front being in its middle."""

    rings: Sequence[Ring]
    material: str
    colour: Colour = (255, 255, 255)
    picture: Image.Image | None = None
    square: float = 2.0  # exponent of the rings' superellipse: 2 is an ellipse, 20 nearly a rectangle
    fillet: float = 0.02
    span: tuple[float, float] = (0.0, 1.0)
    clear: float = 0.0  # share of the light that passes
    flat: bool = False  # the picture lies on its top instead of round it
    turn: np.ndarray = field(default_factory=lambda: np.eye(3))
    shift: tuple[float, float, float] = (0.0, 0.0, 0.0)


def rounded_off(points: np.ndarray, radius: float) -> np.ndarray:
    """The line with every corner replaced by a parabola, and no stretch so long that a loft over it would be coarse."""
    line = [points[0]]
    for before, corner, after in zip(points, points[1:], points[2:]):
        to, off = before - corner, after - corner
        a = corner + to * min(0.49, radius / max(np.linalg.norm(to), 1e-6))
        b = corner + off * min(0.49, radius / max(np.linalg.norm(off), 1e-6))
        t = np.linspace(0, 1, 7)[:, None]
        line += list((1 - t) ** 2 * a + 2 * t * (1 - t) * corner + t ** 2 * b)
    line.append(points[-1])
    step, fine = np.ptp(points[:, 2]) / 12 + 0.01, [line[0]]
    for start, end in zip(line, line[1:]):
        count = int(np.ceil(np.linalg.norm(end - start) / step)) or 1
        fine += [start + (end - start) * k / count for k in range(1, count + 1)]
    return np.array(fine)


def ring(width: float, depth: float, square: float, fractions: np.ndarray) -> np.ndarray:
    """Points (x, z) at those fractions of the way round, by length, from the middle of the back over the left to the front."""
    t = np.linspace(0.5 * np.pi, 2.5 * np.pi, 721)
    x = np.sign(np.cos(t)) * np.abs(np.cos(t)) ** (2 / square) * width
    z = np.sign(np.sin(t)) * np.abs(np.sin(t)) ** (2 / square) * depth
    way = np.concatenate([[0], np.cumsum(np.hypot(np.diff(x), np.diff(z)))])
    if way[-1] == 0:
        return np.zeros((len(fractions), 2))
    return np.stack([np.interp(fractions * way[-1], way, x), np.interp(fractions * way[-1], way, z)], 1)


def around(width: float, depth: float, square: float) -> float:
    """The length of that ring."""
    points = ring(width, depth, square, np.linspace(0, 1, 200))
    return float(np.hypot(*np.diff(points, axis=0).T).sum())


def loft(part: Part) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Vertices, normals (rows, columns, 3) and places in the picture (rows, columns, 2)."""
    points = np.array([(*r, 0.0)[:4] for r in part.rings])
    line = rounded_off(points, part.fillet)
    columns = 73 if part.square < 5 else 161
    fractions = np.linspace(*part.span, columns)
    grid = np.empty((len(line), columns, 3))
    for row, (width, depth, height, lean) in zip(grid, line):
        row[:, ::2] = ring(width, depth, part.square, fractions)
        row[:, 1] = height + lean * row[:, 0]
    along, up = np.gradient(grid, axis=1), np.gradient(grid, axis=0)
    if part.span == (0.0, 1.0):
        along[:, 0] = along[:, -1] = grid[:, 1] - grid[:, -2]
    normals = np.cross(up, along)
    length = np.linalg.norm(normals, axis=2, keepdims=True)
    poles = length[..., 0] < 1e-9
    normals = np.where(poles[..., None], (0, 1, 0), normals / np.maximum(length, 1e-9))
    low, high = line[:, 2].min(), line[:, 2].max()
    places = np.stack(np.broadcast_arrays(np.linspace(0, 1, columns)[None], ((line[:, 2] - low) / (high - low))[:, None]), 2)
    if part.flat:
        places = 0.5 + grid[..., ::2] / (2 * np.array([line[:, 0].max(), line[:, 1].max()]))
    turn = part.turn.T
    return grid @ turn + part.shift, normals @ turn, places


def turned_by(pitch: float = 0, yaw: float = 0, roll: float = 0) -> np.ndarray:
    """Yaw about the upright axis first, then pitch (positive shows the top to the camera), then roll in the picture."""
    (cp, cy, cr), (sp, sy, sr) = np.cos(np.radians((pitch, yaw, roll))), np.sin(np.radians((pitch, yaw, roll)))
    about_y = np.array([(cy, 0, sy), (0, 1, 0), (-sy, 0, cy)])
    about_x = np.array([(1, 0, 0), (0, cp, sp), (0, -sp, cp)])
    about_z = np.array([(cr, -sr, 0), (sr, cr, 0), (0, 0, 1)])
    return about_z @ about_x @ about_y


def closed(*rings: Ring) -> list[Ring]:
    """The rings with a floor and a lid."""
    return [(0, 0, rings[0][2]), *rings, (0, 0, rings[-1][2], *rings[-1][3:])]


def rod(radius: float, low: float, high: float, top: float | None = None) -> list[Ring]:
    top = radius if top is None else top
    return closed((radius, radius, low), (top, top, high))
