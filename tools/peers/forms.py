"""The ways in which people run a PyTorch module that is done with training."""
from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

FORMS = {
    "eager": "as it is",
    "script": "traced to TorchScript, frozen, torch.jit.optimize_for_inference",
    "graph": "eager, captured in a CUDA graph",
    "compile": "torch.compile, in CUDA graphs on a GPU",
    "max-autotune": "torch.compile(mode='max-autotune'), which times kernels for each layer",
}
DTYPES = {"f16": torch.float16, "bf16": torch.bfloat16, "f32": torch.float32}
WARM_UPS = 3

Run = Callable[..., Tensor]  # without inputs: on those that it was prepared with


class Missing(Exception):
    """This PyTorch or this machine does not have it."""


def capture(module: nn.Module, inputs: tuple[Tensor, ...]) -> Run:
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(WARM_UPS):
            module(*inputs)
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        output = module(*inputs)

    def run(*others: Tensor) -> Tensor:
        for place, other in zip(inputs, others):
            place.copy_(other, non_blocking=True)
        graph.replay()
        return output

    return run


def script(module: nn.Module, inputs: tuple[Tensor, ...]) -> Run:
    fast = torch.jit.optimize_for_inference(torch.jit.freeze(torch.jit.trace(module, inputs, check_trace=False)))
    return lambda *others: fast(*(others or inputs))


def compiled(module: nn.Module, inputs: tuple[Tensor, ...], mode: str) -> Run:
    torch._dynamo.reset()  # of the same module in another mode
    fast = torch.compile(module, mode=mode, dynamic=False)
    return lambda *others: fast(*(others or inputs))


def prepare(form: str, module: nn.Module, *inputs: Tensor) -> Run:
    """The module in that form, warmed up. A result is good until the next call."""
    on_gpu = inputs[0].is_cuda
    if form == "graph" and not on_gpu:
        raise Missing("no CUDA device")
    if form in ("compile", "max-autotune") and not hasattr(torch, "compile"):
        raise Missing(f"PyTorch {torch.__version__} has no torch.compile")
    if form == "eager":
        def run(*others: Tensor) -> Tensor:
            return module(*(others or inputs))
    elif form == "graph":
        run = capture(module, inputs)
    elif form == "script":
        run = script(module, inputs)
    else:
        run = compiled(module, inputs, "max-autotune" if form == "max-autotune" else "reduce-overhead" if on_gpu else "default")
    for _ in range(WARM_UPS):
        run()
    if on_gpu:
        torch.cuda.synchronize()
    return run
