"""From names of JPEG files to batches of thumbnails on the device, in the ways that PyTorch's users have.

Each is opened with the names of one epoch, of which every batch is full, and the sizes (height, width) that are wanted; epoch()
gives for each batch a tuple of (n, 3, h, w) bytes, one per size. Files lie in the page cache.
"""
from __future__ import annotations

import concurrent.futures
from collections import defaultdict
from collections.abc import Iterator

import numpy as np
import torch
import torchvision
from PIL import Image
from torch import Tensor
from torchvision.io import ImageReadMode, decode_jpeg, read_file

from forms import Missing

Sizes = list[tuple[int, int]]


class Files(torch.utils.data.Dataset):
    """Decodes and shrinks one file in a worker process: (h, w, 3) bytes per size."""

    def __init__(self, names: list[str], sizes: Sizes) -> None:
        self.names, self.sizes = names, sizes

    def __len__(self) -> int:
        return len(self.names)


class PillowFiles(Files):
    """Pillow with its own DCT scaling (draft), to twice the size at the least: at less its verdicts are not those of all pixels."""

    def __getitem__(self, index: int) -> tuple[Tensor, ...]:
        image = Image.open(self.names[index])
        image.draft("RGB", (2 * max(w for _, w in self.sizes), 2 * max(h for h, _ in self.sizes)))
        image = image.convert("RGB")
        return tuple(torch.from_numpy(np.array(image.resize((w, h), Image.BILINEAR))) for h, w in self.sizes)


class TorchvisionFiles(Files):
    """torchvision's decoder, which decodes every pixel."""

    def __getitem__(self, index: int) -> tuple[Tensor, ...]:
        image = decode_jpeg(read_file(self.names[index]), mode=ImageReadMode.RGB)
        return tuple(torchvision.transforms.functional.resize(image, list(size), antialias=True).permute(1, 2, 0).contiguous()
                     for size in self.sizes)


class Workers:
    """A DataLoader with a process per core, which live through all epochs, and pinned memory."""

    def __init__(self, kind: type[Files], names: list[str], sizes: Sizes, batch: int, device: str, workers: int) -> None:
        self.device = device
        self.loader = torch.utils.data.DataLoader(kind(names, sizes), batch, num_workers=workers, pin_memory=device == "cuda",
                                                  persistent_workers=True, prefetch_factor=4)

    def epoch(self) -> Iterator[tuple[Tensor, ...]]:
        for batch in self.loader:
            yield tuple(part.to(self.device, non_blocking=True).permute(0, 3, 1, 2) for part in batch)


class GpuDecoder:
    """torchvision's nvJPEG, a batch at a time; pictures of the same size are shrunk together. Files are read ahead by threads."""

    def __init__(self, names: list[str], sizes: Sizes, batch: int, device: str, workers: int) -> None:
        if device != "cuda":
            raise Missing("no CUDA device")
        self.batches = [names[i:i + batch] for i in range(0, len(names), batch)]
        self.sizes, self.threads = sizes, concurrent.futures.ThreadPoolExecutor(workers)

    def read(self, names: list[str]) -> list[concurrent.futures.Future]:
        return [self.threads.submit(read_file, name) for name in names]

    def shrink(self, pictures: list[Tensor]) -> tuple[Tensor, ...]:
        alike = defaultdict(list)
        for i, picture in enumerate(pictures):
            alike[picture.shape].append(i)
        order = torch.tensor([i for places in alike.values() for i in places]).argsort().to("cuda", non_blocking=True)
        stacks = [torch.stack([pictures[i] for i in places]).half() for places in alike.values()]
        return tuple(torch.cat([torch.nn.functional.interpolate(stack, size, mode="bilinear", antialias=True) for stack in stacks])
                     .index_select(0, order).round().clamp(0, 255).byte().contiguous(memory_format=torch.channels_last)
                     for size in self.sizes)

    def epoch(self) -> Iterator[tuple[Tensor, ...]]:
        ahead = self.read(self.batches[0])
        for i in range(len(self.batches)):
            data = [future.result() for future in ahead]
            ahead = self.read(self.batches[i + 1]) if i + 1 < len(self.batches) else []
            yield self.shrink(decode_jpeg(data, mode=ImageReadMode.RGB, device="cuda"))


DECODERS = {
    "pillow": "Pillow with draft, a DataLoader worker per core",
    "torchvision": "torchvision.io.decode_jpeg on the CPU, a DataLoader worker per core",
    "nvjpeg": "torchvision.io.decode_jpeg on the GPU, batched",
}


def open_decoder(name: str, names: list[str], sizes: Sizes, batch: int, device: str, workers: int) -> Workers | GpuDecoder:
    if name == "nvjpeg":
        return GpuDecoder(names, sizes, batch, device, workers)
    return Workers(PillowFiles if name == "pillow" else TorchvisionFiles, names, sizes, batch, device, workers)
