#!/usr/bin/python3
"""Measures a checkpoint on made cards of unseen products, and on real pictures that nobody trained on.

    evaluate.py --data DIR --model resnet18-60x80.pth --made cards-validation.npz
    evaluate.py --data DIR --model resnet18-60x80-cutout4-photo.pth --made cutouts-validation-photo-60x80.npz
                --input cutout4 --order photo --segmenter tracer-te0.pth

What PyTorch, Pillow and every pixel give: to hold `bgdet eval` against, on the same pictures (labelled.py). Of the real ones
accuracy, cross-entropy and AUC of "defective" alone. Beside them, the floor: a card is called defective when more than 10 % of
the frame's border is below 235.
"""
from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from cutouts import INPUTS, ORDERS, classifier_input, inverted, segmenter_view
from labelled import real_rows
from networks import NAMES, classifier, size_of
from products import flatten
from synth import DEFECTS, SEGMENTER_SIZE
from tracer import MEAN, STD, Tracer, load_tracer


def to_input(cards: np.ndarray) -> torch.Tensor:
    """(n, 80, 60, 3 or 4) bytes to the network's (n, 3 or 4, 80, 60). Alpha stays as it is, 0 to 1."""
    values = torch.from_numpy(np.ascontiguousarray(cards)).permute(0, 3, 1, 2).float() / 255
    values[:, :3] = (values[:, :3] - torch.tensor(MEAN).view(3, 1, 1)) / torch.tensor(STD).view(3, 1, 1)
    return values


@torch.no_grad()
def scores(model: torch.nn.Module, cards: np.ndarray) -> np.ndarray:
    """(n, 6) probabilities."""
    return torch.cat([torch.sigmoid(model(to_input(part))) for part in np.array_split(cards, max(1, len(cards) // 250))]).numpy()


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


def measure_made(model: torch.nn.Module, cards: np.ndarray, labels: np.ndarray) -> dict[str, object]:
    p = scores(model, cards)
    result = binary(labels[:, 0], p[:, 0])
    result["auc_per_reason"] = {name: auc(labels[:, i + 1], p[:, i + 1]) for i, name in enumerate(DEFECTS)}
    return result


def picture(path: Path, size: tuple[int, int]) -> np.ndarray:
    image = Image.open(path)
    image = flatten(image.convert("RGBA")) if "A" in image.getbands() or "transparency" in image.info else image.convert("RGB")
    return np.asarray(image.resize(size, Image.BILINEAR))


def cut_out(paths: list[Path], cards: np.ndarray, segmenter: Tracer, order: str) -> np.ndarray:
    """The alphas of the pictures whose thumbnails are `cards`."""
    views = [segmenter_view(card, picture(path, SEGMENTER_SIZE), order) for path, card in zip(paths, cards)]
    return inverted(segmenter, np.stack(views), cards.shape[2:0:-1])


def border_rule(cards: np.ndarray) -> np.ndarray:
    """1 where more than 10 % of the border's pixels have a channel below 235."""
    border = np.ones(cards.shape[1:3], bool)
    border[1:-1, 1:-1] = False
    return (cards[:, border].min(axis=2) < 235).mean(axis=1) > 0.10


def measure_real(model: torch.nn.Module, args: argparse.Namespace) -> dict[str, object]:
    rows = real_rows(args.data)
    paths = [args.data / row[0] for row in rows]
    cards = np.stack([picture(path, size_of(args.network)) for path in paths])
    alphas = cut_out(paths, cards, load_tracer(args.segmenter), args.order) if args.segmenter else None
    truth = np.array([1 - row[1] for row in rows])
    group = np.array([row[-1] for row in rows])
    given = classifier_input(args.input, cards, alphas)
    p = scores(model, given)[:, 0]
    balanced = np.mean([((p >= 0.5) == truth)[truth == k].mean() for k in (0, 1)])
    result = {"all": binary(truth, p), "balanced_accuracy": round(float(balanced), 4),
              "correct_per_group": {g: f"{int(((p >= 0.5) == truth)[group == g].sum())} of {int((group == g).sum())}"
                                    for g in sorted(set(group))},
              "border_rule_accuracy": round(float((border_rule(cards) == truth).mean()), 4)}
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--made", type=Path, required=True)
    parser.add_argument("--input", choices=INPUTS, default="card")
    parser.add_argument("--order", choices=ORDERS, default="photo")
    parser.add_argument("--network", choices=NAMES, default="resnet18")
    parser.add_argument("--width", type=float, default=1.0)
    parser.add_argument("--segmenter", type=Path, help="needed unless the input is the whole card")
    args = parser.parse_args()
    if (args.input == "card") != (args.segmenter is None):
        parser.error("--segmenter goes with --input cutout3 or cutout4")
    model = classifier(args.network, INPUTS[args.input], 1 + len(DEFECTS), args.width)
    model.load_state_dict(torch.load(args.model, map_location="cpu"))
    model.eval()
    with np.load(args.made) as made:
        given = classifier_input(args.input, made["cards"], made["alphas"] if args.segmenter else None)
        print(json.dumps({"made": measure_made(model, given, made["labels"]), "real": measure_real(model, args)}, indent=2))


if __name__ == "__main__":
    main()
