"""Model families: one file each, holding `Model(config, shape, n_classes)`.

shape is that of one example, channels first. Input: standardised, (batch, *shape); output: one logit a class.
"""

import importlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from torch import nn

FAMILIES = ("cnn", "rnn", "transformer")


def build_model(family: str, config: Mapping[str, Any], shape: tuple[int, ...], n_classes: int) -> "nn.Module":
    assert family in FAMILIES, family
    module = importlib.import_module(f"automl.models.{family}")
    return cast("nn.Module", module.Model(config, shape, n_classes))
