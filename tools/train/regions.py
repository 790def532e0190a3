"""Where on a made card each of its defects is to be seen: the truth that `bgdet score`'s evidence is measured against.

A region is a box (left, top, right, bottom) in shares of the card, as in the rows. Text, extra objects and ground that is not
white give a box for each part that hangs together; a cut object gives a strip along the frame's side, a sixteenth of the card
deep; duplicates give a box for each copy.
"""
from __future__ import annotations

import numpy as np
from PIL import Image, ImageChops
from scipy import ndimage

from canvas import SIDES, Canvas

GRID = (96, 128)  # what regions are found on: the segmenter's size
DEPTH = 1 / 16  # of a strip
TEXT_DIFFERS = 24  # from what was there before it was written
NOT_WHITE = 236  # between the 243 that is still off-white and the 229 that is grey
SMALLEST = {"text": 0.001, "extra_objects": 0.003, "not_white": 0.003}  # of the card; less is no region

Region = tuple[float, float, float, float]


def on_grid(mask: Image.Image) -> np.ndarray:
    """How much of each cell an L mask covers, 0 to 1."""
    return np.asarray(mask.resize(GRID, Image.BOX), np.float32) / 255


def parts(there: np.ndarray, smallest: float, gap: int = 0) -> list[Region]:
    """Boxes of what hangs together, parts no further than `gap` cells from each other counting as one."""
    joined = ndimage.binary_dilation(there, np.ones((3, 3)), gap) if gap else there
    labels, _ = ndimage.label(joined, np.ones((3, 3)))
    labels[~there] = 0
    height, width = there.shape
    found = []
    for k, box in enumerate(ndimage.find_objects(labels)):
        if box and (labels[box] == k + 1).sum() >= smallest * there.size:
            y, x = box
            found.append((x.start / width, y.start / height, x.stop / width, y.stop / height))
    return found


def strip(mask: np.ndarray, side: str) -> list[Region]:
    """Along the side, from the first to the last cell of the object there."""
    edge = {"left": mask[:, 0], "right": mask[:, -1], "top": mask[0], "bottom": mask[-1]}[side]
    cells = np.flatnonzero(edge)
    if len(cells) == 0:
        return []
    first, last = cells[0] / len(edge), (cells[-1] + 1) / len(edge)
    return [{"left": (0.0, first, DEPTH, last), "right": (1 - DEPTH, first, 1.0, last),
             "top": (first, 0.0, last, DEPTH), "bottom": (first, 1 - DEPTH, last, 1.0)}[side]]


def written(before: Image.Image, after: Image.Image) -> Image.Image:
    """An L mask of what has changed."""
    change = ImageChops.difference(before, after).split()
    return ImageChops.lighter(ImageChops.lighter(*change[:2]), change[2]).point(lambda v: 255 if v > TEXT_DIFFERS else 0)


def regions(canvas: Canvas, text: Image.Image, defects: set[str]) -> dict[str, list[Region]]:
    """Of each defect of a finished card; `text` is the mask of what is written on it."""
    inside, extras, letters = on_grid(canvas.mask) >= 0.5, on_grid(canvas.extras) >= 0.5, on_grid(text) >= 0.15
    darkest = np.asarray(canvas.image.resize(GRID, Image.BOX)).min(axis=2)
    found = {"text": parts(letters, SMALLEST["text"], gap=2),
             "not_white": parts(~inside & ~letters & ~extras & (darkest < NOT_WHITE), SMALLEST["not_white"]),
             "extra_objects": parts(extras & ~inside, SMALLEST["extra_objects"]),
             "cropped": [region for side in SIDES if side in canvas.cut for region in strip(inside, side)],
             "duplicates": [(left / canvas.width, top / canvas.height, right / canvas.width, bottom / canvas.height)
                            for left, top, right, bottom in canvas.copies]}
    return {defect: found[defect] for defect in sorted(defects)}
