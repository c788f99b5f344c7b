"""Trials, their states and trainings, and the incumbent among them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from automl.task import OF_THE_SEARCH, TOO_SLOW
from strategies.base import Outcome, Proposal
from strategies.types import Config

State = Literal["running", "paused", "complete", "stopped", "failed"]

STATES: dict[State, str] = {
    "complete": "complete",
    "paused": "paused",
    "stopped": "stopped early",
    "failed": "failed",
    "running": "running",
}
"""State -> how it is displayed."""

LastEpoch = tuple[float, Mapping[str, float]]  # the last loss, and the last value of each metric


@dataclass(frozen=True)
class AskEntry:
    """An entry of the log: a proposal, and the seconds that the strategy took to make it."""

    proposal: Proposal
    seconds: float


@dataclass(frozen=True)
class TellEntry:
    """An entry of the log: an outcome, the strategy's seconds to process it, and the run's clock at its arrival."""

    outcome: Outcome
    seconds: float
    at: float
    traceback: str | None = None  # of a failure, if there is one


@dataclass
class Trial:
    """One config and the state of its training."""

    number: int
    config: Config
    proposals: list[Proposal] = field(default_factory=list)
    losses: list[float] = field(default_factory=list)  # after each epoch
    metrics: dict[str, list[float]] = field(default_factory=dict)  # after each epoch, by name
    state: State = "running"
    error: str | None = None  # why it failed, one line
    traceback: str | None = None  # of the error, or the last output of a process that died
    seconds: float = 0.0  # spent in training
    strategy_seconds: float = 0.0  # spent in ask and tell
    at: float | None = None  # the run's clock at its last outcome
    trainings: tuple[LastEpoch, ...] = ()  # all trainings of its config, its own last

    @property
    def repeats(self) -> int | None:
        """The trial whose config it repeats with another seed."""
        return self.proposals[0].repeats if self.proposals else None

    @property
    def is_too_slow(self) -> bool:
        """Whether it failed because it would have taken too long."""
        return self.state == "failed" and (self.error or "").startswith(TOO_SLOW)

    @property
    def had_no_time_left(self) -> bool:
        """Whether it was too slow only for what was left of the run's time limit."""
        return self.is_too_slow and (self.error or "").endswith(OF_THE_SEARCH)

    @property
    def arm(self) -> str | None:
        """The strategy that proposed it, if several search together."""
        arm = self.proposals[0].info.get("arm") if self.proposals else None
        return arm if isinstance(arm, str) else None

    @property
    def fidelity(self) -> int:
        """Epochs by which trials are compared: those requested, or those trained if it was stopped or failed.

        A training that ends on its own before the requested epochs counts as a full one.
        """
        asked = self.proposals[-1].epochs if self.proposals else 0
        return min(asked, len(self.losses)) if self.state in ("stopped", "failed", "running") else asked

    @property
    def epochs(self) -> int:
        """Epochs trained in total. A single loss, as of a function, stands for all epochs of its step."""
        before = self.proposals[-2].epochs if len(self.proposals) > 1 else 0
        return self.fidelity if len(self.losses) <= before + 1 else min(self.fidelity, len(self.losses))

    @property
    def loss(self) -> float | None:
        """The loss of the last epoch; None for a failed trial and for one without a loss yet."""
        return self.losses[-1] if self.losses and self.state != "failed" else None

    def value(self, metric: str) -> float | None:
        """The last value of a metric, or the loss if the trial has no such metric."""
        if self.loss is None:
            return None
        return self.metrics[metric][-1] if self.metrics.get(metric) else self.loss

    def mean(self, metric: str | None = None) -> float | None:
        """The mean loss over the trainings of its config, which ranks it; or the mean of a metric, as ``value``."""
        found = [metrics[metric] for _, metrics in self.trainings if metric is not None and metric in metrics]
        found = found or [loss for loss, _ in self.trainings]
        return sum(found) / len(found) if found else None


def state_of(outcome: Outcome, max_epochs: int) -> State:
    """The state of a trial after an outcome."""
    if outcome.loss is None:
        return "failed"
    if outcome.stopped:
        return "stopped"
    return "complete" if outcome.proposal.epochs >= max_epochs else "paused"


def incumbent(trials: Iterable[Trial]) -> Trial | None:
    """The best trial, see ``rank``."""
    with_loss = (trial for trial in trials if trial.loss is not None and trial.state != "running")
    return min(with_loss, key=rank, default=None)


def rank(trial: Trial) -> tuple[bool, int, int, float, int]:
    """Sorts trials: by their fidelity, then by the loss; ties go to the earlier trial, and failed ones are last.

    A config that was trained more often takes precedence, and counts by the mean of its losses: the best of many single
    noisy losses is optimistically biased.
    """
    loss = None if trial.loss is None else trial.mean()
    return loss is None, -trial.fidelity, -len(trial.trainings), loss or 0.0, trial.number
