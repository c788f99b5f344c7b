"""The trials of a run and the ordered log of asks and tells that a resumed run reads."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from automl.study.trial import STATES, AskEntry, LastEpoch, State, TellEntry, Trial, incumbent, state_of
from strategies.base import Outcome, Proposal

if TYPE_CHECKING:
    from ConfigSpace import ConfigurationSpace

    from automl.study.storage import Store


class Study:
    """All trials and the log of one run; written through to a storage if it has one."""

    def __init__(self, space: ConfigurationSpace, max_epochs: int, store: Store | None = None) -> None:
        self.space = space
        self.max_epochs = max_epochs
        self.trials: dict[int, Trial] = {}
        self.log: list[AskEntry | TellEntry] = []
        self.counts: Counter[State] = Counter()  # trials by state
        self.committed_epochs = (
            0  # requested, including those not used by failed trials, excluding those not used by stopped trials
        )
        self.epochs_since_best = 0  # of the budget, since a trial last became the incumbent
        self._best: Trial | None = None
        self._store = store
        if store is not None:
            for entry in store.read_log():
                self._apply(entry)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_store": None}  # a pickled or copied study is no longer written to the storage

    def change_settings(self, settings: Mapping[str, Any]) -> None:
        """Replace the stored settings of the run."""
        if self._store is not None:
            self._store.change_settings(settings)

    @property
    def pending(self) -> list[Proposal]:
        """Proposals without an outcome, in the order of the asks."""
        open_: dict[int, Proposal] = {}
        for entry in self.log:
            if isinstance(entry, AskEntry):
                open_.pop(entry.proposal.trial, None)  # asked again: the later position counts
                open_[entry.proposal.trial] = entry.proposal
        return [p for trial, p in open_.items() if self.trials[trial].state == "running"]

    @property
    def clock(self) -> float:
        """The run's clock at the last outcome, in seconds of running."""
        return max((entry.at for entry in self.log if isinstance(entry, TellEntry)), default=0.0)

    @property
    def best(self) -> Trial | None:
        """The incumbent: see ``incumbent``."""
        return self._best

    @property
    def n_ended(self) -> int:
        """The number of trials that have an outcome, not counting those in training."""
        return len(self.trials) - self.counts["running"]

    @property
    def n_without_time(self) -> int:
        """The number of trials that failed as the time limit left too little for them."""
        return sum(trial.had_no_time_left for trial in self.trials.values()) if self.counts["failed"] else 0

    @property
    def n_too_slow(self) -> int:
        """The number of failed trials that would have taken too long."""
        return sum(trial.is_too_slow for trial in self.trials.values()) if self.counts["failed"] else 0

    def asked(self, proposal: Proposal, seconds: float) -> None:
        """Enter a proposal in the log."""
        entry = AskEntry(proposal, seconds)
        if self._store is not None:
            self._store.write_ask(len(self.log), entry)
        self._apply(entry)

    def trained(self, number: int, epoch: int, loss: float) -> None:
        """Record an epoch of a running trial, for observers only; the outcome is recorded separately."""
        if self._store is not None:
            self._store.write_epoch(number, epoch, loss)

    def restarted(self, number: int, epoch: int) -> None:
        """Record that a running trial continues after an earlier epoch: observers no longer see later ones."""
        if self._store is not None:
            self._store.cut_epochs(number, epoch)

    def flush(self) -> None:
        """Write recorded epochs for observers if they are due."""
        if self._store is not None:
            self._store.flush()

    def told(self, outcome: Outcome, seconds: float, at: float, traceback: str | None = None) -> None:
        """Enter an outcome in the log."""
        entry = TellEntry(outcome, seconds, at, traceback)
        if self._store is not None:
            self._store.write_tell(len(self.log), entry, state_of(outcome, self.max_epochs))
        self._apply(entry)

    def close(self) -> None:
        """End the search: paused trials become pruned."""
        if self._store is not None:
            self._store.close(paused=[n for n, trial in self.trials.items() if trial.state == "paused"])

    def end(self, reason: str) -> None:
        """Record why the run has ended; without this record, a run whose process is gone was killed."""
        if self._store is not None:
            self._store.record(ended=reason)

    def _apply(self, entry: AskEntry | TellEntry) -> None:
        self.log.append(entry)
        if isinstance(entry, AskEntry):
            number = entry.proposal.trial
            if number not in self.trials:
                self.trials[number] = Trial(number, entry.proposal.config)
            trial = self.trials[number]
            before = trial.proposals[-1].epochs if trial.proposals else 0
            self.committed_epochs += entry.proposal.epochs - before
            self.counts[trial.state] -= bool(before)
            trial.proposals.append(entry.proposal)
            trial.state = "running"
            if trial is self._best:  # its longer training has no outcome yet
                self._best = incumbent(self.trials.values())
        else:
            outcome = entry.outcome
            trial = self.trials[outcome.proposal.trial]
            trial.losses = list(outcome.losses)
            trial.metrics = {name: list(values) for name, values in outcome.metrics.items()}
            self.counts["running"] -= 1
            trial.state, trial.error = state_of(outcome, self.max_epochs), outcome.error
            trial.traceback = entry.traceback
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

    def _trainings(self, trial: Trial) -> tuple[LastEpoch, ...]:
        if trial.loss is None:
            return ()
        own = trial.loss, {name: values[-1] for name, values in trial.metrics.items() if values}
        if trial.repeats is None:
            return (own,)
        same = [t for t in self.trials.values() if trial.repeats in (t.number, t.repeats) and t is not trial]
        return (*max((t.trainings for t in same), key=len, default=()), own)


def counts_in_words(counts: Mapping[State, int], n_too_slow: int = 0, *, ended: bool = False) -> str:
    """For example ``12 trials (7 complete, 3 paused, 1 failed, 1 too slow)``.

    ``n_too_slow``: of the failed ones. ``ended``: whether the run has ended, so that running trials are unfinished.
    """
    n = sum(counts.values())
    words = STATES | {"running": "unfinished"} if ended else STATES
    by_word = {words[state]: counts.get(state, 0) for state in STATES}
    by_word |= {"failed": by_word["failed"] - n_too_slow, "too slow": n_too_slow}
    states = [f"{of} {word}" for word, of in by_word.items() if of]
    return f"{n} trial{'s' * (n != 1)}" + (f" ({', '.join(states)})" if states else "")
