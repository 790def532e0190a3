"""From the bytes of a JPEG to thumbnails on a CPU, in the ways that Python's users have.

Each is called with the bytes and the sizes (height, width) that are wanted and gives an (h, w, 3) array of bytes per size, on one
thread. All decode at the smallest DCT scale that is not below the largest size, as bgdet does, and shrink from there.
"""
from __future__ import annotations

import io
import struct
from collections.abc import Callable

import numpy as np
from PIL import Image

from forms import Missing

Sizes = list[tuple[int, int]]
Shrink = Callable[[bytes, Sizes], list[np.ndarray]]
NOT_FRAMES = (0xC4, 0xC8, 0xCC)  # among the markers C0 to CF


def jpeg_size(data: bytes) -> tuple[int, int]:
    """(height, width), by the frame's header."""
    at = 2
    while at + 9 <= len(data):
        _, marker, length = struct.unpack_from(">BBH", data, at)
        if 0xC0 <= marker <= 0xCF and marker not in NOT_FRAMES:
            return struct.unpack_from(">HH", data, at + 5)
        at += 2 + length
    raise ValueError("a JPEG without a frame")


def scale_of(data: bytes, sizes: Sizes) -> int:
    """By how much a decoder may shrink: 1, 2, 4 or 8."""
    height, width = jpeg_size(data)
    most = min(min(height // h, width // w) for h, w in sizes)
    return next((scale for scale in (8, 4, 2) if scale <= most), 1)


def pillow() -> Shrink:
    def shrink(data: bytes, sizes: Sizes) -> list[np.ndarray]:
        image = Image.open(io.BytesIO(data))
        image.draft("RGB", (max(w for _, w in sizes), max(h for h, _ in sizes)))
        image = image.convert("RGB")
        return [np.asarray(image.resize((w, h), Image.BILINEAR)) for h, w in sizes]

    return shrink


def opencv() -> Shrink:
    try:
        import cv2
    except ImportError:
        raise Missing("OpenCV is not installed: pip install opencv-python-headless") from None
    cv2.setNumThreads(1)
    flags = {1: cv2.IMREAD_COLOR, 2: cv2.IMREAD_REDUCED_COLOR_2, 4: cv2.IMREAD_REDUCED_COLOR_4, 8: cv2.IMREAD_REDUCED_COLOR_8}

    def shrink(data: bytes, sizes: Sizes) -> list[np.ndarray]:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), flags[scale_of(data, sizes)])
        return [cv2.cvtColor(cv2.resize(image, (w, h), interpolation=cv2.INTER_AREA), cv2.COLOR_BGR2RGB) for h, w in sizes]

    return shrink


def libvips() -> Shrink:
    try:
        import pyvips
    except (ImportError, OSError):
        raise Missing("libvips is not installed: pip install 'pyvips[binary]'") from None
    pyvips.cache_set_max(0)  # else it would know the pictures again

    def shrink(data: bytes, sizes: Sizes) -> list[np.ndarray]:
        image = pyvips.Image.jpegload_buffer(data, shrink=scale_of(data, sizes), access="sequential")  # thumbnail_buffer is slower
        image = image if len(sizes) == 1 else image.copy_memory()
        return [image.resize(w / image.width, vscale=h / image.height, kernel="linear").numpy() for h, w in sizes]

    return shrink


SHRINKERS: dict[str, Callable[[], Shrink]] = {"Pillow": pillow, "OpenCV": opencv, "libvips": libvips}


def exact(data: bytes, sizes: Sizes) -> list[np.ndarray]:
    """What they are compared with: every pixel decoded, antialiased."""
    image = Image.open(io.BytesIO(data)).convert("RGB")
    return [np.asarray(image.resize((w, h), Image.BILINEAR)) for h, w in sizes]
