"""The training behind ContinuedData; apart from it, so that naming the task needs no torch."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from automl.data.targets import Classes
from automl.models.trained import Preprocessing, TrainedNetwork, load_model
from automl.training.network import NetworkTraining
from automl.training.optimizer import Descent

if TYPE_CHECKING:
    from automl.continual.fine_tuning import ContinuedData

SLOWER = 0.5  # factor of the learning rate: the weights are good already


class ContinuedTraining(NetworkTraining):
    """Starts from a trained network, and keeps its scaling: its weights are used to that."""

    task: ContinuedData

    def __init__(self, task: ContinuedData, config: Mapping[str, Any], seed: int, device: torch.device) -> None:
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
        self.descent = Descent(module, {**self.own, "lr": self.own["lr"] * SLOWER})

    def take_first_weights(self, module: nn.Module) -> None:
        """They are those of the model before."""

    def order(self) -> Tensor:
        """All new examples, and as many old ones as the task says, other ones each epoch."""
        n, old = len(self.data["train"][1]), self.task.n_old
        replayed = min(old, round(self.task.replay * (n - old)))
        new = torch.arange(old, n, device=self.device)
        chosen = torch.cat([torch.randperm(old, device=self.device)[:replayed], new])
        return chosen[torch.randperm(len(chosen), device=self.device)]


def take_over(module: nn.Module, weights: Mapping[str, Tensor]) -> None:
    """Weights of a network with fewer outputs: those of the new outputs stay as they are drawn.

    The outputs are the rows of the last layer, the only one whose shape depends on their number.
    """
    own = module.state_dict()
    with torch.no_grad():
        for name, old in weights.items():
            if own[name].shape == old.shape:
                own[name].copy_(old)
            else:
                own[name][: len(old)].copy_(old)
