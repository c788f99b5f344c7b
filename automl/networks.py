"""The training of a network on examples with labels."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from automl.data.targets import Classes
from automl.descent import Descent
from automl.devices import autocast, isolated
from automl.models import build_for
from automl.models.trained import TrainedNetwork
from automl.training import SupervisedTraining

if TYPE_CHECKING:
    from automl.tasks.supervised import Supervised


class NetworkTraining(SupervisedTraining):
    """Model, optimizer and history of one config on one device."""

    model: TrainedNetwork

    def __init__(self, task: "Supervised", config: Mapping[str, Any], seed: int, device: torch.device) -> None:
        super().__init__(task, config, seed, device)
        with isolated(device, seed, 0):
            module = build_for(self.rules.inputs, self.family, self.own, self.rules.target).to(device)
        self.model = TrainedNetwork(module, self.config, self.rules)
        self.descent = Descent(module, self.own)
        self.weights: Tensor | None = None  # of the classes
        if self.own.get("class_weight") and isinstance(self.rules.target, Classes):
            weights = self.rules.target.weights(self.splits.y_train, self.own["class_weight"])
            self.weights = torch.tensor(weights, dtype=torch.float32, device=device)

    def train_epoch(self) -> dict[str, float]:
        """Trains once over the examples; what it tells is under dropout, augmentation and smoothing."""
        (x, y), config, target = self.data["train"], self.own, self.rules.target
        tally = torch.zeros((), dtype=torch.double, device=self.device)

        def loss_of(chosen: Tensor) -> Tensor:
            wanted = y[chosen]
            with autocast(self.device):
                outputs = self.model.forward(x[chosen], wanted, config.get("augment", 0.0))
                loss = target.loss(outputs, wanted, config, self.weights)
            tally.add_(target.tally(outputs.detach(), wanted))
            return loss

        order = torch.randperm(len(y), device=self.device)
        loss, n = self.descent.epoch(order, loss_of, epoch=self.epoch, max_epochs=self.task.max_epochs)
        return target.of_training(loss, tally.item(), n)

    def tensors(self) -> dict[str, Tensor]:
        return self.descent.tensors()

    def load(self, tensors: Mapping[str, Tensor]) -> None:
        self.descent.load(tensors)
