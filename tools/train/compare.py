#!/usr/bin/python3
"""The founders' networks side by side, judged by bgdet itself: the tables of weights/README.md.

    compare.py --models DIR --made labels.csv --data DIR --cards LIST [--pipeline FILE] [--bgdet PROGRAM]

Takes every model file (.bgd) of --models into the pipeline in place of its classifier, and measures it by `bgdet eval` on made
cards (labelled.py) and on the real ones of real.csv, by `bgdet inspect` for parameters and MACs as converted, and by `bgdet
score` over the cards named in LIST for speed: on a machine that does nothing else. Prints Markdown.
"""
from __future__ import annotations

import argparse
import csv
import json
import re
import subprocess
import tempfile
from pathlib import Path

import numpy as np

from products import picture
from synth import SIZE

ROOT = Path(__file__).resolve().parents[2]
GROUPS = ("people", "beauty", "goods")


def run(*command: object) -> subprocess.CompletedProcess:
    return subprocess.run([str(part) for part in command], check=True, capture_output=True, text=True)


def pipeline_with(model: Path, pipeline: Path, folder: Path) -> Path:
    """The pipeline file with another classifier; its other paths made absolute."""
    settings = json.loads(pipeline.read_text())
    if "segmenter" in settings:
        settings["segmenter"]["model"] = str((pipeline.parent / settings["segmenter"]["model"]).resolve())
    settings["classifier"]["model"] = str(model.resolve())
    path = folder / "pipeline.json"
    path.write_text(json.dumps(settings))
    return path


def evaluate(bgdet: Path, pipeline: Path, labels: Path, root: Path | None) -> dict[str, dict[str, float]]:
    """Accuracy, cross-entropy and AUC of "defective", by group."""
    folder = ["--root", root] if root else []
    result = json.loads(run(bgdet, "eval", "-q", "--json", "-p", pipeline, "--labels", labels, *folder).stdout)
    if result["failed"]:
        raise SystemExit(f"{labels}: {len(result['failed'])} cards could not be judged")
    names = ("accuracy", "cross_entropy", "roc_auc")
    groups = {"all": result["all"], **{group["name"]: group for group in result["groups"]}}
    return {name: {metric: group["outputs"]["defective"][metric] for metric in names} for name, group in groups.items()}


def cells(groups: dict[str, dict[str, dict[str, float]]]) -> str:
    """Accuracy and cross-entropy of all cards and of each group, and the AUC of all."""
    def both(metrics: dict[str, dict[str, float]]) -> str:
        return f"{100 * metrics['accuracy']['value']:.1f} %, {metrics['cross_entropy']['value']:.3f}"
    accuracy, auc = groups["all"]["accuracy"], groups["all"]["roc_auc"]
    return (f" {both(groups['all'])} ({100 * accuracy['low']:.1f}-{100 * accuracy['high']:.1f}) |"
            + "".join(f" {both(groups[group])} |" for group in GROUPS) + f" {auc['value']:.3f} |")


def border_rule(cards: np.ndarray) -> np.ndarray:
    """1 where more than 10 % of the border's pixels have a channel below 235."""
    border = np.ones(cards.shape[1:3], bool)
    border[1:-1, 1:-1] = False
    return (cards[:, border].min(axis=2) < 235).mean(axis=1) > 0.10


def floor(labels: Path, data: Path) -> str:
    """What the ten-line rule gets right, as a row of the table."""
    with open(labels, newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    cards = np.stack([picture(data / row["file"], SIZE) for row in rows])
    right = border_rule(cards) == np.array([row["clean"] == "0" for row in rows])
    shares = [right] + [right[[row["group"] == group for row in rows]] for group in GROUPS]
    return "| rule: more than 10 % of the border below 235 |" + "".join(f" {100 * s.mean():.1f} % |" for s in shares) + " |"


def size(bgdet: Path, model: Path) -> str:
    found = re.search(r"([\d.]+ [kMG]?) parameters in \w+, ([\d.]+ [kMG]?) MACs", run(bgdet, "inspect", model).stdout)
    return f"{found[1]}, {found[2]}"


def speed(bgdet: Path, pipeline: Path, cards: Path) -> str:
    """Cards/s of the whole run, and the classifier's milliseconds of a thread per card: the median of three runs."""
    def once() -> tuple[float, float]:
        summary = run(bgdet, "score", "-p", pipeline, "-o", "/dev/null", "--files-from", cards).stderr
        return float(re.search(r"\((\d+)/s\)", summary)[1]), float(re.search(r"classify ([\d.]+)", summary)[1])
    rate, classify = sorted(once() for _ in range(3))[1]
    return f"{rate:.0f}, {classify:.2f} ms"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", type=Path, required=True)
    parser.add_argument("--made", type=Path, required=True)
    parser.add_argument("--data", type=Path, default=ROOT / "../shared/data", help="the folder that real.csv names files from")
    parser.add_argument("--cards", type=Path, required=True, help="a list of names: what speed is measured on")
    parser.add_argument("--pipeline", type=Path, default=ROOT / "pipelines/default.json")
    parser.add_argument("--bgdet", type=Path, default=ROOT / "build/release/bgdet")
    args = parser.parse_args()
    head = "all: accuracy, cross-entropy (95 % of accuracy) | " + " | ".join(GROUPS) + " | AUC |"
    tables = {"made": [f"| made cards | {head}"], "real": [f"| real cards | {head}"],
              "cost": ["| | parameters, MACs as converted | cards/s, classifier per card |"]}
    with tempfile.TemporaryDirectory() as folder:
        for model in sorted(args.models.glob("*.bgd")):
            pipeline = pipeline_with(model, args.pipeline, Path(folder))
            tables["made"].append(f"| {model.stem} |{cells(evaluate(args.bgdet, pipeline, args.made, None))}")
            real = evaluate(args.bgdet, pipeline, Path(__file__).with_name("real.csv"), args.data)
            tables["real"].append(f"| {model.stem} |{cells(real)}")
            tables["cost"].append(f"| {model.stem} | {size(args.bgdet, model)} | {speed(args.bgdet, pipeline, args.cards)} |")
    tables["real"].append(floor(Path(__file__).with_name("real.csv"), args.data))
    for table in tables.values():
        table.insert(1, "|" + "---|" * (table[0].count("|") - 1))
        print("\n".join(table), end="\n\n")


if __name__ == "__main__":
    main()
