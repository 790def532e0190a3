#!/usr/bin/python3
"""Measures a checkpoint on sets of cards (cards.py): what PyTorch and Pillow say, to hold `bgdet eval` against.

    evaluate.py --model resnet18-120x160-cutout4-photo.pth validation-photo-120x160.npz real-photo-120x160.npz

Reads the network, its width and its input from the .json that train.py has put beside the checkpoint. Accuracy, cross-entropy
and AUC of "defective", of all and by group, and the AUC of every reason.
"""
from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import torch

from cards import INPUTS, Cards
from networks import NAMES, classifier
from synth import DEFECTS
from tracer import MEAN, STD

LABELS = ("defective", *DEFECTS)


def to_input(cards: np.ndarray) -> torch.Tensor:
    """(n, h, w, 3 or 4) bytes to the network's (n, 3 or 4, h, w). Alpha stays as it is, 0 to 1."""
    values = torch.from_numpy(np.ascontiguousarray(cards)).permute(0, 3, 1, 2).float() / 255
    values[:, :3] = (values[:, :3] - torch.tensor(MEAN).view(3, 1, 1)) / torch.tensor(STD).view(3, 1, 1)
    return values


@torch.no_grad()
def scores(model: torch.nn.Module, cards: np.ndarray) -> np.ndarray:
    """(n, 6) probabilities, in f32."""
    device = next(model.parameters()).device
    parts = np.array_split(cards, max(1, len(cards) // 250))
    return torch.cat([torch.sigmoid(model(to_input(part).to(device))).float().cpu() for part in parts]).numpy()


def auc(truth: np.ndarray, score: np.ndarray) -> float | None:
    """Area under the ROC curve: the chance that a positive scores above a negative, ties counting half."""
    positive, negative = score[truth == 1], np.sort(score[truth == 0])
    if len(positive) == 0 or len(negative) == 0:
        return None
    below = np.searchsorted(negative, positive, "left") + np.searchsorted(negative, positive, "right")
    return round(float(below.mean() / (2 * len(negative))), 4)


def binary(truth: np.ndarray, p: np.ndarray) -> dict[str, object]:
    """Accuracy at 0.5, cross-entropy (natural log, mean over cards) and AUC of one output."""
    p = np.clip(p.astype(np.float64), 1e-7, 1 - 1e-7)
    entropy = -np.where(truth == 1, np.log(p), np.log(1 - p)).mean()
    return {"cards": len(truth), "defective": int(truth.sum()), "accuracy": round(float(((p >= 0.5) == truth).mean()), 4),
            "cross_entropy": round(float(entropy), 4), "auc": auc(truth, p)}


def measure(model: torch.nn.Module, cards: Cards, kind: str) -> dict[str, object]:
    p = scores(model, cards.shown(kind))
    truth = cards.labels
    result = binary(truth[:, 0], p[:, 0])
    result["groups"] = {str(group): binary(truth[cards.groups == group, 0], p[cards.groups == group, 0])
                        for group in sorted(set(cards.groups))}
    result["auc_per_reason"] = {name: auc(truth[:, i + 1], p[:, i + 1]) for i, name in enumerate(DEFECTS)}
    return result


def load_classifier(checkpoint: Path) -> tuple[torch.nn.Module, dict[str, object]]:
    """The network, and what train.py has noted of its training."""
    training = json.loads(checkpoint.with_suffix(".json").read_text())
    if training["network"] not in NAMES:
        raise SystemExit(f"{checkpoint}: its network {training['network']} is none of {', '.join(NAMES)}")
    model = classifier(training["network"], INPUTS[training["input"]], len(LABELS), training["width"])
    model.load_state_dict(torch.load(checkpoint, map_location="cpu"))
    return model.eval(), training


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("sets", type=Path, nargs="+", metavar="SET.npz")
    args = parser.parse_args()
    model, training = load_classifier(args.model)
    print(json.dumps({path.stem: measure(model, Cards.read(path), training["input"]) for path in args.sets}, indent=2))


if __name__ == "__main__":
    main()
