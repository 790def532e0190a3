"""How long something takes, on a CPU or a GPU, and what to do when there is no time left."""
from __future__ import annotations

import contextlib
import signal
import time
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
import torch

SAMPLES = 7  # at the least
SAMPLE_SECONDS = 0.02  # a sample is as many calls as take so long: far more than a clock's or an event's own error


class Spread(NamedTuple):
    median: float
    p10: float
    p90: float
    n: int


def spread(values: list[float]) -> Spread:
    return Spread(*(float(np.percentile(values, p)) for p in (50, 10, 90)), len(values))


def seconds_of(run: Callable[[], object], device: str, calls: int = 1) -> float:
    """Of one call, the mean of so many in a row: between two events of the GPU's stream, or by the wall clock."""
    if device == "cuda":
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        start.record()
        for _ in range(calls):
            run()
        end.record()
        end.synchronize()
        return start.elapsed_time(end) / 1e3 / calls
    begun = time.perf_counter()
    for _ in range(calls):
        run()
    return (time.perf_counter() - begun) / calls


def calls_of(run: Callable[[], object], device: str) -> int:
    """How many make a sample. Warms up, too."""
    run()
    return max(1, round(SAMPLE_SECONDS / max(seconds_of(run, device), 1e-6)))


def in_turn(runs: dict[str, Callable[[], object]], device: str, samples: int = SAMPLES) -> dict[str, list[float]]:
    """Seconds of a call of each, sample by sample and round by round: what disturbs the machine disturbs them all."""
    calls = {name: calls_of(run, device) for name, run in runs.items()}
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(samples):
        for name, run in runs.items():
            seconds[name].append(seconds_of(run, device, calls[name]))
    return seconds


class OutOfTime(Exception):
    """Not a TimeoutError: libraries raise and catch those for reasons of their own."""


@contextlib.contextmanager
def at_most(seconds: float) -> Iterator[None]:
    """Raises OutOfTime in its body when they are over, and behind it, whatever a library has made of it. One at a time, in the main
    thread."""
    over = OutOfTime(f"{seconds:.0f} s were over" if seconds > 0 else "no time was left")
    fired = []

    def stop(*_: object) -> None:
        fired.append(True)
        raise over

    if seconds <= 0:
        raise over
    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    except Exception:
        if fired:
            raise over from None
        raise
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
