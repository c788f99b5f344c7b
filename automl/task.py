"""The interface of a task: a space, and a training that reports its loss after each epoch."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from automl.errors import UserError
from strategies.fidelity import Fidelity

if TYPE_CHECKING:
    from ConfigSpace import ConfigurationSpace


TOO_SLOW = "too slow"
OF_THE_SEARCH = "of the time for the search"  # ends the reason if only little of it was left


class TrainingFailed(Exception):
    """A config could not be trained; the message is the one-line reason. The trial fails, the study continues."""


class NoLoss(TrainingFailed):
    """An objective returned what is no loss. In the first trial, this ends the search: no other would have one."""


class OutOfMemory(TrainingFailed):
    """There was not enough memory for a training. ``crowded``: other processes hold much of the GPU's memory."""

    def __init__(self, reason: str, *, crowded: bool = False) -> None:
        super().__init__(reason)
        self.crowded = crowded


class TooSlow(TrainingFailed):
    """A training would exceed its trial's time limit; a run that is resumed with more time retries it."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"{TOO_SLOW}: {reason}")
        self.reason = reason


class CheckpointDamaged(UserError):
    """The checkpoint that a training would continue from cannot be read. A search trains that trial from scratch."""


@dataclass(frozen=True)
class Epoch:
    """The result of one epoch; loss and metrics are those of the validation set unless named otherwise."""

    epoch: int  # counted from 1 over the whole training, even if it was resumed
    loss: float  # lower is better
    metrics: Mapping[str, float]
    seconds: float  # training and validation of this epoch


@runtime_checkable
class Task(Protocol):
    """Something whose config can be tuned. It is sent to other processes by cloudpickle, so keep it light.

    Optional methods:

    - ``fidelity(config) -> Fidelity``: what a training of fewer epochs means for a config. Without it, resumable
      trainings can be paused and others stopped. A task whose short trainings restart must be a dataclass with a field
      ``max_epochs``, which a short training replaces; otherwise its trainings are always full.
    - ``runtime(config) -> str``: trainings with different runtimes never share a process.
    - ``lane_key`` and ``train_lanes``, as in ``Supervised``: trainings that share a program.
    - ``prepare()``: called once per process before the first training, to load what all of them need.
    - ``warm_up(device)``: called once per process before the first training is timed.
    - ``within(seconds) -> Task``: called as a training begins, with the seconds left for the search, so that one that
      cannot end by then gives up early.
    - ``memory() -> Memory``: the GPU memory that a training used, if torch does not know it.
    - ``baseline() -> Mapping``: the scores of a prediction without a model, for the summary.
    - ``export(checkpoint, out)``: write the model of a checkpoint as files that predict without the task.

    Optional attributes, with their defaults:

    - ``reads_space`` (True): whether a training uses the task's space; otherwise its process gets the task without it.
    - ``takes_seed`` (True): whether the loss may depend on the seed, so that a final repeats trainings.
    - ``uses_folder`` (True): whether a training writes files, so that each trial has a folder.
    - ``keeps_files`` (False): files in trials' folders are never removed.
    - ``is_length_known`` (True): whether a training can be stopped after any number of epochs.
    - ``counts_anew`` (False): a resumed training numbers its epochs from 1 again.
    - ``leaves_one`` (False): a time limit waits for the first complete trial.
    - ``epochs_are`` ("epochs"): their name for users, such as folds.
    """

    @property
    def name(self) -> str: ...

    @property
    def space(self) -> ConfigurationSpace: ...

    @property
    def max_epochs(self) -> int:
        """Epochs of a full training."""
        ...

    @property
    def resumable(self) -> bool:
        """Whether train can continue from a checkpoint."""
        ...

    @property
    def metric(self) -> str:
        """The main metric: a key in Epoch.metrics and in test's result, or a name for the loss if it is in neither."""
        ...

    @property
    def maximize(self) -> bool:
        """Whether a higher metric is better."""
        ...

    def train(
        self, config: Mapping[str, Any], *, seed: int, epochs: int, checkpoint: Path | None, device: str
    ) -> Iterator[Epoch]:
        """Train up to `epochs` in total and yield each new epoch.

        config holds the active hyperparameters only. checkpoint is a folder, which may not exist yet: a training
        found in it is continued, and one that reaches `epochs` is saved in it; None saves nothing. Pausing and
        continuing, in any process, gives the same result as an uninterrupted training. Raises TrainingFailed, and
        CheckpointDamaged before the first epoch.
        """
        ...

    def test(self, checkpoint: Path, device: str) -> Mapping[str, float]:
        """Score the training saved in a checkpoint folder on the test set; empty if there is no test set."""
        ...


def runtime_of(task: Task, config: Mapping[str, Any]) -> str:
    """The runtime of a config, by default ""; trainings with different runtimes never share a process."""
    found: Callable[[Mapping[str, Any]], str] = getattr(task, "runtime", lambda config: "")
    return found(config)


def epochs_are(task: Task) -> str:
    """The name of a task's epochs for users."""
    return str(getattr(task, "epochs_are", "epochs"))


def fidelity_of(task: Task) -> Callable[[Mapping[str, Any]], Fidelity]:
    """A function from a config of the task to its ``Fidelity``."""
    own: Callable[[Mapping[str, Any]], Fidelity] | None = getattr(task, "fidelity", None)
    if own is None:
        return lambda config: Fidelity("resume" if task.resumable else "stop")
    if is_dataclass(task):
        return own
    of_config = own
    return lambda config: Fidelity("whole") if of_config(config).kind == "restart" else of_config(config)


def with_valid(task: Task) -> Task:
    """The task trained on its validation set too; only for tasks with a field ``with_valid``."""
    supervised: Any = task
    trained_on_both: Task = replace(supervised, with_valid=True)
    return trained_on_both


def within(task: Task, seconds: float | None) -> Task:
    """The task with this many seconds left for a training, None for no limit, if it has a method ``within``."""
    own: Callable[[float | None], Task] | None = getattr(task, "within", None)
    return task if own is None else own(seconds)


def vary(task: Task, *, space: ConfigurationSpace | None = None, max_epochs: int | None = None) -> Task:
    """The same task with another space, or another number of epochs for a full training."""
    asked = {"space": space, "max_epochs": max_epochs}
    changes: dict[str, Any] = {name: value for name, value in asked.items() if value is not None}
    if not changes:
        return task
    if is_dataclass(task):
        names = {field.name for field in fields(task)}
        inner = getattr(task, "task", None)
        if not changes.keys() <= names and "task" in names and isinstance(inner, Task):  # a wrapper around a task
            changes = {"task": vary(inner, space=space, max_epochs=max_epochs)}
        if changes.keys() <= names:
            varied: Task = replace(task, **changes)
            return varied
    return Variation(task, space or task.space, max_epochs or task.max_epochs)


@dataclass(frozen=True)
class Variation:
    """A task of any class, with another space or length."""

    task: Task
    space: ConfigurationSpace
    max_epochs: int

    def __getattr__(self, name: str) -> Any:
        if name == "task" or name.startswith("__"):  # while it is being unpickled
            raise AttributeError(name)
        return getattr(self.task, name)
