"""What the tuner needs of a task: a space, and a training that tells its loss after each epoch."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from strategies.fidelity import Fidelity

if TYPE_CHECKING:
    from ConfigSpace import ConfigurationSpace


class TrainingFailed(Exception):
    """A config could not be trained; the message is the one-line reason. The trial fails, the study goes on."""


@dataclass(frozen=True)
class Epoch:
    """What one epoch gave; loss and metrics are those of the validation part unless named otherwise."""

    epoch: int  # counts from 1
    loss: float  # lower is better
    metrics: Mapping[str, float]
    seconds: float  # training and validation of this epoch


@runtime_checkable
class Task(Protocol):
    """Something whose config can be tuned. It travels to other processes by cloudpickle, so keep it light.

    It may also have a method ``fidelity(config)``, which says what a training of fewer epochs than a full one means for
    a config: see ``Fidelity``. Without it, a resumable training can be paused, and any other stopped. For trainings
    that restart it is a dataclass, whose field ``max_epochs`` a short training replaces; of another class they are
    trained whole. With an attribute ``keeps_files`` that is true, what a trial left in its folder is never removed.
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
        """The key in Epoch.metrics and in test's result that people want to read."""
        ...

    @property
    def maximize(self) -> bool:
        """Whether a higher metric is better."""
        ...

    def train(
        self, config: Mapping[str, Any], *, seed: int, epochs: int, checkpoint: Path | None, device: str
    ) -> Iterator[Epoch]:
        """Trains up to `epochs` in total and yields each new epoch.

        config holds the active hyperparameters only. checkpoint is a folder, which may not exist yet: a training
        found in it goes on from there, and one that reaches `epochs` is left in it; None keeps nothing. Pausing and
        continuing, in whatever process, gives what an uninterrupted training gives. Raises TrainingFailed.
        """
        ...

    def test(self, checkpoint: Path, device: str) -> Mapping[str, float]:
        """Scores the training left in a checkpoint folder on the test set; empty where there is none."""
        ...


def fidelity_of(task: Task) -> Callable[[Mapping[str, Any]], Fidelity]:
    """What a short training of a config of the task means."""
    own: Callable[[Mapping[str, Any]], Fidelity] | None = getattr(task, "fidelity", None)
    if own is None:
        return lambda config: Fidelity("resume" if task.resumable else "stop")
    if is_dataclass(task):
        return own
    told = own
    return lambda config: Fidelity("whole") if told(config).kind == "restart" else told(config)


def vary(task: Task, *, space: ConfigurationSpace | None = None, max_epochs: int | None = None) -> Task:
    """The same task over another space, or with another length of a full training."""
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
    """A task of whatever class, with another space or length."""

    task: Task
    space: ConfigurationSpace
    max_epochs: int

    def __getattr__(self, name: str) -> Any:
        if name == "task" or name.startswith("__"):  # while it is being unpickled
            raise AttributeError(name)
        return getattr(self.task, name)
