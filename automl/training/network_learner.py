"""Networks as learners, trained for the epochs of their config without early stopping."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file

from automl.data.inputs import Array, Inputs
from automl.data.targets import Target
from automl.models import build_for
from automl.models.backbone import Backbone
from automl.models.device import find_device, isolated
from automl.models.learners.base import Learner, Rounds, Rows
from automl.models.learners.fit_watch import FitWatch
from automl.models.tensor_models import TrainedNetwork
from automl.models.trained import Preprocessing
from automl.task import TrainingFailed
from automl.training.device import home_of, memory_errors
from automl.training.examples import DeviceExamples
from automl.training.optimizer import Descent

FIXED = {"optimizer": "adamw", "schedule": "one-cycle", "clip_norm": 1.0}
COMMON: dict[str, Any] = {
    "lr": {"float": [1e-4, 3e-2], "log": True, "default": 3e-3},
    "weight_decay": {"float": [1e-4, 1e-1], "log": True, "default": 1e-2},
    "batch_size": {"ordinal": [32, 64, 128], "default": 64},
    "dropout": {"float": [0.0, 0.6], "default": 0.2},
}
OF_FAMILY: dict[str, dict[str, Any]] = {
    "cnn": {
        "width": {"ordinal": [16, 24, 32, 48, 64], "default": 32},
        "layers": {"int": [1, 4], "default": 3},
        "kernel_size": {"ordinal": [3, 5, 7], "default": 3},
        "norm": {"constant": "batch"},
    },
    "rnn": {
        "cell": {"choice": ["gru", "lstm"], "default": "gru"},
        "bidirectional": {"constant": True},
        "width": {"ordinal": [32, 64, 128], "default": 64},
        "layers": {"int": [1, 2], "default": 1},
        "summary": {"choice": ["mean", "max", "last"], "default": "max"},
    },
    "transformer": {
        "width": {"ordinal": [32, 64, 128], "default": 64},
        "layers": {"int": [1, 3], "default": 2},
        "heads": {"ordinal": [2, 4, 8], "default": 4},
    },
    "mlp": {
        "width": {"ordinal": [64, 128, 256, 512], "default": 256},
        "layers": {"int": [1, 3], "default": 2},
        "norm": {"constant": "batch"},
    },
    "backbone": {
        "tuned": {"choice": ["head", "all"], "default": "all"},
        "side": {"ordinal": [64, 96, 128], "default": 64},
    },
}


class NetworkLearner(Learner):
    """A network of ``automl.models``.

    config: lr, weight_decay, batch_size, dropout, epochs, the network's own hyperparameters, and for images and signals
    augment and mirror.
    """

    family: ClassVar[str]
    is_bagged: ClassVar[bool] = True
    runtime: ClassVar[str] = "torch"

    def __init__(self, config: Mapping[str, Any], inputs: Inputs, target: Target, seed: int) -> None:
        super().__init__(config, inputs, target, seed)
        self.device = "cpu"
        self.model: TrainedNetwork

    @classmethod
    def space(cls, *, classes: bool, with_levels: bool) -> dict[str, Any]:
        return COMMON | OF_FAMILY[cls.family]

    @staticmethod
    def read(x: Array) -> Array:
        return x

    def fit(self, train: Rows, valid: Rows | None = None, rounds: Rounds = ()) -> None:
        config, epochs = FIXED | dict(self.config), int(self.config["epochs"])
        device = find_device(self.device)
        with isolated(device, self.seed), memory_errors(device, "in a fold"):
            module = build_for(self.inputs, self.family, config, self.target)
            if isinstance(module, Backbone):
                module.start_from_disk()
            self.model = TrainedNetwork(module.to(device), dict(self.config), self._rules())
            descent = Descent(module, config)
            x = torch.from_numpy(np.ascontiguousarray(train.x)).to(home_of(train.x, device))
            y = torch.from_numpy(np.ascontiguousarray(train.y)).to(device)
            examples = DeviceExamples(self.model, x, y)
            watch = FitWatch(epochs, self.max_seconds, "epochs")
            for epoch in range(epochs):
                order = torch.randperm(len(y), device=device)
                loss, _ = descent.epoch(
                    order,
                    lambda batch: examples.loss(batch, config)[0],
                    epoch=epoch,
                    max_epochs=epochs,
                    lengths=examples.lengths,
                )
                if not math.isfinite(loss):
                    raise TrainingFailed(f"diverged: training loss is {loss} at epoch {epoch + 1}")
                watch.done(epoch + 1)
        self.model.to(torch.device("cpu"))

    def predict(self, x: NDArray[Any]) -> NDArray[np.float64]:
        with isolated(torch.device("cpu")):
            found: NDArray[np.float64] = self.model.predict(x)
        return found

    def _rules(self) -> Preprocessing:
        return Preprocessing("", self.family, self.inputs, self.target)

    def save(self, folder: Path) -> None:
        self.model.save_weights(folder)

    @classmethod
    def load(cls, folder: Path, config: Mapping[str, Any], inputs: Inputs, target: Target) -> Self:
        found = cls(config, inputs, target, seed=0)
        found.model = TrainedNetwork.rebuild(load_file(folder / "model.safetensors"), config, found._rules())
        return found


class CNN(NetworkLearner):
    """A convolutional network."""

    family = "cnn"


class RNN(NetworkLearner):
    """A recurrent network."""

    family = "rnn"


class Transformer(NetworkLearner):
    """A Transformer encoder."""

    family = "transformer"


class MLP(NetworkLearner):
    """A multilayer perceptron."""

    family = "mlp"


class PretrainedBackbone(NetworkLearner):
    """A pretrained network, refitted to all rows, since the models of all folds would fill the disk."""

    family = "backbone"
    is_bagged = False


OF_NETWORKS = {learner.family: learner for learner in (CNN, RNN, Transformer, MLP, PretrainedBackbone)}
