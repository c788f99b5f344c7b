"""The base of built-in tasks: a data set, a model family, a space and a metric."""

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

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

MIN_STEPS = 20  # minimum optimizer steps of a short training; after fewer, a network has learned nothing


@dataclass(frozen=True)
class BuiltIn(ABC):
    """Refers to its data and model by name, so that it is cheap to send and loads them in the training process."""

    reads_space: ClassVar[bool] = False
    name: str
    data: str  # a key of automl.data.SOURCES
    model: str | None  # the model family; None: it is the hyperparameter `model`
    space: "ConfigurationSpace"
    max_epochs: int
    metric: str  # a key of automl.metrics.METRICS; the search optimises it
    train_size: int | None = None  # None: the whole training set
    resumable: bool = True

    @property
    def maximize(self) -> bool:
        return METRICS[self.metric].best is not None

    def prepared(self, train_size: int | None) -> Self:
        """This task with ``train_size`` training examples. DataMissing if its data are not on this machine."""
        source = SOURCES[self.data]
        source_module(self.data).fetch(download=False)
        if train_size is not None:
            check_train_size(train_size, source.n_classes, source.n_train)
        return replace(self, train_size=train_size)

    def family(self, config: Mapping[str, Any]) -> str:
        """The model family of a config."""
        family: str = self.model or config["model"]
        return family

    def fidelity(self, config: Mapping[str, Any]) -> Fidelity:
        """The meaning of a short training: with a learning-rate schedule, a separate training with a shorter schedule.

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
        """The number of examples in an epoch of a network."""
        return self.train_size or SOURCES[self.data].n_train

    def with_metric(self, metric: str | None) -> Self:
        """This task with another metric to optimise. UserError if it does not fit the target."""
        if metric is None:
            return self
        return replace(self, metric=check_metric(metric, METRICS[self.metric].kind))

    def train(
        self, config: Mapping[str, Any], *, seed: int, epochs: int, checkpoint: Path | None, device: str
    ) -> Iterator[Epoch]:
        from automl.training.base import train

        return train(self, config, seed=seed, epochs=epochs, checkpoint=checkpoint, device=device)

    def baseline(self) -> dict[str, Any] | None:
        """A practitioner's baseline: its name, its test score in the task's metric, and its seconds.

        It is fitted to the task's training examples. None if there is no baseline.
        """
        from automl.tasks.baselines import BASELINES, run_baseline

        first = BASELINES.get(self.data)
        if first is None or self.metric not in first.metrics:
            return None
        scores, seconds = run_baseline(self.data, self.train_size)
        return {"name": first.description, "score": scores[self.metric], "seconds": seconds}

    @abstractmethod
    def prepare(self) -> None:
        """Load what the first training would have to load, so that this does not count as training time."""

    def warm_up(self, device: str) -> None:
        """Load a card's libraries, so that this does not count as training time either."""
        from automl.models.device import find_device
        from automl.training.device import warm_up

        warm_up(find_device(device))

    @abstractmethod
    def begin(self, config: Mapping[str, Any], seed: int, device: "torch.device") -> "Training":
        """The training of a config, before its first epoch."""

    @abstractmethod
    def test(self, checkpoint: Path, device: str) -> Mapping[str, float]: ...

    @abstractmethod
    def export(self, checkpoint: Path, out: Path) -> None:
        """Write the model of a checkpoint to a folder: weights, config, preprocessing."""
