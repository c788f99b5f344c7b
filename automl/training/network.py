"""The supervised training of a network."""

from collections.abc import Mapping
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from automl.data.targets import Classes
from automl.models import build_for
from automl.models.backbone import Backbone
from automl.models.device import isolated
from automl.models.tensor_models import TrainedNetwork
from automl.training.base import SupervisedTraining
from automl.training.examples import DeviceExamples
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
        self.examples = DeviceExamples(self.model, *self.train_data)
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
            lengths=self.examples.lengths,
        )
        return self.rules.target.of_training(loss, tally.item(), n)

    def loss_of(self, batch: Batch, tally: Tensor) -> Tensor:
        """The loss of a batch, whose outputs are added to ``tally``."""
        loss, outputs, wanted = self.examples.loss(batch, self.own, self.weights)
        tally.add_(self.rules.target.tally(outputs.detach(), wanted))
        return loss

    def order(self) -> Tensor:
        """The training examples of an epoch, as indices in order of use."""
        return torch.randperm(len(self.train_data[1]), device=self.device)

    def tensors(self) -> dict[str, Tensor]:
        return self.descent.tensors()

    def load(self, tensors: Mapping[str, Tensor]) -> None:
        self.descent.load(tensors)
