"""What the tuner tells trackers, and what a tracker is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from automl.study.trial import State
    from automl.tuning.final_evaluation import Who
    from strategies.types import Config

FINAL = ("complete", "stopped", "failed")  # states in which nothing more comes of a trial


@dataclass(frozen=True)
class TrackedRun:
    """What trackers are told of the run."""

    id: str  # the same when it is resumed, or in another folder
    name: str
    folder: Path
    task: str
    strategy: str
    seed: int


@dataclass(frozen=True)
class Snapshot:
    """All that is known of a trial at one moment."""

    number: int
    config: Config
    losses: tuple[float, ...]  # after each epoch
    metrics: Mapping[str, tuple[float, ...]]  # after each epoch, by name
    state: State | Literal["interrupted"]
    seed: int  # that it trains with
    arm: str | None = None
    error: str | None = None

    def epoch(self, number: int) -> dict[str, float]:
        """Loss and metrics after an epoch, which counts from 1."""
        told = {name: values[number - 1] for name, values in self.metrics.items() if len(values) >= number}
        return {"loss": self.losses[number - 1], **told}


class Tracker(ABC):
    """Writes the trials of a run to one tool. It is made before the run's folder, and called by one thread.

    Whatever a method raises is told to the user, and the same trial is written again later.
    """

    name: str

    @abstractmethod
    def open(self, run: TrackedRun) -> None:
        """Begin, or go on where the run is resumed."""

    @abstractmethod
    def write(self, trial: Snapshot) -> None:
        """Write what is new of a trial since its last call, whoever made it: also a process that was killed."""

    @abstractmethod
    def write_best(self, best: Snapshot, loss: float, n_trials: int) -> None:
        """The incumbent is another one, or counts by another loss; ``n_trials`` have been proposed."""

    @abstractmethod
    def write_final(self, chosen: int, means: Mapping[Who, Mapping[str, float]], kept: Who) -> None:
        """What the config of the trial ``chosen`` and the default came to with fresh seeds, by metric.

        ``kept``: which of the two the run keeps, in best.yaml and in its model.
        """

    @abstractmethod
    def close(self, *, interrupted: bool) -> None:
        """No more trials come."""
