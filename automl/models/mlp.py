"""Multilayer perceptron for vectors and tables."""

import math
from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn


class MLP(nn.Module):
    """Layers of linear map, batch normalisation, ReLU and dropout; inputs are flattened.

    config: width, layers (hidden ones), norm (batch or none; default none), dropout.
    """

    def __init__(self, config: Mapping[str, Any], shape: tuple[int, ...], n_outputs: int) -> None:
        super().__init__()
        n_features = math.prod(shape)
        layers: list[nn.Module] = [nn.Flatten()]
        for _ in range(config["layers"]):
            layers.append(nn.Linear(n_features, config["width"]))
            if config.get("norm", "none") == "batch":
                layers.append(nn.BatchNorm1d(config["width"]))
            layers += [nn.ReLU(), nn.Dropout(config["dropout"])]
            n_features = config["width"]
        self.layers = nn.Sequential(*layers, nn.Linear(n_features, n_outputs))

    def forward(self, x: Tensor, mask: Tensor | None = None, steps: Tensor | None = None) -> Tensor:
        outputs: Tensor = self.layers(x)
        return outputs
