"""Convolutional network for signals (channels, length) and images (channels, height, width)."""

import math
from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from automl.models.pooling import pooled

# Per number of spatial dimensions.
CONV: dict[int, type[nn.Conv1d] | type[nn.Conv2d]] = {1: nn.Conv1d, 2: nn.Conv2d}
BATCH_NORM: dict[int, type[nn.BatchNorm1d] | type[nn.BatchNorm2d]] = {1: nn.BatchNorm1d, 2: nn.BatchNorm2d}
POOL: dict[int, type[nn.MaxPool1d] | type[nn.MaxPool2d]] = {1: nn.MaxPool1d, 2: nn.MaxPool2d}


class CNN(nn.Module):
    """Blocks of convolution, downsampling by 2, normalisation and ReLU; the last feature maps are pooled for a linear
    layer.

    config: width (channels of the first block), layers, kernel_size (odd), norm, downsample (by the stride of the
    convolution or by max pooling), pooling (flatten, the default, keeps every position; max and mean over positions are
    for examples of different lengths), dropout (before the linear layer).
    """

    def __init__(self, config: Mapping[str, Any], shape: tuple[int, ...], n_outputs: int) -> None:
        super().__init__()
        channels, *sides = shape
        dims, kernel, stride = len(sides), config["kernel_size"], 2 if config.get("downsample") == "stride" else 1
        blocks: list[nn.Module] = []
        for layer in range(config["layers"]):
            # Downsampling leaves a quarter of an image's positions, so twice the channels still cost less.
            width = config["width"] * (2 ** min(layer, 2) if dims == 2 else 1)
            norm = norm_layer(config["norm"], width, dims)
            bias = isinstance(norm, nn.Identity)
            # Max pooling comes before the norm, which then has fewer positions to process.
            halving = POOL[dims](2, ceil_mode=True) if stride == 1 else nn.Identity()
            blocks += [CONV[dims](channels, width, kernel, stride, kernel // 2, bias=bias), halving, norm, nn.ReLU()]
            channels, sides = width, [(side + 1) // 2 for side in sides]
        self.features = nn.Sequential(*blocks)
        self.pooling, self.n_layers = config.get("pooling", "flatten"), config["layers"]
        n_features = channels * (math.prod(sides) if self.pooling == "flatten" else 1)
        self.head = nn.Sequential(nn.Flatten(), nn.Dropout(config["dropout"]), nn.Linear(n_features, n_outputs))

    def forward(self, x: Tensor, mask: Tensor | None = None, steps: Tensor | None = None) -> Tensor:
        maps = self.features(x) if mask is None else x
        if mask is not None:
            for layer in range(self.n_layers):
                maps, mask = self.masked_block(layer, maps, mask)
        if self.pooling != "flatten":
            maps = pooled(maps.flatten(2), mask, self.pooling)
        outputs: Tensor = self.head(maps)
        return outputs

    def masked_block(self, layer: int, maps: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """A block over signals of different lengths, whose padding has no effect on predictions.

        In training, the statistics of batch normalisation count padded positions, as zeros.
        """
        convolution, halving, norm, relu = list(self.features)[4 * layer : 4 * layer + 4]
        maps = convolution(maps)
        if not isinstance(halving, nn.Identity):
            maps = halving(maps.masked_fill(~mask[:, None], -torch.inf))
        mask = F.max_pool1d(mask[:, None].float(), 2, ceil_mode=True)[:, 0] > 0
        maps = maps.masked_fill(~mask[:, None], 0.0)
        maps = relu(masked_group_norm(norm, maps, mask) if isinstance(norm, nn.GroupNorm) else norm(maps))
        return maps.masked_fill(~mask[:, None], 0.0), mask


def masked_group_norm(norm: nn.GroupNorm, maps: Tensor, mask: Tensor) -> Tensor:
    """Group normalisation over the valid positions (batch, length); otherwise outputs would depend on the batch."""
    batch, channels, length = maps.shape
    grouped = maps.reshape(batch, norm.num_groups, channels // norm.num_groups, length)
    valid = mask[:, None, None].to(maps.dtype)
    n = valid.sum((2, 3), keepdim=True).clamp(min=1) * grouped.shape[2]
    mean = (grouped * valid).sum((2, 3), keepdim=True) / n
    variance = ((grouped - mean) ** 2 * valid).sum((2, 3), keepdim=True) / n
    normalised = ((grouped - mean) / (variance + norm.eps).sqrt()).reshape(batch, channels, length)
    return normalised * norm.weight[:, None] + norm.bias[:, None]


def norm_layer(name: str, channels: int, dims: int) -> nn.Module:
    if name == "batch":
        return BATCH_NORM[dims](channels)
    if name == "group":
        return nn.GroupNorm(4, channels)
    return nn.Identity()
