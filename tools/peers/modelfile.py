"""Reads a bgdet model file (include/bgdet_format.h) into NumPy, and its network into PyTorch.

The oracle's view of the format: written from the header's comment, not from the engine's code.
"""
from __future__ import annotations

import json
import struct
import sys
from pathlib import Path

import numpy as np
import torch
from torch import nn

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "train"))
from networks import classifier  # noqa: E402: torchvision's networks at any width
from tracer import Tracer  # noqa: E402


def read(path: Path) -> tuple[dict, dict[str, np.ndarray]]:
    """The metadata and the tensors by name, as float32."""
    data = path.read_bytes()
    magic, version, _, _, size, meta_bytes, n_values, n_tensors, n_ops = struct.unpack_from("<8sII16sQQIII", data)
    if magic != b"bgdmodel" or version != 1 or size != len(data):
        raise ValueError(f"{path}: no model file of version 1")
    at = 128 + 80 * n_values
    tensors = {}
    for i in range(n_tensors):
        name, dtype, ndim, *rest = struct.unpack_from("<64sII4IQQ", data, at + 104 * i)
        dims, offset, count = rest[:ndim], rest[4], int(np.prod(rest[:ndim]))
        values = np.frombuffer(data, "<f4" if dtype == 1 else "<f2", count, offset)
        tensors[name.rstrip(b"\0").decode()] = values.astype(np.float32).reshape(dims)
    at += 104 * n_tensors + 128 * n_ops
    return json.loads(data[at:at + meta_bytes]), tensors


class Segmenter(nn.Module):
    """TRACER's final map, P(object)."""

    def __init__(self, tracer: Tracer) -> None:
        super().__init__()
        self.tracer = tracer

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.sigmoid(self.tracer.logits(x).final)


def empty_network(meta: dict, tensors: dict[str, np.ndarray]) -> nn.Module:
    """The module of the file's architecture and widths; its batch-norms are still there."""
    if meta["arch"].startswith("tracer-te"):
        return Tracer(int(meta["arch"][-1]), edges="model.edges.conv.conv.weight" in tensors)
    stem = next(weight for name, weight in tensors.items() if name in ("conv1.weight", "features.0.weight"))
    return classifier(meta["arch"], stem.shape[1], len(meta["labels"]), stem.shape[0] / (96 if meta["arch"] == "zfnet" else 64))


def stored_name(name: str, tensors: dict[str, np.ndarray], last: str) -> str:
    """A layer's name in the file, which is the checkpoint's but for the edge module's length and what makes the logits."""
    if name == last:
        return "activation" if "activation.weight" in tensors else "logits"  # a 1x1 convolution before the mean, or dense
    return name.replace("Frequency_Edge_Module1", "edges")


def network(path: Path) -> tuple[nn.Module, dict]:
    """The file's network, and its metadata. Gives the mask of a segmenter, the logits of a classifier.

    A file has its norms folded into the convolutions beside them, and so has the module: nothing is left of a norm but TRACER's
    `agg.UAM.bn`, which no convolution stands beside.
    """
    meta, tensors = read(path)
    model = empty_network(meta, tensors)
    last = [name for name, layer in model.named_modules() if isinstance(layer, nn.Linear)][-1:]
    for name, layer in list(model.named_modules()):
        if isinstance(layer, nn.BatchNorm2d) and f"{name}.weight" in tensors:
            fill_norm(layer, tensors[f"{name}.weight"].ravel(), tensors[f"{name}.bias"])
        elif isinstance(layer, nn.BatchNorm2d):
            parent, _, child = name.rpartition(".")
            setattr(model.get_submodule(parent), child, nn.Identity())
        elif isinstance(layer, (nn.Conv2d, nn.Linear)):
            stored = stored_name(name, tensors, *last or [""])
            weight, bias = (torch.from_numpy(tensors[f"{stored}.{kind}"]) for kind in ("weight", "bias"))
            if isinstance(layer, nn.Linear) and weight.numel() != layer.weight.numel():
                model.avgpool = nn.Identity()  # folded into this layer, since it only repeats pixels
                weight = weight.reshape(weight.shape[0], -1)
            else:
                weight = weight.reshape(layer.weight.shape)
            layer.weight, layer.bias = nn.Parameter(weight), nn.Parameter(bias)
    model = Segmenter(model) if isinstance(model, Tracer) else model
    return model.eval().requires_grad_(False), meta


def fill_norm(norm: nn.BatchNorm2d, weight: np.ndarray, bias: np.ndarray) -> None:
    """Makes it multiply and add, and nothing else: sqrt(variance + eps) = 1."""
    norm.load_state_dict({"weight": torch.from_numpy(weight), "bias": torch.from_numpy(bias),
                          "running_mean": torch.zeros(len(bias)), "running_var": torch.full((len(bias),), 1 - norm.eps),
                          "num_batches_tracked": torch.tensor(0)})
