"""The trials of a run and the ordered log of asks and tells that a resumed run reads."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from strategies.base import Config, Outcome, Proposal

if TYPE_CHECKING:
    from ConfigSpace import ConfigurationSpace

    from automl.study.storage import Store

State = Literal["running", "paused", "complete", "stopped", "failed"]
Training = tuple[float, Mapping[str, float]]  # the last loss, and the last value of each metric


@dataclass(frozen=True)
class Asked:
    """An entry of the log: a proposal, and the seconds that the strategy took to make it."""

    proposal: Proposal
    seconds: float


@dataclass(frozen=True)
class Told:
    """An entry of the log: an outcome, the strategy's seconds to take it in, and the run's clock when it came."""

    outcome: Outcome
    seconds: float
    at: float


@dataclass
class Trial:
    """One config with all that is known of its training."""

    number: int
    config: Config
    proposals: list[Proposal] = field(default_factory=list)
    losses: list[float] = field(default_factory=list)  # after each epoch
    metrics: dict[str, list[float]] = field(default_factory=dict)  # after each epoch, by name
    state: State = "running"
    error: str | None = None
    seconds: float = 0.0  # spent in training
    strategy_seconds: float = 0.0  # spent in ask and tell
    at: float | None = None  # the run's clock when its last outcome came
    trainings: tuple[Training, ...] = ()  # what its config came to each time, its own the last

    @property
    def repeats(self) -> int | None:
        """The trial whose config it trains once more, with another seed."""
        return self.proposals[0].repeats if self.proposals else None

    @property
    def arm(self) -> str | None:
        """The strategy that proposed it, where several search together."""
        arm = self.proposals[0].info.get("arm") if self.proposals else None
        return arm if isinstance(arm, str) else None

    @property
    def epochs(self) -> int:
        """Epochs asked for in total, or reached where the trial was stopped or failed."""
        asked = self.proposals[-1].epochs if self.proposals else 0
        return min(asked, len(self.losses)) if self.state in ("stopped", "failed", "running") else asked

    @property
    def loss(self) -> float | None:
        """The loss of the last epoch; None for a failed trial and for one without a loss yet."""
        return self.losses[-1] if self.losses and self.state != "failed" else None

    def value(self, metric: str) -> float | None:
        """The last value of a metric, or the loss where the trial has no such metric."""
        if self.loss is None:
            return None
        return self.metrics[metric][-1] if self.metrics.get(metric) else self.loss

    def mean(self, metric: str | None = None) -> float | None:
        """The loss that it counts by, the mean over the trainings of its config; or that of a metric, as ``value``."""
        found = [metrics[metric] for _, metrics in self.trainings if metric is not None and metric in metrics]
        found = found or [loss for loss, _ in self.trainings]
        return sum(found) / len(found) if found else None


class Study:
    """All trials and the log of one run; written through to a storage where it has one."""

    def __init__(self, space: ConfigurationSpace, max_epochs: int, store: Store | None = None) -> None:
        self.space = space
        self.max_epochs = max_epochs
        self.trials: dict[int, Trial] = {}
        self.log: list[Asked | Told] = []
        self.counts: Counter[State] = Counter()  # trials by state
        self.committed_epochs = (
            0  # asked for; those that a failed trial did not use count, those of a stopped one do not
        )
        self.epochs_since_best = 0  # of the budget, told since a trial last became the incumbent
        self._best: Trial | None = None
        self._store = store
        if store is not None:
            for entry in store.read_log():
                self._apply(entry)

    @property
    def pending(self) -> list[Proposal]:
        """Asked and not told, in the order of the asks."""
        open_: dict[int, Proposal] = {}
        for entry in self.log:
            if isinstance(entry, Asked):
                open_.pop(entry.proposal.trial, None)  # asked again: its place is the later one
                open_[entry.proposal.trial] = entry.proposal
        return [p for trial, p in open_.items() if self.trials[trial].state == "running"]

    @property
    def clock(self) -> float:
        """The run's clock at the last outcome, in seconds of running."""
        return max((entry.at for entry in self.log if isinstance(entry, Told)), default=0.0)

    @property
    def best(self) -> Trial | None:
        """The incumbent: see ``incumbent``."""
        return self._best

    def settle(self) -> None:
        """Bring the storage up to date where the run was killed between the two writes of an outcome."""
        if self._store is not None:
            for trial in self.trials.values():
                self._store.settle(trial.number, trial.state, trial.loss)

    def asked(self, proposal: Proposal, seconds: float) -> None:
        """Enter a proposal in the log."""
        entry = Asked(proposal, seconds)
        if self._store is not None:
            self._store.write_ask(len(self.log), entry)
        self._apply(entry)

    def trained(self, number: int, epoch: int, loss: float) -> None:
        """Note an epoch of a running trial, for those who watch. What counts is the outcome."""
        if self._store is not None:
            self._store.write_epoch(number, epoch, loss)

    def told(self, outcome: Outcome, seconds: float, at: float) -> None:
        """Enter an outcome in the log."""
        entry = Told(outcome, seconds, at)
        if self._store is not None:
            self._store.write_tell(len(self.log), entry, state_of(outcome, self.max_epochs))
        self._apply(entry)

    def close(self) -> None:
        """End the run: paused trials count as pruned from here on."""
        if self._store is not None:
            self._store.close(paused=[n for n, trial in self.trials.items() if trial.state == "paused"])

    def _apply(self, entry: Asked | Told) -> None:
        self.log.append(entry)
        if isinstance(entry, Asked):
            number = entry.proposal.trial
            if number not in self.trials:
                self.trials[number] = Trial(number, entry.proposal.config)
            trial = self.trials[number]
            before = trial.proposals[-1].epochs if trial.proposals else 0
            self.committed_epochs += entry.proposal.epochs - before
            self.counts[trial.state] -= bool(before)
            trial.proposals.append(entry.proposal)
            trial.state = "running"
            if trial is self._best:  # no outcome of the longer training yet
                self._best = incumbent(self.trials.values())
        else:
            outcome = entry.outcome
            trial = self.trials[outcome.proposal.trial]
            trial.losses = list(outcome.losses)
            trial.metrics = {name: list(values) for name, values in outcome.metrics.items()}
            self.counts["running"] -= 1
            trial.state, trial.error = state_of(outcome, self.max_epochs), outcome.error
            trial.seconds += outcome.seconds
            trial.at = entry.at
            trial.trainings = self._trainings(trial)
            unused = outcome.proposal.epochs - len(trial.losses) if trial.state == "stopped" else 0
            self.committed_epochs -= unused
            before = trial.proposals[-2].epochs if len(trial.proposals) > 1 else 0
            self._best = incumbent([trial] if self._best is None else [self._best, trial])
            spent = outcome.proposal.epochs - before - unused
            self.epochs_since_best = 0 if trial is self._best else self.epochs_since_best + spent
        self.counts[trial.state] += 1
        trial.strategy_seconds += entry.seconds

    def _trainings(self, trial: Trial) -> tuple[Training, ...]:
        if trial.loss is None:
            return ()
        own = trial.loss, {name: values[-1] for name, values in trial.metrics.items() if values}
        if trial.repeats is None:
            return (own,)
        same = [t for t in self.trials.values() if trial.repeats in (t.number, t.repeats) and t is not trial]
        return (*max((t.trainings for t in same), key=len, default=()), own)


def state_of(outcome: Outcome, max_epochs: int) -> State:
    """The state that an outcome leaves its trial in."""
    if outcome.loss is None:
        return "failed"
    if outcome.stopped:
        return "stopped"
    return "complete" if outcome.proposal.epochs >= max_epochs else "paused"


def incumbent(trials: Iterable[Trial]) -> Trial | None:
    """The lowest loss at the highest epoch reached; ties go to the earlier trial.

    A config that was trained more often goes before those that were trained less, and counts by the mean of its
    losses: the best of many single noisy losses flatters.
    """

    def key(trial: Trial) -> tuple[int, int, float, int]:
        loss = trial.mean()
        assert loss is not None
        return -trial.epochs, -len(trial.trainings), loss, trial.number

    with_loss = (trial for trial in trials if trial.loss is not None and trial.state != "running")
    return min(with_loss, key=key, default=None)
