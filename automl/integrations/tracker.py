"""The interface of trackers, and the data passed to them."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from automl.study.trial import State
    from automl.tuning.final_evaluation import Role
    from strategies.types import Config

# States in which a trial no longer changes, except for a failed one that is retried.
FINAL = ("complete", "stopped", "failed")
USER_OF_URL = re.compile(r"(?<=://)\S*@")  # and password, which may hold any character if it is not quoted


@dataclass(frozen=True)
class TrackedRun:
    """The description of a run for trackers."""

    id: str  # unchanged when the run is resumed or its folder moved
    name: str
    folder: Path
    task: str
    strategy: str
    seed: int


@dataclass(frozen=True)
class Snapshot:
    """The state of a trial at one moment."""

    number: int
    config: Config
    losses: tuple[float, ...]  # after each epoch
    metrics: Mapping[str, tuple[float, ...]]  # after each epoch, by name
    state: State | Literal["interrupted"]
    seed: int  # of its training
    arm: str | None = None
    error: str | None = None

    def epoch(self, number: int) -> dict[str, float]:
        """Loss and metrics after an epoch, which counts from 1."""
        metrics = {name: values[number - 1] for name, values in self.metrics.items() if len(values) >= number}
        return {"loss": self.losses[number - 1], **metrics}


def one_line(error: Exception) -> str:
    """The first line of an error. URLs in it lose their user and password, as it is printed and kept in logs."""
    line = next(iter(str(error).strip().splitlines()), "") or type(error).__name__
    return USER_OF_URL.sub("", line)


class Tracker(ABC):
    """Logs the trials of a run to one tool. It is created before the run's folder, and called by one thread.

    Exceptions are reported to the user, and the trial is written again later.
    """

    name: str

    @abstractmethod
    def open(self, run: TrackedRun) -> None:
        """Begin, or continue if the run is resumed."""

    @abstractmethod
    def write(self, trial: Snapshot) -> None:
        """Write what is new in a trial since it was last written, possibly by an earlier process."""

    @abstractmethod
    def write_best(self, best: Snapshot, loss: float, n_trials: int) -> None:
        """The incumbent or its loss has changed; ``n_trials`` have been proposed."""

    @abstractmethod
    def write_final(self, chosen: int, means: Mapping[Role, Mapping[str, float]], kept: Role) -> None:
        """The mean scores of the config of trial ``chosen`` and of the default on fresh seeds, by metric.

        ``kept``: which of the two the run keeps, in best.yaml and in its model.
        """

    @abstractmethod
    def close(self, *, interrupted: bool) -> None:
        """Close the log at the end of the run."""
