"""A torchvision network pretrained on ImageNet, for images, with a new last layer.

Its weights are read from torchvision's cache (``$TORCH_HOME/hub/checkpoints``, by default
``~/.cache/torch/hub/checkpoints``); nothing is downloaded here. A trained model contains all its weights.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from automl.errors import UserError

ARCHITECTURES = ("mobilenet_v3_small", "resnet18", "efficientnet_b0")  # the fastest first


def weights_file(architecture: str) -> Path:
    """Where torchvision keeps the weights of an architecture."""
    from torchvision.models import get_model_weights

    best: Any = get_model_weights(architecture)
    return Path(torch.hub.get_dir()) / "checkpoints" / Path(best.DEFAULT.url).name


def on_disk() -> tuple[str, ...]:
    """The architectures whose weights are on this machine."""
    return tuple(name for name in ARCHITECTURES if weights_file(name).is_file())


class Backbone(nn.Module):
    """config: architecture, side (pixels to which images are resized), tuned (`head`: only the last layer is trained,
    `all`: the whole network is fine-tuned), dropout (before the last layer).
    """

    def __init__(self, config: Mapping[str, Any], shape: tuple[int, ...], n_outputs: int) -> None:
        from torchvision.models import get_model

        super().__init__()
        self.architecture, self.side, self.only_head = config["architecture"], config["side"], config["tuned"] == "head"
        self.body = get_model(self.architecture, weights=None)
        # The last layer is `fc`, or the last one of `classifier`.
        last = self.body.fc if hasattr(self.body, "fc") else self.body.classifier[-1]
        if hasattr(self.body, "fc"):
            self.body.fc = nn.Identity()
        else:
            self.body.classifier[-1] = nn.Identity()
        self.head = nn.Sequential(nn.Dropout(config["dropout"]), nn.Linear(last.in_features, n_outputs))
        if self.only_head:
            self.body.requires_grad_(False)

    def forward(self, x: Tensor) -> Tensor:
        """x: (batch, 1 or 3, height, width)."""
        coloured = x.expand(-1, 3, -1, -1)
        sized = F.interpolate(coloured, size=(self.side, self.side), mode="bilinear", align_corners=False)
        outputs: Tensor = self.head(self.body(sized))
        return outputs

    def train(self, mode: bool = True) -> Self:
        """A frozen body also keeps the statistics of its batch norms."""
        super().train(mode)
        if self.only_head:
            self.body.eval()
        return self

    def start_from_disk(self) -> None:
        """Load the weights on this machine, except the last layer. UserError if there are none."""
        file = weights_file(self.architecture)
        if not file.is_file():
            raise UserError(
                f"the weights of {self.architecture} are not on this machine; {how_to_get(self.architecture)}"
            )
        tensors = torch.load(file, map_location="cpu", weights_only=True)
        wanted = self.body.state_dict()
        lacking = [name for name in wanted if name not in tensors or tensors[name].shape != wanted[name].shape]
        if lacking:
            raise UserError(
                f"{file} does not hold the weights of {self.architecture}: {lacking[0]} is missing or has another shape"
            )
        self.body.load_state_dict({name: tensors[name] for name in wanted})


def how_to_get(architecture: str) -> str:
    """How to get the weights of an architecture, for messages."""
    return (
        f"with a network connection: python -c \"import torchvision; torchvision.models.get_model('{architecture}', "
        f"weights='DEFAULT')\", or copy {weights_file(architecture).name} to {weights_file(architecture).parent}"
    )
