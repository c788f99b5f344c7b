"""What the tuner needs of a task: a space, and a training that tells its loss after each epoch."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, is_dataclass
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
    trained whole.
    """

    @property
    def name(self) -> str: ...

    @property
    def space(self) -> "ConfigurationSpace": ...

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
