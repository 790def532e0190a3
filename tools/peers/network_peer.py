"""One network, the same weights and pictures: PyTorch in each of forms.FORMS, and bgdet before and after."""
from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from PIL import Image

import modelfile
from forms import DTYPES, Missing, prepare
from ours import Program, rate_of, ratio
from stopwatch import OutOfTime, Spread, at_most, in_turn, spread

STAGES = (("eager", "graph"), ("compile",), ("max-autotune",))  # each is over before the next one may take what time is left
PIXELS = 1 << 22  # of the smallest batch, about: 32 pictures of 320x320, 1024 of 60x80
SWEEP = (1, 2, 4)  # that batch, and so many times it
SWEEP_SAMPLES = 3
GIVEN = 64  # pictures that bgdet is given: a batch of bgdet bench --batch 64, whose plans are there already
COMPARED = {"segmenter": 8, "classifier": 64}  # of them, whose outputs are compared
SAME_SIDE = 0.99  # the share of the masks' pixels, or of the labels, that must be on bgdet's side of P = 0.5
OFF = {"f32": 1e-3, "f16": 3e-2, "bf16": 0.2}  # |theirs - ours| / |ours| of random weights, whose P may all lie near 0.5


def pictures(meta: dict, names: list[str], n: int) -> np.ndarray:
    """(n, c, h, w) float32: cards as the network takes them; a fourth channel has an oval object in the middle."""
    spec = meta["input"]
    w, h = spec["width"], spec["height"]
    mean, std = (np.array(spec[key], np.float32) for key in ("mean", "std"))
    x = np.empty((n, spec["channels"], h, w), np.float32)
    v, u = np.mgrid[-1:1:h * 1j, -1:1:w * 1j]
    for i in range(n):
        rgb = np.asarray(Image.open(names[i % len(names)]).convert("RGB").resize((w, h), Image.BILINEAR), np.float32) / 255
        x[i, :3] = ((rgb - mean) / std).transpose(2, 0, 1)
        x[i, 3:] = 1 - np.clip(2 - 2.5 * (u * u + v * v), 0, 1)
    return x


def agreement(theirs: np.ndarray, ours: np.ndarray, kind: str, is_random: bool, precision: str) -> tuple[bool, str]:
    theirs = theirs.reshape(ours.shape)
    middle = 0.5 if kind == "segmenter" else 0  # P, or its logit
    same = float(np.mean((theirs >= middle) == (ours >= middle)))
    off = float(np.linalg.norm(theirs - ours) / np.linalg.norm(ours))
    agrees = off <= OFF[precision] if is_random else same >= SAME_SIDE
    return agrees, f"{100 * same:.2f} % on the same side of 0.5, off by {off:.1e}"


def batches(meta: dict, smoke: bool) -> list[int]:
    if smoke:
        return [4]
    least = 1 << round(np.log2(PIXELS / (meta["input"]["width"] * meta["input"]["height"])))
    return [least * times for times in SWEEP]


class Peer:
    """A job: {"model", "pipeline", "precision", "cards", "names", "device", "seconds", "smoke", ...} of tools/peers/gpu."""

    def __init__(self, job: dict, program: Program, emit: Callable[[dict], None]) -> None:
        self.job, self.program, self.emit = job, program, emit
        self.device, self.precision = job["device"], job["precision"]
        self.end = time.monotonic() + job["seconds"]
        network, self.meta = modelfile.network(Path(job["model"]))
        self.network = network.to(self.device, DTYPES[self.precision]).to(memory_format=torch.channels_last)
        self.stage = "segment" if self.meta["kind"] == "segmenter" else "classify"
        self.batches = batches(self.meta, job["smoke"])
        self.compared = min(self.batches[0], COMPARED[self.meta["kind"]])
        self.pictures = pictures(self.meta, job["names"], self.batches[0] if job["smoke"] else GIVEN)
        self.agreements: dict[str, str] = {}
        self.ours: list[Spread] = []
        self.why_not: str | None = None

    def left(self) -> float:
        return self.end - time.monotonic()

    def input(self, batch: int) -> torch.Tensor:
        """The pictures again and again: the first ones are what is compared."""
        few = torch.from_numpy(self.pictures[:batch]).to(self.device, DTYPES[self.precision])
        x = few.repeat(batch // len(few) + 1, 1, 1, 1)[:batch]
        return x.contiguous(memory_format=torch.channels_last)

    def measure_ours(self) -> None:
        try:
            report = self.program.bench(self.job["pipeline"], self.job["cards"], self.precision, self.job["bench"])
            rate = rate_of(report, self.stage)
            if rate is None:
                raise Missing(f"bgdet bench says nothing of \"{self.stage}\"")
            self.ours.append(rate)
        except Missing as missing:
            self.why_not = str(missing)

    def best_batch(self) -> tuple[int, dict[int, float]]:
        """By the eager network, in a CUDA graph where there is one; what does not fit the memory ends the sweep."""
        rates: dict[int, float] = {}
        for batch in self.batches:
            x = self.input(batch)
            try:
                run = prepare("graph" if self.device == "cuda" else "eager", self.network, x)
                rates[batch] = batch / spread(in_turn({"": run}, self.device, SWEEP_SAMPLES)[""]).median
            except torch.cuda.OutOfMemoryError:
                break
        return max(rates, key=rates.get), rates

    def prepared(self, form: str, x: torch.Tensor, expected: np.ndarray) -> Callable[[], torch.Tensor] | None:
        """None, and a line that says why, if it cannot be had or computes something else."""
        try:
            with at_most(self.left()):
                run = prepare(form, self.network, x)
            result = run()[:self.compared].float().cpu().numpy()
        except Missing as missing:
            return self.emit({"form": form, "skipped": str(missing)})
        except OutOfTime as over:
            return self.emit({"form": form, "not done": str(over)})
        except Exception as error:  # noqa: BLE001: whatever a compiler or a capture says ends this form alone
            return self.emit({"form": form, "skipped": f"{type(error).__name__}: {error}".splitlines()[0][:200]})
        agrees, text = agreement(result, expected, self.meta["kind"], self.job["random"], self.precision)
        self.agreements[form] = text
        if not agrees:
            return self.emit({"form": form, "not timed": f"outputs differ: {text}"})
        return run

    def report(self, seconds: dict[str, list[float]], batch: int, sweep: dict[int, float]) -> None:
        for form, values in seconds.items():
            rate = spread([batch / value for value in values])
            self.emit({"form": form, "batch": batch, "peer": rate._asdict(), "bgdet": [r._asdict() for r in self.ours],
                       "bgdet skipped": self.why_not, "ratio": ratio(self.ours, rate), "agreement": self.agreements[form],
                       "sweep": sweep})

    @torch.inference_mode()
    def measure(self) -> None:
        torch.backends.cudnn.benchmark = True
        expected = self.program.outputs(self.job["model"], self.pictures, self.precision)[:self.compared]
        batch, sweep = self.best_batch()
        x = self.input(batch)
        self.measure_ours()
        for forms in STAGES:
            runs = {form: run for form in forms if (run := self.prepared(form, x, expected))}
            if runs:
                seconds = in_turn(runs, self.device)
                self.report(seconds, batch, sweep)  # and again below, if there is time to measure bgdet behind it
                self.measure_ours()
                self.report(seconds, batch, sweep)


def run(job: dict, program: Program) -> None:
    Peer(job, program, lambda line: print(json.dumps(line), flush=True)).measure()
