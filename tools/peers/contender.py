"""What tools/peers/cpu runs beside bgdet, each in a process of its own, which waits while others are timed.

A contender tries its forms when it is made, drops those whose outputs are not bgdet's, and keeps the fastest. It then answers each
line of its standard input with a sample: images a second, by its own clock.
"""
from __future__ import annotations

import functools
import json
import sys
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

import modelfile
from decoders import Files
from forms import Missing
from judge import Judge
from network_peer import pictures
from ours import Program
from runtimes import RUNTIMES, Arrays, Form, Lane
from shrinkers import SHRINKERS, Sizes, exact

TRIALS = 2  # of each form that is hopeful after the warm-up; the fastest of a form's counts
HOPEFUL = 0.6  # so much of the rate of the fastest
CALLS = 2  # of each lane in a sample, at the least
EPOCH = 4  # batches of a lane: a run of bgdet bench has as many
PRECISION = "f32"
NETWORK_OFF = 1e-3  # |theirs - bgdet's| / |bgdet's|, of masks and logits
THUMBNAIL_OFF = 2.0  # mean, of 255, from thumbnails of all pixels
SCORE_OFF = 0.02  # mean of |P - bgdet's P|: decoders shrink in ways of their own
OPPOSITE = 0.05  # the share of cards that one calls clean and the other defective; some lie at an edge of the review band


class Differs(Exception):
    """All its forms compute something else."""


class Choice(NamedTuple):
    """A way to do it: a sample is `calls` calls of each part, side by side, of `images` images each."""

    name: str
    parts: list[Callable[[], object]]
    images: int


def repeat(part: Callable[[], object], calls: int) -> None:
    for _ in range(calls):
        part()


class Stage:
    """The fastest of some choices, and how fast the others were."""

    def __init__(self, choices: list[Choice], least: int = CALLS) -> None:
        if not choices:
            raise Missing("nothing of it runs here")
        self.pool, self.least = ThreadPoolExecutor(max(len(choice.parts) for choice in choices)), least
        rates = {choice.name: self.rate(choice, 1) for choice in choices}  # the warm-up
        hopeful = [choice for choice in choices if rates[choice.name] > HOPEFUL * max(rates.values())]
        for choice in hopeful * TRIALS:
            rates[choice.name] = max(rates[choice.name], self.rate(choice, 1))
        self.tried = {name: round(rate, 2) for name, rate in rates.items()}
        self.best = max(hopeful, key=lambda choice: rates[choice.name])

    def rate(self, choice: Choice, calls: int) -> float:
        begun = time.perf_counter()
        for done in [self.pool.submit(repeat, part, calls) for part in choice.parts]:
            done.result()
        return calls * len(choice.parts) * choice.images / (time.perf_counter() - begun)

    def sample(self, seconds: float) -> float:
        a_call = len(self.best.parts) * self.best.images / self.tried[self.best.name]
        return self.rate(self.best, max(self.least, round(seconds / a_call)))


class Forms(NamedTuple):
    """Of a module in some runtimes: those that agree, how far they are off, and what was passed over."""

    agreeing: list[Form]
    off: float
    passed_over: list[str]


def forms_of(runtimes: list[str], module: nn.Module, inputs: Arrays, threads: int, expected: np.ndarray,
             n_lanes: int | None = None) -> Forms:
    """Of forms with so many lanes. Raises Differs if none gives what is expected of the inputs, Missing if there is none."""
    agreeing, passed_over, differing, offs = [], [], [], []
    for runtime in runtimes:
        try:
            for form in RUNTIMES[runtime](module, inputs, threads):
                if isinstance(form, Missing):
                    passed_over.append(str(form))
                    continue
                if n_lanes and len(form.lanes) != n_lanes:
                    continue
                name = f"{runtime}, {form.name}" if len(runtimes) > 1 and form.name else form.name or runtime
                found = form.lanes[0](inputs).reshape(expected.shape)
                off = float(np.linalg.norm(found - expected) / np.linalg.norm(expected))
                if off <= NETWORK_OFF:
                    agreeing.append(Form(name, form.lanes))
                    offs.append(off)
                else:
                    differing.append(f"{name}: outputs off by {off:.1e}, at most {NETWORK_OFF:.0e} is allowed")
        except Missing as missing:
            passed_over.append(str(missing))
    if differing and not agreeing:
        raise Differs("; ".join(differing))
    if not agreeing:
        raise Missing("; ".join(passed_over))
    return Forms(agreeing, max(offs), passed_over + differing)


# ---------------------------------------------------------------- networks

def network(job: dict, program: Program) -> tuple[Stage, dict]:
    """job: {"runtime", "model", "batch", "threads", "names"}"""
    module, meta = modelfile.network(Path(job["model"]))
    x = pictures(meta, job["names"], job["batch"])
    inputs = [x]
    forms = forms_of([job["runtime"]], module, inputs, job["threads"], program.outputs(Path(job["model"]), x, PRECISION))

    def part(lane: Lane) -> Callable[[], object]:
        return lambda: lane(inputs)

    stage = Stage([Choice(form.name, [part(lane) for lane in form.lanes], job["batch"]) for form in forms.agreeing])
    return stage, {"agreement": f"outputs off by {forms.off:.0e}", "passed over": forms.passed_over}


# ---------------------------------------------------------------- decoding

@functools.cache
def data_of(name: str) -> bytes:
    return Path(name).read_bytes()


@functools.cache
def opened(shrinker: str) -> Callable[[bytes, Sizes], list[np.ndarray]]:
    return SHRINKERS[shrinker]()


def shrink_all(shrinker: str, names: list[str], sizes: Sizes) -> None:
    for name in names:
        opened(shrinker)(data_of(name), sizes)


def thumbnail_off(shrinker: str, names: list[str], sizes: Sizes) -> float:
    """The mean of |theirs - of all pixels|, of 255."""
    pairs = [(a, b) for name in names for a, b in zip(opened(shrinker)(data_of(name), sizes), exact(data_of(name), sizes))]
    return float(np.mean([np.abs(a.astype(np.float32) - b).mean() for a, b in pairs]))


def decoder(job: dict, _: Program) -> tuple[Stage, dict]:
    """job: {"shrinker", "sizes", "threads", "names"}; a process per core, since Python has one lock."""
    sizes, names = [tuple(size) for size in job["sizes"]], job["names"]
    processes = ProcessPoolExecutor(job["threads"])
    off = processes.submit(thumbnail_off, job["shrinker"], names, sizes).result()
    if off > THUMBNAIL_OFF:
        raise Differs(f"thumbnails off by {off:.2f} of 255, at most {THUMBNAIL_OFF} is allowed")

    def part() -> None:
        processes.submit(shrink_all, job["shrinker"], names, sizes).result()

    stage = Stage([Choice(named_process(job["threads"]), [part] * job["threads"], len(names))])
    return stage, {"agreement": f"thumbnails off by {off:.2f} of 255"}


def named_process(threads: int) -> str:
    return "a process per core" if threads > 1 else "one process"


# ---------------------------------------------------------------- pipelines

class FromBytes(nn.Module):
    """A judge of (n, h, w, 3) bytes, as decoders give them."""

    def __init__(self, judge: Judge) -> None:
        super().__init__()
        self.judge = judge

    def forward(self, *sizes: Tensor) -> Tensor:
        return self.judge(*(x.permute(0, 3, 1, 2) for x in sizes))


class PillowFiles(Files):
    def __getitem__(self, index: int) -> tuple[Tensor, ...]:
        data = Path(self.names[index]).read_bytes()
        return tuple(torch.from_numpy(x.copy()) for x in opened("Pillow")(data, self.sizes))


def decoded(shrinker: str, names: list[str], sizes: Sizes) -> Arrays:
    thumbnails = [opened(shrinker)(Path(name).read_bytes(), sizes) for name in names]
    return [np.stack(same) for same in zip(*thumbnails)]


def worker_choices(form: Form, names: list[str], sizes: Sizes, batch: int, threads: int) -> list[tuple[Choice, Callable]]:
    """Pillow in a DataLoader before that form, with a worker per core and without workers."""
    def choice(workers: int) -> tuple[Choice, Callable[[], list[float]]]:
        more = {"persistent_workers": True, "prefetch_factor": 4} if workers else {}
        loader = torch.utils.data.DataLoader(PillowFiles(names, sizes), batch, num_workers=workers, **more)

        def scores() -> list[float]:
            return [float(p) for parts in loader for p in form.lanes[0]([part.numpy() for part in parts])]

        return Choice(f"{form.name}; DataLoader with {workers} workers", [scores], len(names)), scores

    return [choice(0), choice(threads)]


def lane_choice(shrinker: str, form: Form, names: list[str], sizes: Sizes, batch: int) -> tuple[Choice, Callable]:
    """That decoder and that form: each core decodes and judges batches of its own."""
    lanes, batches = form.lanes, [names[i:i + batch] for i in range(0, len(names), batch)]

    def work(k: int) -> None:
        for part in batches[k::len(lanes)]:
            lanes[k](decoded(shrinker, part, sizes))

    def scores() -> list[float]:
        """Of as many batches as hold every card."""
        some = batches[:-(-len(set(names)) // batch)]
        return [float(p) for i, part in enumerate(some) for p in lanes[i % len(lanes)](decoded(shrinker, part, sizes))]

    parts = [functools.partial(work, k) for k in range(len(lanes))]
    return Choice(f"{shrinker} + {form.name}", parts, len(names) // len(lanes)), scores


def agrees_with(scores: list[float], names: list[str], rows: dict[str, dict], judge: Judge) -> tuple[bool, str]:
    off = float(np.mean([abs(p - rows[name]["score"]) for p, name in zip(scores, names)]))
    verdicts = [(judge.verdict(p), rows[name]["verdict"]) for p, name in zip(scores, names)]
    same = float(np.mean([a == b for a, b in verdicts]))
    opposite = float(np.mean([{a, b} == {"clean", "defective"} for a, b in verdicts]))
    return (off <= SCORE_OFF and opposite <= OPPOSITE,
            f"P off by {off:.4f}, verdicts: {100 * same:.0f} % the same, {100 * opposite:.0f} % opposite")


def fastest_of(forms: list[Form], inputs: Arrays, batch: int) -> Form:
    by_name = {form.name: form for form in forms}
    choices = [Choice(form.name, [lambda lane=lane: lane(inputs) for lane in form.lanes], batch) for form in forms]
    return by_name[Stage(choices).best.name]


def pipeline(job: dict, program: Program) -> tuple[Stage, dict]:
    """job: {"runtimes", "shrinkers", "pipeline", "batch", "threads", "names"}; without "shrinkers": Pillow in a DataLoader."""
    batch, threads, path = job["batch"], job["threads"], Path(job["pipeline"])
    judge = Judge(path, torch.float32)
    distinct, turn = job["names"], batch * threads
    count = turn * max(EPOCH, -(-len(distinct) // turn))  # all lanes have as many, and each card is there
    names = (distinct * (count // len(distinct) + 1))[:count]
    rows = dict(zip(distinct, program.rows(path, distinct, PRECISION)))
    inputs = decoded("Pillow", names[:batch], judge.sizes)
    module = FromBytes(judge).eval()
    with torch.inference_mode():
        expected = module(*map(torch.from_numpy, inputs)).numpy()
    forms = forms_of(job["runtimes"], module, inputs, threads, expected, threads if "shrinkers" in job else 1)
    form, candidates = fastest_of(forms.agreeing, inputs, batch), []
    if "shrinkers" in job:
        for name in job["shrinkers"]:
            try:
                opened(name)
                candidates.append(lane_choice(name, form, names, judge.sizes, batch))
            except Missing as missing:
                forms.passed_over.append(str(missing))
    else:
        candidates = worker_choices(form, names, judge.sizes, batch, threads)
    texts, agreeing = {}, []
    for choice, scores in candidates:
        agrees, texts[choice.name] = agrees_with(scores(), names, rows, judge)
        agreeing += [choice] * agrees
    if not agreeing:
        raise Differs("; ".join(f"{name}: {text}" for name, text in texts.items()))
    stage = Stage(agreeing, least=1)
    passed_over = forms.passed_over + [f"{name}: {text}" for name, text in texts.items()
                                       if name not in [choice.name for choice in agreeing]]
    return stage, {"agreement": texts[stage.best.name], "passed over": passed_over}


KINDS = {"network": network, "decoder": decoder, "pipeline": pipeline}


def run(job: dict) -> None:
    def say(line: dict) -> None:
        print(json.dumps(line), file=out, flush=True)

    out, sys.stdout = sys.stdout, sys.stderr  # libraries print, too
    try:
        stage, facts = KINDS[job["kind"]](job, Program("onednn"))
    except Missing as missing:
        return say({"skipped": str(missing)})
    except Differs as differs:
        return say({"differs": str(differs)})
    say({"form": stage.best.name, "tried": stage.tried, **facts})
    for _ in sys.stdin:
        say({"rate": stage.sample(job["seconds"])})
