"""bgdet's own side of a comparison: its outputs, its rows, its rates."""
from __future__ import annotations

import json
import re
import subprocess
import tempfile
from pathlib import Path
from typing import NamedTuple

import numpy as np

from forms import Missing
from places import BGDET
from stopwatch import Spread

COUNTS = 8  # of a run's cards when `bgdet score` is timed instead of `bgdet bench`: so many times the list


class Program(NamedTuple):
    device: str  # "auto", "cuda", ...

    def run(self, *arguments: object) -> subprocess.CompletedProcess:
        """Raises Missing with the first line that the program said, if it ends with anything but 0."""
        done = subprocess.run([*BGDET, *map(str, arguments)], capture_output=True, text=True)
        if done.returncode != 0:
            said = done.stderr.strip().splitlines() or [f"exit {done.returncode}"]
            raise Missing(f"bgdet {arguments[0]}: {said[0]}")
        return done

    def version(self) -> str:
        return self.run("--version").stdout.strip()

    def outputs(self, model: Path, x: np.ndarray, precision: str) -> np.ndarray:
        """The mask of a segmenter, the logits of a classifier, for (n, c, h, w) float32."""
        with tempfile.TemporaryDirectory() as folder:
            source, target = Path(folder, "x.npy"), Path(folder, "y.npy")
            np.save(source, x)
            self.run("infer", model, "--input", source, "-o", target, "--backend", self.device, "--precision", precision)
            logits = Path(folder, "y.logits.npy")
            return np.load(logits if logits.exists() else target)

    def score(self, pipeline: Path, names: list[str], precision: str, rows: Path) -> str:
        """Writes the rows of the files to `rows`; returns what the program says about the run."""
        with tempfile.NamedTemporaryFile("w", suffix=".txt") as file:
            file.write("\n".join(names) + "\n")
            file.flush()
            return self.run("score", "--device", self.device, "--precision", precision, "-p", pipeline, "-o", rows,
                            "--files-from", file.name).stderr

    def rows(self, pipeline: Path, names: list[str], precision: str) -> list[dict]:
        with tempfile.TemporaryDirectory() as folder:
            rows = Path(folder, "rows.jsonl")
            self.score(pipeline, names, precision, rows)
            return [json.loads(line) for line in rows.read_text().splitlines()]

    def verdicts(self, pipeline: Path, names: list[str], precision: str) -> list[str | None]:
        """Of each file; None for one that could not be judged."""
        return [row.get("verdict") for row in self.rows(pipeline, names, precision)]

    def bench(self, pipeline: Path, cards: Path, precision: str, options: list[str]) -> dict:
        """What bgdet bench finds out about the stages of a pipeline, as it writes it."""
        with tempfile.TemporaryDirectory() as folder:
            target = Path(folder, "bench.json")
            self.run("bench", *options, "--device", self.device, "--precision", precision, "-p", pipeline, "--json", target, cards)
            return json.loads(target.read_text())

    def scored_rate(self, pipeline: Path, names: list[str], precision: str) -> Spread:
        """Cards a second by the summary of a whole run of bgdet score, its start included: where there is no bench."""
        said = self.score(pipeline, names * COUNTS, precision, Path("/dev/null"))
        found = re.search(r"in ([\d.]+) s \((\d+)/s\)", said)
        if not found:
            raise Missing("bgdet score does not say how fast it was")
        return Spread(float(found[2]), float(found[2]), float(found[2]), 1)


def rate_of(report: dict, name: str) -> Spread | None:
    """The rate that a report of bgdet bench (tools/bench_json.c) has for a stage, or for "end_to_end"; None: it has none."""
    stages = {stage.get("name"): stage for stage in report.get("stages", [])}
    rate = stages.get(name) or report.get(name)
    if not isinstance(rate, dict) or "median" not in rate:
        return None
    middle = rate["median"]
    return Spread(middle, rate.get("p10", middle), rate.get("p90", middle), rate.get("repetitions", 1))


def ratio(ours: list[Spread], theirs: Spread) -> float | None:
    """How many times faster bgdet is: the median of what was measured around the peer, over the peer's median. None without."""
    return float(np.median([rate.median for rate in ours])) / theirs.median if ours else None
