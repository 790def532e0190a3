"""The founders' five classifiers, with torchvision's layers and names where torchvision has the network.

`classifier(name, channels, classes, width)` makes one of NAMES with fresh weights; `width` scales every number of channels but
the input's and the output's (0.5: half of them).
"""
from __future__ import annotations

import torch
import torchvision
from torch import nn

from sizes import SIZE

NAMES = ("resnet18", "resnet34", "resnet50", "resnet101", "resnet152", "alexnet", "zfnet", "zfnet_lrn",
         "vgg11", "vgg11_bn", "vgg13", "vgg13_bn", "vgg16", "vgg16_bn", "vgg19", "vgg19_bn")


def size_of(name: str) -> tuple[int, int]:
    """Width x height of the cards that a network sees: AlexNet's third pooling finds too few pixels of 60x80."""
    return (63, 84) if name == "alexnet" else SIZE


class ZFNet(nn.Module):
    """Zeiler and Fergus 2013 (arXiv 1311.2901), figure 3: the layout that `bgdet convert` reads as ZFNet.

    features.N     0 conv 7x7/2 pad 1, 1 relu, 2 max-pool 3/2, 3 LRN or nothing
                   4 conv 5x5/2, 5 relu, 6 max-pool 3/2, 7 LRN or nothing
                   8 conv 3x3 pad 1, 9 relu, 10 conv 3x3 pad 1, 11 relu, 12 conv 3x3 pad 1, 13 relu, 14 max-pool 3/2
    avgpool        adaptive, to 6x6, so that any input size fits
    classifier.N   0 dropout, 1 linear, 2 relu, 3 dropout, 4 linear, 5 relu, 6 linear

    Pooling rounds up (ceil_mode), as in the figure: 110 to 55, 26 to 13. Where the paper normalises contrast, local response
    normalisation stands (Krizhevsky et al. 2012: 5 maps, alpha 1e-4, beta 0.75, k 2), if `lrn` says so; else nn.Identity holds
    its place. It has no weights, so the keys tell nothing: `bgdet convert --lrn` must be told.
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


def resnet(name: str, channels: int, classes: int, width: float) -> nn.Module:
    """torchvision's ResNet at any width."""
    model = getattr(torchvision.models, name)(num_classes=classes)
    maps, block = round(64 * width), type(model.layer1[0])
    if width != 1:
        blocks = [len(layer) for layer in (model.layer1, model.layer2, model.layer3, model.layer4)]
        model.inplanes, model.bn1 = maps, nn.BatchNorm2d(maps)
        model.layer1 = model._make_layer(block, maps, blocks[0])
        for k in (1, 2, 3):
            setattr(model, f"layer{k + 1}", model._make_layer(block, maps << k, blocks[k], stride=2))
        model.fc = nn.Linear((maps << 3) * block.expansion, classes)
    if channels != 3 or width != 1:
        model.conv1 = nn.Conv2d(channels, maps, 7, stride=2, padding=3, bias=False)
    return model


def classifier(name: str, channels: int, classes: int, width: float = 1.0) -> nn.Module:
    if name not in NAMES:
        raise ValueError(f"{name}: none of {', '.join(NAMES)}")
    if name.startswith("zfnet"):
        widths = tuple(round(width * maps) for maps in (96, 256, 384, 384, 256))
        return ZFNet(channels, classes, widths, round(4096 * width), lrn=name == "zfnet_lrn")
    if name == "alexnet":
        return alexnet(channels, classes, width)
    if name.partition("_")[0] in VGG:
        return vgg(name, channels, classes, width)
    return resnet(name, channels, classes, width)
