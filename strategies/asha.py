"""Asynchronous successive halving around any strategy, with pause and resume: ``bo+asha``.

L. Li et al., A System for Massively Parallel Hyperparameter Tuning (MLSys 2020), algorithm 2. A config is first trained
for a few epochs; the best third at each rung resume from where they paused, for three times as many epochs. The wrapped
strategy learns from every trial, whatever rung it reached: see ``Ladder.value``.
"""

from __future__ import annotations

import bisect
from collections.abc import Callable, Hashable
from dataclasses import replace
from typing import Any

from strategies._ladder import ETA
from strategies._ranking import Ranking
from strategies._tally import Tally
from strategies._wrapper import Wrapper
from strategies.base import Outcome, Proposal
from strategies.types import Config

LATE = 0.7  # share of the budget after which the default config is trained fully in any case


class Asha(Wrapper):
    """Trains a strategy's trials rung by rung; trainings that cannot be resumed are stopped at the rungs instead.

    The default config is trained fully, so that the gain over it is known. It waits for the first full training of
    another config, as it would be the incumbent until then, and while one is running, which is as informative.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._promoted: list[set[int]] = [set() for _ in self.ladder.levels]  # from each rung
        self._waiting = [Ranking() for _ in self.ladder.levels]  # at each rung: neither promoted from it nor failed
        self._epochs = Tally()  # charged to the budget
        self._bars: dict[int, dict[int, float]] = {}  # by running trial, by epoch: it is stopped above this loss

    @property
    def exhausted(self) -> bool:
        return self._inner.exhausted and not self._running and self._promotable() is None

    def ask(self) -> Proposal | None:
        promoted = self._promotable()
        if promoted is not None:
            trial, rung = promoted
            proposal = replace(self._asked[trial], epochs=self.ladder.levels[rung], info={"from": "asha", "rung": rung})
            self._note(proposal)
            return proposal
        asked = self._inner.ask()
        return None if asked is None else self._entered(asked)

    def ask_alike(self, first: Proposal, key: Callable[[Config], Hashable]) -> Proposal | None:
        if self._promotable() is not None:  # comes before new configs
            return None
        asked = self._inner.ask_alike(first, key)
        return None if asked is None else self._entered(asked)

    def _entered(self, asked: Proposal) -> Proposal:
        """A new trial, trained until it is first compared."""
        epochs = self.ladder.levels[self._entry(asked)] if self._resumable else self.max_epochs
        proposal = replace(asked, epochs=epochs)
        self._note(proposal)
        return proposal

    def restore(self, proposal: Proposal) -> None:
        if proposal.trial not in self._asked:
            self._inner.restore(replace(proposal, epochs=self.max_epochs))
        self._note(proposal)

    def tell(self, outcome: Outcome) -> None:
        trial = outcome.proposal.trial
        self._bars.pop(trial, None)
        if outcome.stopped:  # for good
            self._charge(trial, len(outcome.losses))
            for promoted in self._promoted:
                promoted.add(trial)
        super().tell(outcome)
        self._rank(outcome.proposal.first)

    def should_stop(self, proposal: Proposal, losses: tuple[float, ...]) -> bool:
        if super().should_stop(proposal, losses):
            return True
        bar = self._bars.get(proposal.trial, {}).get(len(losses))
        return bar is not None and losses[-1] > bar

    def abandoned(self) -> set[int]:
        """Trials ranked too low to be promoted even if all further trials at their rung were worse."""
        if self.n_trials is None or not self._resumable or self._inner.exhausted:
            return set()
        left = max(0, self.n_trials * self.max_epochs - self._epochs.total)
        found: set[int] = set()
        for rung, ranked in enumerate(self.ladder.ranked[:-1]):
            n_ranked = len(ranked)
            affordable = bisect.bisect_right(range(left + 1), left, key=lambda n: self._cost(rung, n_ranked, n))
            n_coming = len(self._running) + affordable + self._default_is_paused()  # the last one may exceed the budget
            found.update(ranked.items((n_ranked + n_coming) // ETA))
            found -= self._promoted[rung]
        return found - {self._default}

    def _cost(self, rung: int, n: int, n_more: int) -> int:
        """The fewest epochs to bring n_more trials to a rung with n: its best third is promoted before new ones."""
        levels = [0, *self.ladder.levels]
        cost, n = n_more * (levels[rung + 1] - levels[rung]), n + n_more
        for above in range(rung + 1, len(self.ladder.levels)):
            n = max(0, n - len(self._running)) // ETA
            cost += max(0, n - len(self._promoted[above - 1])) * (levels[above + 1] - levels[above])
        return cost

    def _entry(self, proposal: Proposal) -> int:
        """The rung where a new trial is first compared."""
        return self.ladder.lowest

    def _note(self, proposal: Proposal) -> None:
        super()._note(proposal)
        self._charge(proposal.trial, proposal.epochs)
        for rung, level in enumerate(self.ladder.levels):
            if level < proposal.epochs:
                self._promoted[rung].add(proposal.first)
                self._waiting[rung].discard(proposal.first)
        if not self._resumable and proposal.trial != self._default:
            rungs = range(self._entry(proposal), len(self.ladder.levels) - 1)
            bars = {self.ladder.levels[rung]: self._bar(self.ladder.ranked[rung]) for rung in rungs}
            self._bars[proposal.trial] = {level: bar for level, bar in bars.items() if bar is not None}

    def _charge(self, trial: int, epochs: int) -> None:
        """Charge the epochs of a trial to the budget, in place of earlier ones."""
        self._epochs[trial] = epochs

    def _bar(self, ranked: Ranking) -> float | None:
        """The loss above which a trial is not among the best third of these and itself; None if there are none."""
        n = len(ranked)
        return ranked.value(max(1, (n + 1) // ETA) - 1) if n else None

    def _rank(self, trial: int) -> None:
        """Enter a trial's losses at the rungs where it waits for promotion."""
        for rung, loss in self.ladder.losses.get(trial, {}).items():
            if trial in self._failed or trial in self._promoted[rung]:
                self._waiting[rung].discard(trial)
            else:
                self._waiting[rung].put(trial, loss)

    def _promotable(self) -> tuple[int, int] | None:
        """A trial to promote and its next rung; the highest rung that has one comes first (algorithm 2)."""
        if not self._resumable:
            return None
        if self._default_is_due():
            assert self._default is not None
            return self._default, len(self.ladder.levels) - 1
        for share in (ETA, 1) if self._inner.exhausted else (ETA,):  # all are promoted if no new config is left
            for rung in range(len(self.ladder.levels) - 2, -1, -1):
                ranked = self.ladder.ranked[rung]
                for trial in self._waiting[rung].items(0, 1):
                    if ranked.rank(trial) < len(ranked) // share:
                        return trial, rung + 1
        return None

    def _default_is_paused(self) -> bool:
        """Whether the default config paused and has not yet been promoted to a full training."""
        trial, whole = self._default, len(self.ladder.levels) - 1
        if trial not in self.ladder.losses or trial in self._running or trial in self._failed:
            return False
        return whole > 0 and trial not in self._promoted[whole - 1]

    def _default_is_due(self) -> bool:
        if not self._default_is_paused():
            return False
        another = bool(self.ladder.ranked[-1]) and (self.n_trials is None or not self._trains_fully())
        return another or self._is_late()

    def _trains_fully(self) -> bool:
        """Whether a config is being trained fully."""
        return any(self._epochs[trial] >= self.max_epochs for trial in self._running)

    def _is_late(self) -> bool:
        return self.n_trials is not None and self._epochs.total >= LATE * self.n_trials * self.max_epochs
