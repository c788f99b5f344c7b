"""The supervised training of a network."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from automl.data.augmentation import augment
from automl.data.targets import Classes
from automl.models import build_for
from automl.models.backbone import Backbone
from automl.models.device import autocast, isolated
from automl.models.trained import TrainedNetwork
from automl.training.base import SupervisedTraining
from automl.training.optimizer import Descent
from automl.training.spec import SupervisedTask


class NetworkTraining(SupervisedTraining):
    """Model, optimizer and history of one config on one device."""

    model: TrainedNetwork

    def __init__(self, task: SupervisedTask, config: Mapping[str, Any], seed: int, device: torch.device) -> None:
        super().__init__(task, config, seed, device)
        with isolated(device, seed, 0):
            module = build_for(self.rules.inputs, self.family, self.own, self.rules.target.n_outputs)
        self.take_first_weights(module)
        module.to(device)
        self.model = TrainedNetwork(module, self.config, self.rules)
        self.descent = Descent(module, self.own)
        self.lengths = self.rules.inputs.lengths(self.data["train"][0])
        self.weights: Tensor | None = None  # of the classes
        if self.own.get("class_weight") and isinstance(self.rules.target, Classes):
            weights = self.rules.target.weights(self.splits.y_train, self.own["class_weight"])
            self.weights = torch.tensor(weights, dtype=torch.float32, device=device)

    def take_first_weights(self, module: nn.Module) -> None:
        """Load initial weights, if they are not random."""
        if isinstance(module, Backbone):
            module.start_from_disk()

    def train_epoch(self) -> dict[str, float]:
        """Train once over the examples; the metrics are those under dropout, augmentation and label smoothing."""
        (x, y), module, config, target = self.data["train"], self.model.module, self.own, self.rules.target
        tally = torch.zeros((), dtype=torch.double, device=self.device)

        def loss_of(chosen: Tensor) -> Tensor:
            raw, wanted = x[chosen], y[chosen]
            mask = self.rules.inputs.mask(raw)
            inputs = augment(self.rules(raw), config.get("augment", 0.0))
            with autocast(self.device):
                outputs = module(inputs) if mask is None else module(inputs, mask)
                loss = target.loss(outputs, wanted, config, self.weights)
            tally.add_(target.tally(outputs.detach(), wanted))
            return loss

        order = self.order()
        loss, n = self.descent.epoch(
            order, loss_of, epoch=self.epoch, max_epochs=self.task.max_epochs, lengths=self.lengths
        )
        return target.of_training(loss, tally.item(), n)

    def order(self) -> Tensor:
        """The training examples of an epoch, as indices in order of use."""
        return torch.randperm(len(self.data["train"][1]), device=self.device)

    def tensors(self) -> dict[str, Tensor]:
        return self.descent.tensors()

    def load(self, tensors: Mapping[str, Tensor]) -> None:
        self.descent.load(tensors)
