#!/usr/bin/python3
"""The table of choices: what the classifier sees and how, each trained with several seeds by one recipe, side by side.

    search.py --sets DIR --out DIR [--seeds 3] [--cards 16000] [--epochs 6]     trains what is missing, then prints the table
    search.py --out DIR --table                                                the table of what is there

Trainings that are done are not done again (train.py). Made: the validation set, cards of unseen products. Real: real.csv. Each
figure is the mean over the seeds, with the lowest and the highest.
"""
from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from synth import DEFECTS
from train import SEED

CHOICES = (  # arguments of train.py; the first is what the others differ from by one thing
    "--size 120x160 --order photo --input cutout4 --network resnet18 --width 0.5",
    "--size 120x160 --order photo --input cutout3 --network resnet18 --width 0.5",
    "--size 120x160 --order photo --input card --network resnet18 --width 0.5",
    "--size 120x160 --order photo --input cutout4 --network resnet18 --width 0.25",
    "--size 60x80 --order photo --input cutout4 --network resnet18 --width 0.5",
    "--size 60x80 --order thumbnail --input cutout4 --network resnet18 --width 0.5",
    "--size 60x80 --order thumbnail --input cutout3 --network resnet18 --width 0.5",
)
SHOWN = ("size", "order", "input", "network", "width", "cards", "epochs")


def over_seeds(values: Sequence[float], form: str) -> str:
    low, high, mean = min(values), max(values), sum(values) / len(values)
    return form.format(mean) + (f" ({form.format(low)}-{form.format(high)})" if len(values) > 1 else "")


def row(key: tuple[object, ...], trainings: list[dict]) -> str:
    cells = [str(part) for part in key] + [str(len(trainings))]
    for part in ("made", "real"):
        for name, form in (("accuracy", "{:.3f}"), ("cross_entropy", "{:.3f}"), ("auc", "{:.3f}")):
            cells.append(over_seeds([training[part][name] for training in trainings], form))
    reasons = [[training["real"]["auc_per_reason"][defect] for training in trainings] for defect in DEFECTS]
    cells += ["{:.3f}".format(sum(values) / len(values)) for values in reasons]
    return "| " + " | ".join(cells) + " |"


def table(out: Path) -> str:
    groups = defaultdict(list)
    for path in sorted(out.glob("*.json")):
        training = json.loads(path.read_text())
        if "network" in training:
            shown = {**training, "size": "x".join(map(str, training["size"]))}
            groups[tuple(shown[name] for name in SHOWN)].append(training)
    head = [*SHOWN, "seeds"] + [f"{part} {name}" for part in ("made", "real") for name in ("accuracy", "cross-entropy", "AUC")]
    head += [f"real AUC {defect}" for defect in DEFECTS]
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    ordered = sorted(groups, key=lambda key: -sum(t["made"]["auc"] for t in groups[key]) / len(groups[key]))
    return "\n".join(lines + [row(key, groups[key]) for key in ordered])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sets", type=Path, help="the folder that cards.py wrote")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--cards", type=int, default=16000)
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--table", action="store_true", help="only print what is there")
    args = parser.parse_args()
    if not args.table and not args.sets:
        parser.error("--sets is needed to train")
    for choice in [] if args.table else CHOICES:
        for seed in range(SEED, SEED + args.seeds):
            subprocess.run([sys.executable, str(Path(__file__).with_name("train.py")), "--sets", str(args.sets), "--out",
                            str(args.out), "--cards", str(args.cards), "--epochs", str(args.epochs), "--seed", str(seed),
                            *choice.split()], check=True)
    print(table(args.out))


if __name__ == "__main__":
    main()
