#!/usr/bin/python3
"""TRACER-Efficient 0..7 (Lee, Shin and Han, 2022, arXiv:2112.07380), written afresh: cuts the main object out of a picture.

    tracer.py --weights tracer-te0.pth --golden tracer-te0.npz      compares with maps that the authors' code computed

The parameters carry the names of the authors' checkpoints, so that files go both ways. Any input whose sides are
multiples of 32 will do. Three properties are theirs and are kept, as weights depend on them: the backbone pads for the
picture size that its EfficientNet was designed for and not for the one it is run at; bilinear enlarging aligns corners
within the aggregation and nowhere else; and the disc of the high-pass is centred by the number of rows on both axes.
"""
from __future__ import annotations

import argparse
import math
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of the input's channels, as for ImageNet

SCALING = ((1.0, 1.0, 224), (1.0, 1.1, 240), (1.1, 1.2, 260), (1.2, 1.4, 300),  # width, depth, nominal picture size
           (1.4, 1.8, 380), (1.6, 2.2, 456), (1.8, 2.6, 528), (2.0, 3.1, 600))
STAGES = ((1, 3, 1, 1, 16), (2, 3, 2, 6, 24), (2, 5, 2, 6, 40), (3, 3, 2, 6, 80),  # blocks, kernel, stride, expansion, width
          (3, 5, 1, 6, 112), (4, 5, 2, 6, 192), (1, 3, 1, 6, 320))
TAPPED = (1, 2, 4, 6)  # the stages whose last block feeds the decoder, at 1/4, 1/8, 1/16 and 1/32 of the picture

DECODER = (32, 64, 128)  # channels of the receptive field blocks, from fine to coarse
FREQUENCY_RADIUS = 16
QUANTILE = 0.1  # this share of the channels is switched off; also the dropout of the pooled channels
DENOISE = 0.93  # where the background is surer than this, the object attention doesn't look


class SameConv(nn.Conv2d):
    """A convolution with the "same" padding of a picture of `nominal` pixels a side, whatever it is given."""

    def __init__(self, inputs: int, outputs: int, kernel: int, nominal: int, stride: int = 1, groups: int = 1) -> None:
        total = max((math.ceil(nominal / stride) - 1) * stride + kernel - nominal, 0)
        super().__init__(inputs, outputs, kernel, stride, padding=total // 2, groups=groups, bias=False)
        self.odd = total % 2  # one pixel more at the right and below

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(F.pad(x, (0, self.odd, 0, self.odd)) if self.odd else x)


def backbone_norm(channels: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, eps=1e-3, momentum=0.01)


class MBConv(nn.Module):
    """Expand, convolve by depth, squeeze and excite, project; plus its input where the shape allows. No stochastic depth."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, expansion: int, nominal: int) -> None:
        super().__init__()
        middle, squeezed = inputs * expansion, max(1, inputs // 4)
        if expansion != 1:
            self._expand_conv = SameConv(inputs, middle, 1, nominal)
            self._bn0 = backbone_norm(middle)
        self._depthwise_conv = SameConv(middle, middle, kernel, nominal, stride, groups=middle)
        self._bn1 = backbone_norm(middle)
        self._se_reduce = nn.Conv2d(middle, squeezed, 1)
        self._se_expand = nn.Conv2d(squeezed, middle, 1)
        self._project_conv = SameConv(middle, outputs, 1, nominal)
        self._bn2 = backbone_norm(outputs)
        self.expands, self.skips = expansion != 1, stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        y = F.silu(self._bn0(self._expand_conv(x))) if self.expands else x
        y = F.silu(self._bn1(self._depthwise_conv(y)))
        gate = self._se_expand(F.silu(self._se_reduce(y.mean((2, 3), keepdim=True))))
        y = self._bn2(self._project_conv(torch.sigmoid(gate) * y))
        return x + y if self.skips else y


def scaled_width(width: int, factor: float) -> int:
    """EfficientNet's rounding: to a multiple of 8, but never more than 10 % down."""
    rounded = max(8, int(width * factor + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * width * factor else rounded


class Backbone(nn.Module):
    """EfficientNet without its head; with the edge module (unless told otherwise) after the first tapped stage."""

    def __init__(self, arch: int, edges: bool) -> None:
        super().__init__()
        width, depth, nominal = SCALING[arch]
        channels = scaled_width(32, width)
        self._conv_stem = SameConv(3, channels, 3, nominal, stride=2)
        self._bn0 = backbone_norm(channels)
        nominal = math.ceil(nominal / 2)
        self._blocks = nn.ModuleList()
        self.channels: list[int] = []
        self.taps: list[int] = []
        for i, (count, kernel, stride, expansion, outputs) in enumerate(STAGES):
            outputs = scaled_width(outputs, width)
            for _ in range(math.ceil(count * depth)):
                self._blocks.append(MBConv(channels, outputs, kernel, stride, expansion, nominal))
                nominal, channels, stride = math.ceil(nominal / stride), outputs, 1
            if i in TAPPED:
                self.channels.append(outputs)
                self.taps.append(len(self._blocks) - 1)
        self.Frequency_Edge_Module1 = EdgeModule(self.channels[0]) if edges else None

    def forward(self, x: Tensor) -> tuple[list[Tensor], Tensor | None]:
        x = F.silu(self._bn0(self._conv_stem(x)))
        features: list[Tensor] = []
        edge = None
        for i, block in enumerate(self._blocks):
            x = block(x)
            if i == self.taps[0] and self.Frequency_Edge_Module1 is not None:
                x, edge = self.Frequency_Edge_Module1(x)
            if i in self.taps:
                features.append(x)
        return features, edge


class BasicConv(nn.Module):
    def __init__(self, inputs: int, outputs: int, kernel: int | tuple[int, int], dilation: int = 1) -> None:
        super().__init__()
        kernel = (kernel, kernel) if isinstance(kernel, int) else kernel
        padding = (kernel[0] // 2 * dilation, kernel[1] // 2 * dilation)
        self.conv = nn.Conv2d(inputs, outputs, kernel, padding=padding, dilation=dilation, bias=False)
        self.bn = nn.BatchNorm2d(outputs)

    def forward(self, x: Tensor) -> Tensor:
        return F.selu(self.bn(self.conv(x)))


class DepthwiseConv(nn.Module):
    def __init__(self, channels: int, kernel: int, dilation: int = 1) -> None:
        super().__init__()
        self.DWConv = nn.Conv2d(channels, channels, kernel, padding=kernel // 2 * dilation, dilation=dilation,
                                groups=channels, bias=False)
        self.bn = nn.BatchNorm2d(channels)

    def forward(self, x: Tensor) -> Tensor:
        return F.selu(self.bn(self.DWConv(x)))


class SeparableConv(DepthwiseConv):
    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(inputs, 3)
        self.PWConv = nn.Conv2d(inputs, outputs, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)

    def forward(self, x: Tensor) -> Tensor:
        return F.selu(self.bn2(self.PWConv(super().forward(x))))


class Pyramid(nn.Module):
    """Four depthwise branches of growing reach, side by side, added to what they looked at."""

    def __init__(self, inputs: int, channels: int) -> None:
        super().__init__()
        self.DWSConv = SeparableConv(inputs, channels)
        for i, (kernel, dilation) in enumerate(((1, 1), (3, 1), (3, 3), (3, 5)), 1):
            branch = nn.Sequential(DepthwiseConv(channels, kernel, dilation), BasicConv(channels, channels // 4, 1))
            self.add_module(f"DWConv{i}", branch)

    def forward(self, x: Tensor) -> Tensor:
        x = self.DWSConv(x)
        return torch.cat([self.DWConv1(x), self.DWConv2(x), self.DWConv3(x), self.DWConv4(x)], dim=1) + x


def low_quantile(gate: Tensor) -> Tensor:
    return torch.quantile(gate.float(), QUANTILE, dim=1, keepdim=True)  # which takes no halves


class UnionAttention(nn.Module):
    """Attention among the channels; then, unless `channels_only`, among the rows of the map that they are summed up to."""

    def __init__(self, channels: int, channels_only: bool = False) -> None:
        super().__init__()
        self.bn = nn.BatchNorm2d(channels)  # in the checkpoint even where only the channels are attended
        self.norm = nn.Sequential(nn.BatchNorm2d(channels), nn.Dropout(QUANTILE))
        for name in ("channel_q", "channel_k", "channel_v", "fc"):
            self.add_module(name, nn.Conv2d(channels, channels, 1, bias=False))
        if not channels_only:
            for name in ("spatial_q", "spatial_k", "spatial_v"):
                self.add_module(name, nn.Conv2d(channels, 1, 1, bias=False))

    def attend_channels(self, x: Tensor) -> tuple[Tensor, Tensor]:
        pooled = self.norm(x.mean((2, 3), keepdim=True))
        q, k, v = self.channel_q(pooled)[..., 0], self.channel_k(pooled)[..., 0], self.channel_v(pooled)[..., 0]
        mixed = torch.softmax(q @ k.transpose(1, 2), dim=-1) @ v
        gate = torch.sigmoid(self.fc(mixed[..., None]))
        return x * gate + x, gate

    def forward(self, x: Tensor) -> Tensor:
        x, gate = self.attend_channels(x)
        threshold = low_quantile(gate)
        x = self.bn(x) * (gate * (gate > threshold))
        q, k, v = self.spatial_q(x)[:, 0], self.spatial_k(x)[:, 0], self.spatial_v(x)[:, 0]
        return (torch.softmax(q @ k.transpose(1, 2), dim=-1) @ v + v)[:, None]


def high_pass(rows: int, columns: int, radius: float, device: torch.device) -> Tensor:
    """0 in a disc of the spectrum (zero frequency first, as fft2 has it), 1 outside. Centred at rows / 2 on both axes."""
    y, x = torch.arange(rows, device=device) - rows / 2, torch.arange(columns, device=device) - rows / 2
    outside = (y[:, None] ** 2 + x[None, :] ** 2).sqrt() >= radius
    return torch.fft.ifftshift(outside.float())


def high_frequencies(x: Tensor) -> Tensor:
    outside = high_pass(x.shape[2], x.shape[3], FREQUENCY_RADIUS, x.device)
    return torch.fft.ifft2(torch.fft.fft2(x.float()) * outside).abs().to(x.dtype)


class EdgeModule(Pyramid):
    """Looks for edges in the high frequencies and adds them to the features."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels, channels)
        self.UAM = UnionAttention(channels, channels_only=True)
        self.conv = BasicConv(channels, 1, 1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        edge = F.relu(self.conv(super().forward(self.UAM.attend_channels(high_frequencies(x))[0])))
        return x + edge, edge


class ReceptiveField(nn.Module):
    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.branch0 = nn.Sequential(BasicConv(inputs, outputs, 1))
        for i, reach in enumerate((3, 5, 7), 1):
            self.add_module(f"branch{i}", nn.Sequential(
                BasicConv(inputs, outputs, 1), BasicConv(outputs, outputs, (1, reach)), BasicConv(outputs, outputs, (reach, 1)),
                BasicConv(outputs, outputs, 3, dilation=reach)))
        self.conv_cat = BasicConv(4 * outputs, outputs, 3)
        self.conv_res = BasicConv(inputs, outputs, 1)

    def forward(self, x: Tensor) -> Tensor:
        branches = torch.cat([self.branch0(x), self.branch1(x), self.branch2(x), self.branch3(x)], dim=1)
        return F.relu(self.conv_cat(branches) + self.conv_res(x))


def enlarge(x: Tensor, factor: int, align_corners: bool = False) -> Tensor:
    return F.interpolate(x, scale_factor=factor, mode="bilinear", align_corners=align_corners)


class Aggregation(nn.Module):
    """Joins the three coarse levels into one map at 1/8 of the picture."""

    def __init__(self, fine: int, middle: int, coarse: int) -> None:
        super().__init__()
        self.conv_upsample1 = BasicConv(coarse, middle, 3)
        self.conv_upsample2 = BasicConv(coarse, fine, 3)
        self.conv_upsample3 = BasicConv(middle, fine, 3)
        self.conv_upsample4 = BasicConv(coarse, coarse, 3)
        self.conv_upsample5 = BasicConv(coarse + middle, coarse + middle, 3)
        self.conv_concat2 = BasicConv(coarse + middle, coarse + middle, 3)
        self.conv_concat3 = BasicConv(coarse + middle + fine, coarse + middle + fine, 3)
        self.UAM = UnionAttention(coarse + middle + fine)

    def forward(self, fine: Tensor, middle: Tensor, coarse: Tensor) -> Tensor:
        def double(x: Tensor) -> Tensor:
            return enlarge(x, 2, align_corners=True)

        coarse2 = double(coarse)
        fine = self.conv_upsample2(double(coarse2)) * self.conv_upsample3(double(middle)) * fine
        middle = self.conv_upsample1(coarse2) * middle
        joined = self.conv_concat2(torch.cat([middle, self.conv_upsample4(coarse2)], dim=1))
        joined = self.conv_concat3(torch.cat([fine, self.conv_upsample5(double(joined))], dim=1))
        return self.UAM(joined)


class ObjectAttention(Pyramid):
    """Adds to the map what the encoder sees in the object and, less what is surely background, around it."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels, channels // 2)
        self.conv1 = BasicConv(channels // 2, 1, 1)

    def forward(self, logits: Tensor, features: Tensor) -> Tensor:
        inside = torch.sigmoid(logits)
        outside = 1 - inside
        outside = outside * (outside <= DENOISE)
        return F.relu(self.conv1(super().forward(inside * features + outside * features))) + logits


class Maps(NamedTuple):
    """All of the input's height and width, with one channel. `edge` is None in a network without the edge module."""

    final: Tensor
    edge: Tensor | None
    d0: Tensor
    d1: Tensor
    d2: Tensor


class Tracer(nn.Module):
    def __init__(self, arch: int, edges: bool = True) -> None:
        super().__init__()
        self.model = Backbone(arch, edges)
        quarter, *coarser = self.model.channels
        self.rfb2, self.rfb3, self.rfb4 = (ReceptiveField(*channels) for channels in zip(coarser, DECODER))
        self.agg = Aggregation(*DECODER)
        self.ObjectAttention2 = ObjectAttention(coarser[0])
        self.ObjectAttention1 = ObjectAttention(quarter)

    def logits(self, x: Tensor) -> Maps:
        """The maps before the sigmoid: what a loss should be computed from."""
        (quarter, eighth, sixteenth, last), edge = self.model(x)
        d0 = self.agg(self.rfb2(eighth), self.rfb3(sixteenth), self.rfb4(last))
        d1 = self.ObjectAttention2(d0, eighth)
        d2 = enlarge(self.ObjectAttention1(enlarge(d1, 2), quarter), 4)
        d0, d1 = enlarge(d0, 8), enlarge(d1, 8)
        return Maps((d0 + d1 + d2) / 3, None if edge is None else enlarge(edge, 4), d0, d1, d2)

    def forward(self, x: Tensor) -> Maps:
        return Maps(*(None if logits is None else torch.sigmoid(logits) for logits in self.logits(x)))


def to_input(pictures: np.ndarray) -> Tensor:
    """(n, height, width, 3) bytes to the network's (n, 3, height, width)."""
    values = torch.from_numpy(np.ascontiguousarray(pictures)).permute(0, 3, 1, 2).float() / 255
    return (values - torch.tensor(MEAN).view(3, 1, 1)) / torch.tensor(STD).view(3, 1, 1)


def load_tracer(path: Path, arch: int = 0, edges: bool = True) -> Tracer:
    """Strict about the names but for `module.`, which training on several devices puts before them."""
    weights = torch.load(path, map_location="cpu")
    network = Tracer(arch, edges)
    network.load_state_dict({name[7:] if name.startswith("module.") else name: value for name, value in weights.items()})
    return network.eval()


@torch.no_grad()
def predict(network: Tracer, cards: np.ndarray) -> np.ndarray:
    """(n, height, width) masks of 0..1, float32, for (n, height, width, 3) bytes."""
    network.eval()
    device = next(network.parameters()).device
    return np.concatenate([network.logits(to_input(part).to(device)).final.sigmoid()[:, 0].cpu().numpy()
                           for part in np.array_split(cards, max(1, len(cards) // 50))])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--golden", type=Path, required=True, help=".npz with x and any of final, edge, d0, d1, d2")
    parser.add_argument("--arch", type=int, default=0, choices=range(len(SCALING)))
    parser.add_argument("--no-edges", action="store_true")
    args = parser.parse_args()
    network = load_tracer(args.weights, args.arch, not args.no_edges)
    with np.load(args.golden) as golden, torch.no_grad():
        maps = network(torch.from_numpy(golden["x"]))._asdict()
        for name in [name for name in maps if name in golden]:
            print(f"{name}: largest difference {np.abs(maps[name].numpy() - golden[name]).max():.2e}")


if __name__ == "__main__":
    main()
