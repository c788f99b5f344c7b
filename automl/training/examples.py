"""The training examples of a network, in batches."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from automl.data.augmentation import augment
from automl.data.inputs import Inputs
from automl.models.changes import in_its_unit
from automl.models.device import autocast
from automl.models.tensor_models import SCORING_BATCH, TrainedNetwork
from automl.training.optimizer import Batch


class DeviceExamples:
    """Raw examples (n, ...), which may stay on the CPU, and labels on the network's device, (n,)."""

    def __init__(self, model: TrainedNetwork, x: Tensor, y: Tensor) -> None:
        self.model, self.x, self.y = model, x, y
        inputs, device = model.preprocessing.inputs, y.device
        lengths = inputs.lengths(x)
        self.lengths = None if lengths is None else lengths.to(device)
        # Counting the steps of a batch's mask is free on a CPU, but would wait for the device on a GPU.
        self.steps = None if device.type == "cpu" else steps_of(inputs, x)

    def loss(
        self, batch: Batch, config: Mapping[str, Any], weights: Tensor | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """The loss of a batch, the outputs and the labels. Nothing in it waits for the device.

        ``config``: augment and mirror, and what the target's loss takes. ``weights``: of the classes.
        """
        rules, module, device = self.model.preprocessing, self.model.module, self.y.device
        raw, wanted = self.x[batch.on(self.x.device)].to(device), self.y[batch.chosen]
        mask = rules.inputs.mask(raw)
        inputs = augment(rules(raw), config.get("augment", 0.0), mirrored=config.get("mirror", True))
        steps = None if self.steps is None else self.steps[batch.on_host]
        with autocast(device):
            outputs = module(inputs) if mask is None else module(inputs, mask, steps)
            return in_its_unit(rules.target.loss(outputs, wanted, config, weights), module), outputs, wanted


def steps_of(inputs: Inputs, x: Tensor) -> Tensor | None:
    """The number of valid steps of raw examples, (n,) on the CPU; None if all steps are valid."""
    masks = [inputs.mask(part) for part in torch.split(x, SCORING_BATCH)]
    counts = [mask.sum(1).cpu() for mask in masks if mask is not None]
    return torch.cat(counts) if counts else None
