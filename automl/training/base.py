"""A resumable training of one config, epoch by epoch, with checkpoints.

All randomness of an epoch is derived from (seed, epoch). So a checkpoint needs no generator state, and on a CPU a
training that was paused and continued equals an uninterrupted one bit for bit.
"""

import math
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from automl.data.datasets.registry import load_data
from automl.metrics import loss_of
from automl.models import ESTIMATORS, own_config
from automl.models.device import find_device, isolated
from automl.models.tensor_models import TensorModel, rebuilt
from automl.models.trained import Preprocessing
from automl.task import Epoch, TrainingFailed
from automl.training.checkpoint import CHECKPOINT, check_is_of, read_checkpoint, write_checkpoint
from automl.training.device import device_data, memory_errors, warm_up
from automl.training.spec import SupervisedTask, TrainedTask


def train(
    task: TrainedTask, config: Mapping[str, Any], *, seed: int, epochs: int, checkpoint: Path | None, device: str
) -> Iterator[Epoch]:
    """Train a config: see `automl.task.Task.train`."""
    if not 1 <= epochs <= task.max_epochs:
        raise ValueError(f"epochs must be between 1 and the task's max_epochs = {task.max_epochs}, got {epochs}")
    where = find_device(device)
    warm_up(where)
    with memory_errors(where, "before the first epoch"):
        training = task.begin(config, seed, where)
        if checkpoint is not None and (checkpoint / CHECKPOINT).exists():
            training.restore(checkpoint)
    while training.epoch < epochs:
        epoch = training.next_epoch()
        if training.epoch == epochs and checkpoint is not None:
            training.save(checkpoint)  # before the last epoch is yielded: the consumer may stop after it
        yield epoch


def evaluate(task: SupervisedTask, checkpoint: Path, *, device: str) -> dict[str, float]:
    """All metrics of the training in a checkpoint folder on the task's test set."""
    where = find_device(device)
    model = trained_model(checkpoint)
    if model.preprocessing.model in ESTIMATORS:
        where = torch.device("cpu")
    model.to(where)
    with isolated(where):
        data = task.data_of(model.preprocessing.model)
        return score(model, *device_data(data, task.train_size, where, "test"), None, where)


def export_model(checkpoint: Path, out: Path) -> None:
    """Write the model of the training in a checkpoint folder to the folder out."""
    trained_model(checkpoint).save(out)


def trained_model(checkpoint: Path) -> TensorModel:
    """The model of the training in a checkpoint folder, on the CPU."""
    tensors, record = read_checkpoint(checkpoint)
    return rebuilt(tensors, record["config"], record["preprocessing"])


class Training(ABC):
    """Model and history of one config on one device."""

    def __init__(self, task: TrainedTask, config: Mapping[str, Any], seed: int, device: torch.device) -> None:
        self.task, self.config, self.seed, self.device = task, dict(config), seed, device
        self.epoch, self.losses, self.metrics = 0, list[float](), dict[str, list[float]]()

    @abstractmethod
    def train_epoch(self) -> dict[str, float]:
        """Train for one epoch; returns metrics of the training set, if any."""

    @abstractmethod
    def validate(self) -> dict[str, float]:
        """Metrics of the validation set, including the task's metric."""

    @abstractmethod
    def preprocessing(self) -> dict[str, Any]:
        """The preprocessing, for the checkpoint's record."""

    @abstractmethod
    def tensors(self) -> dict[str, Tensor]:
        """The tensors that `load` needs to continue."""

    @abstractmethod
    def load(self, tensors: Mapping[str, Tensor]) -> None: ...

    def next_epoch(self) -> Epoch:
        """Train and validate for one epoch."""
        start, number = time.perf_counter(), self.epoch + 1
        with isolated(self.device, self.seed, number), memory_errors(self.device, f"at epoch {number}"):
            train_metrics = self.train_epoch()
            metrics = self.validate()
        return self.ended_epoch(train_metrics, metrics, time.perf_counter() - start)

    def ended_epoch(self, train_metrics: dict[str, float], metrics: dict[str, float], seconds: float) -> Epoch:
        """Add an epoch to the history, from the metrics of the training and the validation set."""
        number = self.epoch + 1
        for part, values in (("training", train_metrics), ("validation", metrics)):
            for value in values.values():
                if not math.isfinite(value):
                    raise TrainingFailed(f"diverged: {part} loss is {value} at epoch {number}")
        metrics |= train_metrics
        self.epoch = number
        self.losses.append(loss_of(self.task.metric, metrics[self.task.metric]))
        for name, value in metrics.items():
            self.metrics.setdefault(name, []).append(value)
        return Epoch(number, self.losses[-1], metrics, seconds)

    def record(self) -> dict[str, Any]:
        return {
            "task": self.task.name,
            "train_size": self.task.train_size,
            "config": self.config,
            "seed": self.seed,
            "epoch": self.epoch,
            "losses": self.losses,
            "metrics": self.metrics,
            "preprocessing": self.preprocessing(),
        }

    def save(self, folder: Path) -> None:
        write_checkpoint(folder, self.tensors(), self.record())

    def restore(self, folder: Path) -> None:
        tensors, record = read_checkpoint(folder)
        check_is_of(record, self.record(), folder)
        self.load(tensors)
        self.epoch, self.losses, self.metrics = record["epoch"], record["losses"], record["metrics"]


class SupervisedTraining(Training):
    """The training of a supervised model."""

    model: TensorModel
    task: SupervisedTask

    def __init__(self, task: SupervisedTask, config: Mapping[str, Any], seed: int, device: torch.device) -> None:
        super().__init__(task, config, seed, device)
        self.family = task.family(config)
        self.own = own_config(self.family, config)
        data = task.data_of(self.family)
        self.splits = load_data(data, task.train_size, task.with_valid)
        self.train_data, self.valid_data = (
            device_data(data, task.train_size, device, part, task.with_valid) for part in ("train", "valid")
        )
        self.rules = Preprocessing(task.name, self.family, self.splits.inputs, self.splits.target)

    def validate(self) -> dict[str, float]:
        return score(self.model, *self.valid_data, self.task.metric, self.device)

    def preprocessing(self) -> dict[str, Any]:
        return self.rules.to_json()


def score(model: TensorModel, x: Tensor, y: Tensor, metric: str | None, device: torch.device) -> dict[str, float]:
    """Metrics of a model on the device, on examples (n, ...) with labels; all of them if ``metric`` is None."""
    return model.preprocessing.target.scores(model.in_parts(x, device), y, metric)
