"""Several trainings of one shape in a single program, whose epochs cost less than one after the other.

The shape is what the tensors of a step depend on: the network's shape and the batch size. Lanes may differ in all else:
seed, learning rate and schedule, optimizer, weight decay, momentum, dropout, augmentation, label smoothing, clipping.
Each training keeps its own state, which is copied into the lanes for an epoch and back. So it may join or leave before
any epoch, is saved and restored as if it were alone, and draws the same random numbers as alone.
"""

from __future__ import annotations

import functools
import math
import time
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor

from automl.data.augmentation import augment
from automl.data.datasets.registry import load_data
from automl.data.inputs import Inputs
from automl.data.targets import Classes, Number, Target
from automl.models import build_for, own_config
from automl.models.changes import in_its_unit
from automl.models.device import find_device, isolated
from automl.models.lanes import Lanes, layers_of
from automl.task import Epoch, OutOfMemory, Task, TrainingFailed, vary
from automl.training.checkpoint import CHECKPOINT
from automl.training.device import memory_errors, warm_up
from automl.training.lane_optimizer import LaneOptimizer
from automl.training.network import NetworkTraining
from automl.training.optimizer import schedule
from automl.training.spec import Resumable, SupervisedTask, TrainedTask
from automl.tuning.jobs import Job

FREE = (
    "lr", "optimizer", "weight_decay", "momentum", "nesterov", "schedule", "warmup", "dropout", "label_smoothing",
    "augment", "clip_norm",
)  # hyperparameters that may differ between the lanes of a program  # fmt: skip
# Up to these sizes, networks train faster on a CPU in a program of four than one after the other.
MAX_WEIGHTS = {"mlp": 70_000, "cnn": 70_000, "transformer": 30_000, "rnn": 14_000}
MAX_WEIGHTS_FOR_IMAGES = 4_000  # of a CNN, where arithmetic dominates
SCORED_AT_ONCE = 200  # validation examples, small enough that the activations of the lanes fit in a cache


def shape_of(task: TrainedTask, config: Mapping[str, Any]) -> tuple[tuple[str, Any], ...]:
    """The hyperparameters that trainings must have in common to share a program."""
    own = own_config(task.family(config), config)
    return tuple(sorted((name, value) for name, value in own.items() if name not in FREE))


def lane_key(task: SupervisedTask, config: Mapping[str, Any]) -> Hashable | None:
    """What trainings of a task must have in common to share a program; None for those better trained alone.

    In large networks, arithmetic outweighs the overhead of operations, so sharing a program saves nothing.
    """
    family = task.family(config)
    if family not in MAX_WEIGHTS:
        return None
    own, data = own_config(family, config), load_data(task.data_of(family), task.train_size, task.with_valid)
    if own.get("class_weight") or data.inputs.kind in ("padded", "tokens"):
        return None
    shape = shape_of(task, config)
    return (family, shape) if _is_faster(data.inputs, family, shape, data.target) else None


@functools.lru_cache(maxsize=1000)
def _is_faster(inputs: Inputs, family: str, shape: tuple[tuple[str, Any], ...], target: Target) -> bool:
    """Whether several networks of a shape are trained faster in one program than one after the other."""
    with torch.device("meta"):
        module = build_for(inputs, family, {**dict(shape), "dropout": 0.0}, target)
    most = MAX_WEIGHTS_FOR_IMAGES if family == "cnn" and len(inputs.shape) == 3 else MAX_WEIGHTS[family]
    return sum(parameter.numel() for parameter in module.parameters()) <= most and layers_of(module) is not None


def can_share(training: NetworkTraining) -> bool:
    """Whether the network supports lanes and its examples have one length."""
    fixed = training.rules.inputs.mask(training.train_data[0][:1]) is None
    plain = type(training) is NetworkTraining and training.weights is None
    return fixed and plain and layers_of(training.model.module) is not None


def train_lanes(
    task: TrainedTask, lanes: Sequence[Job], *, device: str, is_stopped: Callable[[int], bool] = lambda key: False
) -> Iterator[tuple[int, Epoch | TrainingFailed]]:
    """Train several configs of one shape, each up to its total epochs, from its folder's checkpoint if there is one.

    Yields a training's key with each new epoch, or with its failure. Networks without lanes are trained in turn.
    ``is_stopped``: called with a key before each epoch; True ends that training.
    """
    shapes = {shape_of(task, lane.config) for lane in lanes}
    if len(shapes) > 1:
        raise ValueError(f"lanes must be of one shape, got {shapes}")
    where = find_device(device)
    warm_up(where)
    folders = {lane.key: Path(str(lane.folder)) for lane in lanes}
    with memory_errors(where, "before the first epoch"):
        trainings = {lane.key: _varied(task, lane.schedule).begin(lane.config, lane.seed, where) for lane in lanes}
        for key, training in trainings.items():
            if (folders[key] / CHECKPOINT).exists():
                training.restore(folders[key])
    ends = {lane.key: lane.epochs for lane in lanes}
    while going := {
        key: training for key, training in trainings.items() if training.epoch < ends[key] and not is_stopped(key)
    }:
        chosen = _in_step(going)
        for key, ended in zip(chosen, _advanced([going[key] for key in chosen]), strict=True):
            if isinstance(ended, TrainingFailed):
                del trainings[key]
            elif going[key].epoch == ends[key]:
                going[key].save(folders[key])
            yield key, ended


def _varied(task: TrainedTask, schedule: int | None) -> TrainedTask:
    """The task with trainings of this length."""
    return task if schedule is None else cast(TrainedTask, vary(cast(Task, task), max_epochs=schedule))


def _in_step(trainings: Mapping[int, Resumable]) -> list[int]:
    """Those with the fewest epochs: trainings that were continued from further on wait for the others."""
    least = min(training.epoch for training in trainings.values())
    return [key for key, training in trainings.items() if training.epoch == least]


def _advanced(trainings: Sequence[Resumable]) -> list[Epoch | TrainingFailed]:
    """The next epoch of each; with less memory than they need together, of one half after the other."""
    networks = [training for training in trainings if isinstance(training, NetworkTraining) and can_share(training)]
    if len(networks) < len(trainings):
        return [_alone(training) for training in trainings]
    try:
        return next_epochs(networks)
    except OutOfMemory as failure:
        if len(trainings) == 1:
            return [failure]
        half = len(trainings) // 2
        return _advanced(trainings[:half]) + _advanced(trainings[half:])


def _alone(training: Resumable) -> Epoch | TrainingFailed:
    try:
        return training.next_epoch()
    except TrainingFailed as failure:
        return failure


def next_epochs(trainings: Sequence[NetworkTraining]) -> list[Epoch | TrainingFailed]:
    """Train and validate each for its next epoch. They must be of one shape, and able to share a program.

    The seconds of an epoch are a lane's share. OutOfMemory leaves the trainings unchanged.
    """
    start, device = time.perf_counter(), trainings[0].device
    with isolated(device), memory_errors(device, f"with {len(trainings)} trainings in one program"):
        program = Program(trainings)
        train_metrics = program.train()
        metrics = program.validate()
        program.write_back()
    seconds = (time.perf_counter() - start) / len(trainings)
    ended: list[Epoch | TrainingFailed] = []
    for training, of_train, of_valid in zip(trainings, train_metrics, metrics, strict=True):
        try:
            ended.append(training.ended_epoch(of_train, of_valid, seconds))
        except TrainingFailed as failure:
            ended.append(failure)
    return ended


class Program:
    """The next epoch of each training."""

    def __init__(self, trainings: Sequence[NetworkTraining]) -> None:
        self.trainings, self.configs = trainings, [training.own for training in trainings]
        first = trainings[0]
        self.device, self.target, self.rules = first.device, first.rules.target, first.rules
        self.lanes = Lanes([training.model.module for training in trainings])
        self.optimizer = LaneOptimizer(self.lanes, [training.descent.optimizer for training in trainings], self.configs)
        smoothing = [config.get("label_smoothing", 0.0) for config in self.configs]
        self.smoothing = torch.tensor(smoothing, dtype=self.lanes.weights.dtype, device=self.device)
        self.losses = torch.zeros_like(self.smoothing)
        self.tally = torch.zeros_like(self.smoothing, dtype=torch.double)

    def train(self) -> list[dict[str, float]]:
        """Returns the metrics of each lane on the training set."""
        x, y = self.trainings[0].train_data
        n, generators = len(y), [generator(training) for training in self.trainings]
        batch = min(self.configs[0]["batch_size"], n)
        n_steps = n // batch
        orders = torch.stack([torch.randperm(n, generator=each, device=self.device) for each in generators])
        of_examples, rates = orders.to(x.device), self._rates(n_steps)
        for step in range(n_steps):
            part = slice(step * batch, (step + 1) * batch)
            self.step(x[of_examples[:, part]].to(self.device), y[orders[:, part]], rates[step], generators)
        return [
            self.target.of_training(loss / n_steps, count, n_steps * batch)
            for loss, count in zip(self.losses.tolist(), self.tally.tolist(), strict=True)
        ]

    def step(self, raw: Tensor, targets: Tensor, rates: Tensor, generators: Sequence[torch.Generator]) -> None:
        """A step of each lane on its batch of raw examples (lanes, batch, ...). Nothing in it waits for the device."""
        inputs = self.rules(raw.flatten(0, 1))
        inputs = self._augmented(inputs.reshape(*targets.shape, *inputs.shape[1:]), generators)
        outputs = self.lanes(inputs, generators)
        losses = self._losses(outputs, targets)
        self.optimizer.step(self.lanes.gradients_of(losses), rates)
        self.losses += losses.detach()
        self.tally += self._tallies(outputs.detach(), targets)

    def write_back(self) -> None:
        """Copy the state of the lanes into their trainings."""
        self.lanes.write_back()
        self.optimizer.write_back()

    @torch.no_grad()
    def validate(self) -> list[dict[str, float]]:
        x, y = self.trainings[0].valid_data
        self.lanes.training = False
        outputs = []
        # Of about one size: a single example would be a product with a vector, which is another one for a single lane.
        for part in torch.tensor_split(x, math.ceil(len(x) / SCORED_AT_ONCE)):
            shared = self.rules(part.to(self.device))
            outputs.append(self.lanes(shared.expand(len(self.trainings), *shared.shape)).float())
        metric = self.trainings[0].task.metric
        return [self.target.scores(lane, y, metric) for lane in torch.cat(outputs, 1)]

    def _rates(self, n_steps: int) -> Tensor:
        """The learning rates, (steps, lanes)."""
        rates = [
            [
                config["lr"] * schedule(config, (training.epoch + (step + 0.5) / n_steps) / training.task.max_epochs)
                for training, config in zip(self.trainings, self.configs, strict=True)
            ]
            for step in range(n_steps)
        ]
        return torch.tensor(rates, dtype=self.lanes.weights.dtype, device=self.device)

    def _augmented(self, x: Tensor, generators: Sequence[torch.Generator]) -> Tensor:
        strengths = [config.get("augment", 0.0) for config in self.configs]
        if not any(strengths):
            return x
        return torch.stack([augment(*each) for each in zip(x, strengths, generators, strict=True)])

    def _losses(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """The loss of each lane's batch: those of `automl.data.targets`, which average over one batch."""
        if isinstance(self.target, Number):
            errors = outputs[..., 0].to(targets.dtype) - (targets - self.target.mean) / self.target.std
            return in_its_unit((errors**2).mean(1), self.lanes.modules[0])
        assert isinstance(self.target, Classes)
        logs = outputs.log_softmax(2)
        right = -logs.gather(2, targets[..., None])[..., 0].mean(1)
        return (1 - self.smoothing) * right - self.smoothing * logs.mean((1, 2))

    def _tallies(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """What the targets tally, of each lane."""
        if isinstance(self.target, Number):
            return ((outputs[..., 0].float() * self.target.std + self.target.mean - targets) ** 2).sum(1)
        return (outputs.argmax(2) == targets).sum(1)


def generator(training: NetworkTraining) -> torch.Generator:
    """The random numbers of a training's next epoch, those that it would draw alone."""
    derived = int(np.random.SeedSequence((training.seed, training.epoch + 1)).generate_state(1, np.uint64)[0])
    return torch.Generator(training.device).manual_seed(derived)
