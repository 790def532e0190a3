"""The founders' five classifiers, with torchvision's layers and names where torchvision has the network.

`classifier(name, channels, classes, width)` makes one with fresh weights; `width` scales every number of channels but the
input's and the output's (0.5: half of them). Every name but zfnet is one of torchvision.models.
"""
from __future__ import annotations

import torch
import torchvision
from torch import nn

SMALLEST = {"alexnet": (63, 84)}  # width x height of the cards where 60x80 is too small for a network's layers


class ZFNet(nn.Module):
    """Zeiler and Fergus 2013 (arXiv 1311.2901), figure 3: the layout that `bgdet convert` reads as ZFNet.

    features.N     0 conv 7x7/2 pad 1, relu, max-pool 3/2, [LRN]      256.. maps are thinner or wider as the shapes say
                   conv 5x5/2, relu, max-pool 3/2, [LRN]
                   three times conv 3x3 pad 1, relu; max-pool 3/2
    avgpool        adaptive, to 6x6, so that any input size fits
    classifier.N   0 dropout, 1 linear, 2 relu, 3 dropout, 4 linear, 5 relu, 6 linear

    Pooling rounds up (ceil_mode), as in the figure: 110 to 55, 26 to 13. Where the paper normalises contrast, local response
    normalisation stands (Krizhevsky et al. 2012: 5 maps, alpha 1e-4, beta 0.75, k 2), if `lrn` says so. It has no weights but
    a place in the numbering, so the keys tell nothing: `bgdet convert --lrn` must be told.
    With LRN the convolutions are features.0, 4, 8, 10, 12; so they are without it, where nn.Identity holds LRN's place.
    """

    def __init__(self, channels: int = 3, classes: int = 1000, widths: tuple[int, ...] = (96, 256, 384, 384, 256),
                 hidden: int = 4096, lrn: bool = False) -> None:
        super().__init__()
        a, b, c, d, e = widths

        def pool() -> nn.Module:
            return nn.MaxPool2d(3, 2, ceil_mode=True)

        def norm() -> nn.Module:
            return nn.LocalResponseNorm(5, alpha=1e-4, beta=0.75, k=2.0) if lrn else nn.Identity()

        self.features = nn.Sequential(
            nn.Conv2d(channels, a, 7, stride=2, padding=1), nn.ReLU(inplace=True), pool(), norm(),
            nn.Conv2d(a, b, 5, stride=2), nn.ReLU(inplace=True), pool(), norm(),
            nn.Conv2d(b, c, 3, padding=1), nn.ReLU(inplace=True),
            nn.Conv2d(c, d, 3, padding=1), nn.ReLU(inplace=True),
            nn.Conv2d(d, e, 3, padding=1), nn.ReLU(inplace=True), pool())
        self.avgpool = nn.AdaptiveAvgPool2d((6, 6))
        self.classifier = nn.Sequential(nn.Dropout(), nn.Linear(e * 36, hidden), nn.ReLU(inplace=True),
                                        nn.Dropout(), nn.Linear(hidden, hidden), nn.ReLU(inplace=True),
                                        nn.Linear(hidden, classes))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.classifier(torch.flatten(self.avgpool(self.features(x)), 1))


VGG = {"vgg11": (1, 1, 2, 2, 2), "vgg13": (2, 2, 2, 2, 2), "vgg16": (2, 2, 3, 3, 3), "vgg19": (2, 2, 4, 4, 4)}


def vgg(name: str, channels: int, classes: int, width: float) -> nn.Module:
    """torchvision's VGG ("vgg16", "vgg16_bn") at any width: torchvision itself only makes the full one."""
    depth, _, norm = name.partition("_")
    layers: list[nn.Module] = []
    for block, convolutions in enumerate(VGG[depth]):
        out = round(min(64 << block, 512) * width)
        for _ in range(convolutions):
            layers += [nn.Conv2d(channels, out, 3, padding=1)] + [nn.BatchNorm2d(out)] * bool(norm) + [nn.ReLU(inplace=True)]
            channels = out
        layers.append(nn.MaxPool2d(2, 2))
    model = torchvision.models.VGG(nn.Sequential(*layers), num_classes=classes)
    hidden = round(4096 * width)
    model.classifier[0] = nn.Linear(channels * 49, hidden)
    model.classifier[3] = nn.Linear(hidden, hidden)
    model.classifier[6] = nn.Linear(hidden, classes)
    return model


def alexnet(channels: int, classes: int, width: float) -> nn.Module:
    """torchvision's AlexNet (Krizhevsky 2014, arXiv 1404.5997: one column, no LRN)."""
    a, b, c, d, e = (round(width * maps) for maps in (64, 192, 384, 256, 256))
    hidden = round(4096 * width)
    model = torchvision.models.AlexNet(num_classes=classes)
    for place, layer in ((0, nn.Conv2d(channels, a, 11, stride=4, padding=2)), (3, nn.Conv2d(a, b, 5, padding=2)),
                         (6, nn.Conv2d(b, c, 3, padding=1)), (8, nn.Conv2d(c, d, 3, padding=1)),
                         (10, nn.Conv2d(d, e, 3, padding=1))):
        model.features[place] = layer
    model.classifier[1], model.classifier[4] = nn.Linear(e * 36, hidden), nn.Linear(hidden, hidden)
    model.classifier[6] = nn.Linear(hidden, classes)
    return model


def classifier(name: str, channels: int, classes: int, width: float = 1.0) -> nn.Module:
    if name == "zfnet" or name == "zfnet_lrn":
        widths = tuple(round(width * maps) for maps in (96, 256, 384, 384, 256))
        return ZFNet(channels, classes, widths, round(4096 * width), lrn=name == "zfnet_lrn")
    if name == "alexnet":
        return alexnet(channels, classes, width)
    if name.partition("_")[0] in VGG:
        return vgg(name, channels, classes, width)
    if width != 1:
        raise ValueError(f"{name} is made at full width only")
    model = getattr(torchvision.models, name)(num_classes=classes)  # a ResNet
    if channels != 3:
        model.conv1 = nn.Conv2d(channels, 64, 7, stride=2, padding=3, bias=False)
    return model
