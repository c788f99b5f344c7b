"""Fine-tuning of a model on new examples, with replay of old ones to prevent forgetting."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from automl.data.targets import Classes
from automl.models.loading import load_model
from automl.models.tensor_models import TrainedNetwork
from automl.models.trained import Preprocessing
from automl.training.examples import DeviceExamples
from automl.training.network import NetworkTraining
from automl.training.optimizer import Descent
from automl.training.spec import SupervisedTask

LR_FACTOR = 0.5  # factor of the learning rate, as the weights are already good


class ContinuedTask(SupervisedTask, Protocol):
    """Merged old and new data, see ``ContinuedData``."""

    @property
    def start(self) -> str: ...
    @property
    def n_old(self) -> int: ...
    @property
    def replay(self) -> float: ...


class ContinuedTraining(NetworkTraining):
    """Starts from a trained network and keeps its preprocessing, which its weights are fitted to."""

    task: ContinuedTask

    def __init__(self, task: ContinuedTask, config: Mapping[str, Any], seed: int, device: torch.device) -> None:
        super().__init__(task, config, seed, device)
        before = load_model(Path(task.start))
        assert isinstance(before, TrainedNetwork)
        old, target = before.preprocessing, before.preprocessing.target
        if isinstance(target, Classes):
            target = Classes(self.splits.classes)
        self.rules = Preprocessing(old.task, old.model, old.inputs, target)
        module = self.model.module
        take_over(module, before.module.state_dict())
        self.model = TrainedNetwork(module.to(device), self.config, self.rules)
        self.examples = DeviceExamples(self.model, *self.train_data)
        self.descent = Descent(module, {**self.own, "lr": self.own["lr"] * LR_FACTOR})

    def take_first_weights(self, module: nn.Module) -> None:
        """Do nothing: the weights of the model in use are taken over once the network is built."""

    def order(self) -> Tensor:
        """All new examples, and a random sample of old ones, drawn again each epoch."""
        n, old = len(self.train_data[1]), self.task.n_old
        replayed = min(old, round(self.task.replay * (n - old)))
        new = torch.arange(old, n, device=self.device)
        chosen = torch.cat([torch.randperm(old, device=self.device)[:replayed], new])
        return chosen[torch.randperm(len(chosen), device=self.device)]


def take_over(module: nn.Module, weights: Mapping[str, Tensor]) -> None:
    """Load the weights of a network with as many or fewer outputs; new outputs keep their random weights.

    The outputs are the rows of the last layer, the only one whose shape depends on their number.
    """
    own = module.state_dict()
    with torch.no_grad():
        for name, old in weights.items():
            if own[name].shape == old.shape:
                own[name].copy_(old)
            else:
                own[name][: len(old)].copy_(old)
