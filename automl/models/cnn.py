"""Convolutional network for signals (channels, length) and pictures (channels, height, width)."""

import math
from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

# Per number of spatial dimensions.
CONV: dict[int, type[nn.Conv1d] | type[nn.Conv2d]] = {1: nn.Conv1d, 2: nn.Conv2d}
BATCH_NORM: dict[int, type[nn.BatchNorm1d] | type[nn.BatchNorm2d]] = {1: nn.BatchNorm1d, 2: nn.BatchNorm2d}
POOL: dict[int, type[nn.MaxPool1d] | type[nn.MaxPool2d]] = {1: nn.MaxPool1d, 2: nn.MaxPool2d}


class Model(nn.Module):
    """Blocks of convolution, halving, normalisation and ReLU; the last maps, flattened, go to one linear layer.

    config: width (channels of the first block), layers, kernel_size (odd), norm, downsample (how to halve: by the
    stride of the convolution or by maxima), dropout (before the linear layer).
    """

    def __init__(self, config: Mapping[str, Any], shape: tuple[int, ...], n_classes: int) -> None:
        super().__init__()
        channels, *sides = shape
        dims, kernel, stride = len(sides), config["kernel_size"], 2 if config.get("downsample") == "stride" else 1
        blocks: list[nn.Module] = []
        for layer in range(config["layers"]):
            # Pictures lose three quarters of their places at a halving, so twice the channels still cost less.
            width = config["width"] * (2 ** min(layer, 2) if dims == 2 else 1)
            norm = norm_layer(config["norm"], width, dims)
            bias = isinstance(norm, nn.Identity)
            # Maxima are taken before the norm, which then has the fewer places to go over.
            halving = POOL[dims](2, ceil_mode=True) if stride == 1 else nn.Identity()
            blocks += [CONV[dims](channels, width, kernel, stride, kernel // 2, bias=bias), halving, norm, nn.ReLU()]
            channels, sides = width, [(side + 1) // 2 for side in sides]
        self.features = nn.Sequential(*blocks)
        n_features = channels * math.prod(sides)
        self.head = nn.Sequential(nn.Flatten(), nn.Dropout(config["dropout"]), nn.Linear(n_features, n_classes))

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.head(self.features(x))
        return logits


def norm_layer(name: str, channels: int, dims: int) -> nn.Module:
    if name == "batch":
        return BATCH_NORM[dims](channels)
    if name == "group":
        return nn.GroupNorm(4, channels)
    return nn.Identity()
