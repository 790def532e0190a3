"""Reads a bgdet model file (include/bgdet_format.h) into NumPy, and a ResNet of it into torchvision.

The oracle's view of the format: written from the header's comment, not from the engine's code.
"""
from __future__ import annotations

import json
import struct
import sys
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "train"))
from networks import classifier  # noqa: E402: torchvision's ResNet at any width


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


def torchvision_resnet(path: Path) -> tuple[torch.nn.Module, dict]:
    """torchvision's network with the folded weights: its batch-norms add the bias and do nothing else."""
    meta, tensors = read(path)
    stem = tensors["conv1.weight"]
    model = classifier(meta["arch"], stem.shape[1], len(meta["labels"]), stem.shape[0] / 64)
    state = model.state_dict()
    fc = "activation" if "activation.weight" in tensors else "logits"  # a 1x1 convolution before the mean, or dense behind it
    for key in state:
        base, _, kind = key.rpartition(".")
        if base == "fc":
            state[key] = torch.from_numpy(tensors[f"{fc}.{kind}"]).reshape(state[key].shape)
        elif f"{base}.weight" in tensors and kind == "weight":
            state[key] = torch.from_numpy(tensors[key])
        elif kind == "running_var":
            state[key] = torch.full_like(state[key], 1 - 1e-5)  # sqrt(var + eps) = 1
        elif kind == "running_mean":
            state[key] = torch.zeros_like(state[key])
        elif kind == "weight":
            state[key] = torch.ones_like(state[key])
        elif kind == "bias":
            conv = base.replace("bn", "conv") if "downsample" not in base else base[:-1] + "0"
            state[key] = torch.from_numpy(tensors[f"{conv}.bias"])
    model.load_state_dict(state)
    return model.eval(), meta
