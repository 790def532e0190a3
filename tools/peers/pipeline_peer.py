"""A whole pipeline from JPEG bytes: each of decoders.DECODERS in front of judge.Judge on the GPU, and bgdet before and after."""
from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path

import torch

from decoders import DECODERS, open_decoder
from forms import DTYPES, Missing, Run, prepare
from judge import Judge
from ours import Program, rate_of, ratio
from stopwatch import SAMPLES, OutOfTime, Spread, at_most, spread

FORMS = ("compile", "graph", "eager")  # the first that this PyTorch has
BATCH = 256
BATCHES = 16  # of an epoch
COMPILING = 0.4  # of the job's seconds, at the most: a CUDA graph feeds as fast as decoders fill it
SAME_VERDICTS = 0.99


def prepared(judge: Judge, inputs: list[torch.Tensor], seconds: float) -> tuple[str, Run, dict[str, str]]:
    """The form, how to run it, and why those before it were passed over."""
    passed_over = {}
    for form in FORMS:
        try:
            with at_most(seconds):
                return form, prepare(form, judge, *inputs), passed_over
        except (Missing, OutOfTime) as why:
            passed_over[form] = str(why)
        except Exception as error:  # noqa: BLE001: whatever a compiler or a capture says
            passed_over[form] = f"{type(error).__name__}: {error}".splitlines()[0][:200]
    raise Missing("; ".join(f"{form}: {why}" for form, why in passed_over.items()))


def scores(decoder: object, run: Run) -> list[float]:
    """Of an epoch: nothing waits for the GPU before its end."""
    return torch.cat([run(*batch).clone() for batch in decoder.epoch()]).cpu().tolist()


class Peer:
    """A job: {"pipeline", "precision", "cards", "names", "device", "seconds", "smoke", "workers"} of tools/peers/gpu."""

    def __init__(self, job: dict, program: Program, emit: Callable[[dict], None]) -> None:
        self.job, self.program, self.emit = job, program, emit
        self.path, self.device, self.precision = Path(job["pipeline"]), job["device"], job["precision"]
        self.judge = Judge(self.path, DTYPES[self.precision]).to(self.device).to(memory_format=torch.channels_last)
        self.batch = 4 if job["smoke"] else BATCH
        count = self.batch * (2 if job["smoke"] else BATCHES)
        self.names = (job["names"] * (count // len(job["names"]) + 1))[:count]
        self.ours: list[Spread] = []

    def measure_ours(self) -> str:
        """Returns by which command."""
        try:
            rate = rate_of(self.program.bench(self.path, self.job["cards"], self.precision, self.job["bench"]), "end_to_end")
            if rate is not None:
                self.ours.append(rate)
                return "bench"
        except Missing:
            pass
        self.ours.append(self.program.scored_rate(self.path, self.names, self.precision))
        return "score"

    def compare(self, found: list[float], expected: dict[str, str]) -> tuple[bool, str]:
        same = sum(self.judge.verdict(p) == expected[name] for p, name in zip(found, self.names))
        return same >= SAME_VERDICTS * len(self.names), f"{same} of {len(self.names)} verdicts are bgdet's"

    def measure_decoder(self, name: str, form: str, run: Run, expected: dict[str, str]) -> dict:
        decoder = open_decoder(name, self.names, self.judge.sizes, self.batch, self.device, self.job["workers"])
        agrees, text = self.compare(scores(decoder, run), expected)  # the warm-up: workers start, files are read
        if not agrees:
            return {"not timed": text}
        rates = []
        for _ in range(SAMPLES):
            begun = time.perf_counter()
            scores(decoder, run)
            rates.append(len(self.names) / (time.perf_counter() - begun))
        by = self.measure_ours()
        rate = spread(rates)
        return {"batch": self.batch, "judged by": form, "workers": self.job["workers"], "peer": rate._asdict(),
                "bgdet": [r._asdict() for r in self.ours], "bgdet by": by, "ratio": ratio(self.ours, rate), "agreement": text}

    @torch.inference_mode()
    def measure(self) -> None:
        end = time.monotonic() + self.job["seconds"]
        torch.backends.cudnn.benchmark = True
        distinct = sorted(set(self.names))
        expected = dict(zip(distinct, self.program.verdicts(self.path, distinct, self.precision)))
        inputs = [torch.zeros(self.batch, 3, *size, dtype=torch.uint8, device=self.device)
                  .contiguous(memory_format=torch.channels_last) for size in self.judge.sizes]
        form, run, passed_over = prepared(self.judge, inputs, COMPILING * self.job["seconds"])
        self.measure_ours()
        for name in DECODERS:
            try:
                with at_most(end - time.monotonic()):
                    line = self.measure_decoder(name, form, run, expected)
            except Missing as missing:
                line = {"skipped": str(missing)}
            except OutOfTime as over:
                line = {"not done": str(over)}
            except Exception as error:  # noqa: BLE001: whatever a decoder says ends it alone
                line = {"skipped": f"{type(error).__name__}: {error}".splitlines()[0][:200]}
            self.emit({"form": name, **line, **({"passed over": passed_over} if passed_over else {})})


def run(job: dict, program: Program) -> None:
    Peer(job, program, lambda line: print(json.dumps(line), flush=True)).measure()
