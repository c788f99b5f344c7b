"""The supervised training of a network."""

from collections.abc import Mapping
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from automl.data.augmentation import augment
from automl.data.inputs import Inputs
from automl.data.targets import Classes
from automl.models import build_for
from automl.models.backbone import Backbone
from automl.models.device import autocast, isolated
from automl.models.tensor_models import SCORING_BATCH, TrainedNetwork
from automl.training.base import SupervisedTraining
from automl.training.optimizer import Batch, Descent
from automl.training.spec import SupervisedTask


class NetworkTraining(SupervisedTraining):
    """Model, optimizer and history of one config on one device."""

    model: TrainedNetwork

    def __init__(self, task: SupervisedTask, config: Mapping[str, Any], seed: int, device: torch.device) -> None:
        super().__init__(task, config, seed, device)
        with isolated(device, seed, 0):
            module = build_for(self.rules.inputs, self.family, self.own, self.rules.target)
        self.take_first_weights(module)
        module.to(device)
        self.model = TrainedNetwork(module, self.config, self.rules)
        self.descent = Descent(module, self.own)
        x, _ = self.train_data
        lengths = self.rules.inputs.lengths(x)
        self.lengths = None if lengths is None else lengths.to(device)
        # Counting the steps of a batch's mask is free on a CPU, but would wait for the device on a GPU.
        self.steps = None if device.type == "cpu" else steps_of(self.rules.inputs, x)
        self.weights: Tensor | None = None  # of the classes
        if self.own.get("class_weight") and isinstance(self.rules.target, Classes):
            weights = self.rules.target.weights(self.splits.y_train, self.own["class_weight"])
            self.weights = torch.tensor(weights, dtype=torch.float32, device=device)

    def take_first_weights(self, module: nn.Module) -> None:
        """Load pretrained initial weights, if there are any."""
        if isinstance(module, Backbone):
            module.start_from_disk()

    def train_epoch(self) -> dict[str, float]:
        """Train once over the examples; metrics are measured under dropout, augmentation and label smoothing."""
        tally = torch.zeros((), dtype=torch.double, device=self.device)
        loss, n = self.descent.epoch(
            self.order(),
            partial(self.loss_of, tally=tally),
            epoch=self.epoch,
            max_epochs=self.task.max_epochs,
            lengths=self.lengths,
        )
        return self.rules.target.of_training(loss, tally.item(), n)

    def loss_of(self, batch: Batch, tally: Tensor) -> Tensor:
        """The loss of a batch, whose outputs are added to ``tally``. Nothing in it waits for the device."""
        x, y = self.train_data
        raw, wanted = x[batch.on(x.device)].to(self.device), y[batch.chosen]
        mask = self.rules.inputs.mask(raw)
        inputs = augment(self.rules(raw), self.own.get("augment", 0.0))
        steps = None if self.steps is None else self.steps[batch.on_host]
        module, target = self.model.module, self.rules.target
        with autocast(self.device):
            outputs = module(inputs) if mask is None else module(inputs, mask, steps)
            loss = target.loss(outputs, wanted, self.own, self.weights)
        tally.add_(target.tally(outputs.detach(), wanted))
        return loss

    def order(self) -> Tensor:
        """The training examples of an epoch, as indices in order of use."""
        return torch.randperm(len(self.train_data[1]), device=self.device)

    def tensors(self) -> dict[str, Tensor]:
        return self.descent.tensors()

    def load(self, tensors: Mapping[str, Tensor]) -> None:
        self.descent.load(tensors)


def steps_of(inputs: Inputs, x: Tensor) -> Tensor | None:
    """The number of valid steps of raw examples, (n,) on the CPU; None if all steps are valid."""
    masks = [inputs.mask(part) for part in torch.split(x, SCORING_BATCH)]
    counts = [mask.sum(1).cpu() for mask in masks if mask is not None]
    return torch.cat(counts) if counts else None
