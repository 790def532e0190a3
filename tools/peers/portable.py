"""PyTorch modules as ONNX files, for runtimes that are not PyTorch.

What ONNX has no op for, or PyTorch no export, is written in other terms while a module is exported: the same sums up to rounding,
and the outputs are compared before anything is timed.
"""
from __future__ import annotations

import inspect
import math
import warnings
from pathlib import Path
from unittest import mock

import torch
import torch.nn.functional as F
from torch import Tensor, nn

import judge  # by way of which tracer is found
import tracer

OPSET = 17


def constant(x: Tensor) -> Tensor:
    """Its values alone: a trace forgets how they were computed."""
    return torch.from_numpy(x.numpy().copy())


def high_frequencies(x: Tensor) -> Tensor:
    """tracer.high_frequencies as products with the matrices of the Fourier transform, real parts beside or above imaginary ones."""
    rows, columns = x.shape[2:]

    def waves(n: int) -> tuple[Tensor, Tensor]:
        angle = 2 * math.pi / n * (torch.arange(n)[:, None] * torch.arange(n) % n).double()
        return angle.cos(), angle.sin()

    def blocks(ul: Tensor, ur: Tensor, ll: Tensor, lr: Tensor) -> Tensor:
        return constant(torch.cat([torch.cat([ul, ur], 1), torch.cat([ll, lr], 1)]).float())

    (row_cos, row_sin), (cos, sin) = waves(rows), waves(columns)
    outside = constant(tracer.high_pass(rows, columns, tracer.FREQUENCY_RADIUS, x.device).repeat(1, 2))
    spectrum = constant(torch.cat([row_cos, -row_sin]).float()) @ x
    spectrum = torch.cat([spectrum[:, :, :rows], spectrum[:, :, rows:]], 3) @ blocks(cos, -sin, sin, cos) * outside
    back = spectrum @ blocks(cos / columns, sin / columns, -sin / columns, cos / columns)
    back = torch.cat([back[..., :columns], back[..., columns:]], 2)
    back = blocks(row_cos / rows, -row_sin / rows, row_sin / rows, row_cos / rows) @ back
    return (back[:, :, :rows] ** 2 + back[:, :, rows:] ** 2).sqrt()


def low_quantile(gate: Tensor) -> Tensor:
    """tracer.low_quantile: between the two neighbours among the sorted values."""
    at = tracer.QUANTILE * (gate.shape[1] - 1)
    below = int(at)
    least = torch.topk(gate, below + 2, dim=1, largest=False).values
    return torch.lerp(least[:, below:below + 1], least[:, below + 1:], at - below)


def resized(x: Tensor, size: tuple[int, int]) -> Tensor:
    """judge.resized as two products: antialiased shrinking is linear, and the same for all rows and for all columns."""
    def weights(n: int, wanted: int) -> Tensor:
        return constant(F.interpolate(torch.eye(n)[None, None], (wanted, n), mode="bilinear", align_corners=False,
                                      antialias=wanted < n)[0, 0])

    return weights(x.shape[2], size[0]) @ x @ weights(x.shape[3], size[1]).t()


def export(module: nn.Module, inputs: tuple[Tensor, ...], path: Path) -> None:
    """Writes it for inputs of these shapes, the batch included: what the runtimes are fastest with."""
    old = {"dynamo": False} if "dynamo" in inspect.signature(torch.onnx.export).parameters else {}
    with mock.patch.multiple(tracer, high_frequencies=high_frequencies, low_quantile=low_quantile), \
            mock.patch.object(judge, "resized", resized), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the shapes are meant to be constants
        torch.onnx.export(module, inputs, str(path), opset_version=OPSET, output_names=["y"],
                          input_names=["card", "sight"][:len(inputs)], **old)
