"""What all built-in tasks have in common, whatever they learn: a data set, a model family, a space, a metric."""

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

from automl.data.datasets.registry import SOURCES, source_module
from automl.data.splits import check_train_size
from automl.metrics import METRICS, check_metric
from automl.models import ESTIMATORS
from automl.task import Epoch
from strategies.fidelity import Fidelity

if TYPE_CHECKING:
    import torch
    from ConfigSpace import ConfigurationSpace

    from automl.training.base import Training

MIN_STEPS = 20  # of an optimizer, in a short training: after fewer, a network has learnt nothing


@dataclass(frozen=True)
class BuiltIn(ABC):
    """Names its data and model instead of holding them, so that it travels lightly and loads them where it trains."""

    name: str
    data: str  # a key of automl.data.SOURCES
    model: str | None  # the model family; None: the hyperparameter `model` says which
    space: "ConfigurationSpace"
    max_epochs: int
    metric: str  # a key of automl.metrics.METRICS; what the search optimises
    train_size: int | None = None  # None: the whole training part
    resumable: bool = True

    @property
    def maximize(self) -> bool:
        return METRICS[self.metric].best is not None

    def prepared(self, train_size: int | None) -> Self:
        """This task on part of the training examples, its data being on this machine (else DataMissing)."""
        source = SOURCES[self.data]
        source_module(self.data).fetch(download=False)
        if train_size is not None:
            check_train_size(train_size, source.n_classes, source.n_train)
        return replace(self, train_size=train_size)

    def family(self, config: Mapping[str, Any]) -> str:
        """The model family that a config is of."""
        family: str = self.model or config["model"]
        return family

    def fidelity(self, config: Mapping[str, Any]) -> Fidelity:
        """What a short training of a config means: with a schedule of the learning rate, one with its own schedule.

        Estimators add trees epoch by epoch; a linear model is fitted in the first.
        """
        family = self.family(config)
        if family in ESTIMATORS:
            return Fidelity("whole" if family == "linear" else "resume")
        if "batch_size" not in config or "schedule" not in config:  # a space of the user's own
            return Fidelity("whole")
        steps_per_epoch = max(1, self.examples_per_epoch(config) // int(config["batch_size"]))
        kind: Literal["resume", "restart"] = "resume" if config["schedule"] == "constant" else "restart"
        return Fidelity(kind, math.ceil(MIN_STEPS / steps_per_epoch))

    def examples_per_epoch(self, config: Mapping[str, Any]) -> int:
        """How many examples an epoch of a network goes through."""
        return self.train_size or SOURCES[self.data].n_train

    def with_metric(self, metric: str | None) -> Self:
        """This task with another metric to search by. UserError where it does not fit the target."""
        if metric is None:
            return self
        return replace(self, metric=check_metric(metric, METRICS[self.metric].kind))

    def train(
        self, config: Mapping[str, Any], *, seed: int, epochs: int, checkpoint: Path | None, device: str
    ) -> Iterator[Epoch]:
        from automl.training.base import train

        return train(self, config, seed=seed, epochs=epochs, checkpoint=checkpoint, device=device)

    def baseline(self) -> dict[str, Any] | None:
        """What a practitioner's first try scores on the test set: its name, score by the task's metric, and seconds.

        It has the training examples of the task. None where there is no first try.
        """
        from automl.tasks.baselines import BASELINES, run_baseline

        first = BASELINES.get(self.data)
        if first is None or self.metric not in first.metrics:
            return None
        scores, seconds = run_baseline(self.data, self.train_size)
        return {"name": first.description, "score": scores[self.metric], "seconds": seconds}

    @abstractmethod
    def prepare(self) -> None:
        """Load what a first training would have to load, so that it does not count as the training's time."""

    @abstractmethod
    def begin(self, config: Mapping[str, Any], seed: int, device: "torch.device") -> "Training":
        """The training of a config, before its first epoch."""

    @abstractmethod
    def test(self, checkpoint: Path, device: str) -> Mapping[str, float]: ...

    @abstractmethod
    def export(self, checkpoint: Path, out: Path) -> None:
        """Write the model of a checkpoint into a folder of its own: weights, config, preprocessing."""
