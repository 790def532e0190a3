"""A PyTorch module on a CPU in the runtimes that people have, each in the forms that its makers advise.

A form has lanes, which run side by side, each by calls from a thread of its own: one that computes on all cores, or one per core.
A lane takes and gives NumPy arrays, in f32; the batch is that of `inputs`, which the form is prepared with.
"""
from __future__ import annotations

import contextlib
import copy
import itertools
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import nn

import forms
import portable
from forms import Missing

Arrays = list[np.ndarray]
Lane = Callable[[Arrays], np.ndarray]


class Form(NamedTuple):
    name: str
    lanes: list[Lane]


def side_by_side(threads: int) -> list[tuple[str, int, int]]:
    """What the form is called, its lanes, and the threads of each."""
    together = ("one batch on all cores", 1, threads)
    return [together, ("a batch per core", threads, 1)] if threads > 1 else [("", 1, 1)]


def named(*words: str) -> str:
    return ", ".join(word for word in words if word)


# ---------------------------------------------------------------- PyTorch

def laid_out(arrays: Arrays, layout: torch.memory_format) -> list[torch.Tensor]:
    tensors = [torch.from_numpy(array) for array in arrays]
    return [x.contiguous(memory_format=layout) if x.is_floating_point() else x for x in tensors]


def pytorch(module: nn.Module, inputs: Arrays, threads: int) -> Iterator[Form | Missing]:
    layouts = {"channels_last": torch.channels_last, "": torch.contiguous_format}
    for kind, (word, layout) in itertools.product(("eager", "script", "compile"), layouts.items()):
        try:
            torch.set_num_threads(threads)
            with torch.inference_mode():
                run = forms.prepare(kind, copy.deepcopy(module).to(memory_format=layout), *laid_out(inputs, layout))
        except Exception as error:  # noqa: BLE001: whatever a compiler says ends this form alone
            yield Missing(f"{named(kind, word)}: {' '.join(str(error).split())[:200]}")
            continue
        for how, lanes, each in side_by_side(threads):
            def lane(arrays: Arrays, run: forms.Run = run, layout: torch.memory_format = layout, each: int = each) -> np.ndarray:
                if torch.get_num_threads() != each:  # a setting of the calling thread
                    torch.set_num_threads(each)
                with torch.inference_mode():
                    return run(*(() if arrays is inputs else laid_out(arrays, layout))).numpy()

            yield Form(named(kind, word, how), [lane] * lanes)


# ---------------------------------------------------------------- runtimes that read ONNX

def session_lane(session: object) -> Lane:
    names = [x.name for x in session.get_inputs()]
    return lambda arrays: session.run(None, dict(zip(names, arrays)))[0]


def request_lane(request: object) -> Lane:
    return lambda arrays: request.infer(arrays, share_inputs=True, share_outputs=True)[0]


def onnxruntime(module: nn.Module, inputs: Arrays, threads: int) -> Iterator[Form | Missing]:
    try:
        import onnxruntime as ort
    except ImportError:
        raise Missing("ONNX Runtime is not installed: pip install onnxruntime") from None
    with exported(module, inputs) as path:
        for how, lanes, each in side_by_side(threads):
            options = ort.SessionOptions()
            options.intra_op_num_threads, options.inter_op_num_threads = each, 1
            options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_ALL  # blocked layouts, too
            options.log_severity_level = 3
            sessions = [ort.InferenceSession(path, options, providers=["CPUExecutionProvider"]) for _ in range(lanes)]
            yield Form(named("all optimisations", how), [session_lane(session) for session in sessions])


def openvino(module: nn.Module, inputs: Arrays, threads: int) -> Iterator[Form | Missing]:
    try:
        import openvino as ov
    except ImportError:
        raise Missing("OpenVINO is not installed: pip install openvino") from None
    with exported(module, inputs) as path:
        network = ov.Core().read_model(path)
    for how, lanes, _ in side_by_side(threads):
        hint = "THROUGHPUT" if lanes > 1 or threads == 1 else "LATENCY"
        compiled = ov.Core().compile_model(network, "CPU", {
            "PERFORMANCE_HINT": hint, "NUM_STREAMS": lanes, "INFERENCE_NUM_THREADS": threads, "INFERENCE_PRECISION_HINT": "f32"})
        yield Form(named(hint.lower(), how), [request_lane(compiled.create_infer_request()) for _ in range(lanes)])


@contextlib.contextmanager
def exported(module: nn.Module, inputs: Arrays) -> Iterator[str]:
    """The name of an ONNX file of the module, which is there for a while."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "network.onnx")
        portable.export(module, tuple(torch.from_numpy(array) for array in inputs), path)
        yield str(path)


RUNTIMES = {"PyTorch": pytorch, "ONNX Runtime": onnxruntime, "OpenVINO": openvino}
