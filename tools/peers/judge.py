"""A pipeline file's networks as one PyTorch module: from a batch of thumbnails to P(defective), all of it on the GPU."""
from __future__ import annotations

import json
from pathlib import Path
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

import modelfile


class Parts(NamedTuple):
    """What a pipeline file names (include/bgdet.h, bgd_pipeline_open); without a segmenter, a model file by itself."""

    segmenter: Path | None
    classifier: Path
    sees_photo: bool
    threshold: float | None  # P(object) from which a pixel is object; None: soft


def parts_of(path: Path) -> Parts:
    if path.suffix == ".bgd":
        return Parts(None, path, True, None)
    file = json.loads(path.read_text())
    segmenter = file.get("segmenter")
    classifier = path.parent / file["classifier"]["model"]
    if segmenter is None:
        return Parts(None, classifier, True, None)
    alpha = segmenter["alpha"]
    return Parts(path.parent / segmenter["model"], classifier, segmenter["sees"] == "photo", None if alpha == "soft" else alpha)


class Normalise(nn.Module):
    """Bytes or shares of 255 to a network's input."""

    def __init__(self, meta: dict) -> None:
        super().__init__()
        for name in ("mean", "std"):
            self.register_buffer(name, torch.tensor(meta["input"][name]).view(3, 1, 1))

    def forward(self, rgb: Tensor) -> Tensor:
        return (rgb - self.mean) / self.std


def resized(x: Tensor, size: tuple[int, int]) -> Tensor:
    """To (height, width), as src/feed.h has it: antialiased where it shrinks, from pixel centre to pixel centre."""
    shrinks = size[0] < x.shape[2] or size[1] < x.shape[3]
    return F.interpolate(x, size, mode="bilinear", align_corners=False, antialias=shrinks)


class Judge(nn.Module):
    """Calling it with `card` and `sight`, (n, 3, h, w) bytes of `sizes`, gives n P(defective) as float32.

    `sight` is what the segmenter sees, where that is the photo; it sees the card, enlarged, where `sizes` has one entry.
    """

    def __init__(self, path: Path, dtype: torch.dtype) -> None:
        super().__init__()
        self.parts = parts_of(path)
        classifier, self.meta = modelfile.network(self.parts.classifier)
        self.dtype, self.classifier, self.segmenter = dtype, classifier.to(dtype), None
        spec = self.meta["input"]
        self.normalise, self.sizes = Normalise(self.meta), [(spec["height"], spec["width"])]
        self.register_buffer("fill", torch.tensor(spec.get("fill", [1, 1, 1])).view(3, 1, 1))
        self.label = self.meta["labels"].index("defective")
        self.calibration = self.meta.get("calibration", {}).get("defective", {"slope": 1, "offset": 0})
        if self.parts.segmenter is not None:
            segmenter, meta = modelfile.network(self.parts.segmenter)
            self.segmenter, self.normalise_sight = segmenter.to(dtype), Normalise(meta)
            self.sight_size = (meta["input"]["height"], meta["input"]["width"])
            self.sizes += [self.sight_size] * self.parts.sees_photo

    def alpha(self, card: Tensor, sight: Tensor | None) -> Tensor:
        """(n, 1, h, w): what is left of the card without its object."""
        sight = resized(card, self.sight_size) if sight is None else sight.float() / 255
        mask = self.segmenter(self.normalise_sight(sight).to(self.dtype)).float()
        mask = resized(mask, self.sizes[0])
        return 1 - (mask if self.parts.threshold is None else (mask >= self.parts.threshold).float())

    def forward(self, card: Tensor, sight: Tensor | None = None) -> Tensor:
        card = card.float() / 255
        if self.segmenter is None:
            x = self.normalise(card)
        elif self.meta["input"]["channels"] == 4:
            x = torch.cat([self.normalise(card), self.alpha(card, sight)], dim=1)
        else:
            alpha = self.alpha(card, sight)
            x = self.normalise(card * alpha + self.fill * (1 - alpha))
        logits = self.classifier(x.to(self.dtype))[:, self.label].float()
        return torch.sigmoid(logits * self.calibration["slope"] + self.calibration["offset"])

    def verdict(self, p: float) -> str:
        low, high = self.meta.get("review", (0, 0))
        if low <= p < high:
            return "review"
        return "defective" if p >= self.meta.get("thresholds", {}).get("defective", 0.5) else "clean"
