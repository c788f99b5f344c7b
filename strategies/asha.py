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
from strategies._wrapper import Wrapper
from strategies.base import Outcome, Proposal
from strategies.types import Config


class Asha(Wrapper):
    """Trains a strategy's trials rung by rung; trainings that cannot be resumed are stopped at the rungs instead."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._promoted: list[set[int]] = [set() for _ in self.ladder.levels]  # from each rung
        self._running: set[int] = set()
        self._epochs: dict[int, int] = {}  # by trial: epochs charged to the budget
        self._bars: dict[int, dict[int, list[float]]] = {}  # by trial: losses at each rung when it was proposed, sorted

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
        self._running.discard(trial)
        if outcome.stopped:  # for good
            self._epochs[trial] = len(outcome.losses)
            for promoted in self._promoted:
                promoted.add(trial)
        super().tell(outcome)

    def should_stop(self, proposal: Proposal, losses: tuple[float, ...]) -> bool:
        if super().should_stop(proposal, losses):
            return True
        bar = self._bars.get(proposal.trial, {}).get(len(losses))
        # It continues if it is among the best third of the earlier trials and itself.
        return bar is not None and bisect.bisect_left(bar, losses[-1]) >= max(1, (len(bar) + 1) // ETA)

    def abandoned(self) -> set[int]:
        """Trials ranked too low to be promoted even if all further trials at their rung were worse."""
        if self.n_trials is None or not self._resumable or self._inner.exhausted:
            return set()
        left = max(0, self.n_trials * self.max_epochs - sum(self._epochs.values()))
        found: set[int] = set()
        for rung in range(len(self.ladder.levels) - 1):
            ranked = self._ranked(rung)
            affordable = bisect.bisect_right(range(left + 1), left, key=lambda n: self._cost(rung, len(ranked), n))
            n_coming = len(self._running) + affordable  # the last one may exceed the budget
            found.update(ranked[(len(ranked) + n_coming) // ETA :])
            found -= self._promoted[rung]
        return found

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
        self._running.add(proposal.trial)
        self._epochs[proposal.trial] = proposal.epochs
        for rung, level in enumerate(self.ladder.levels):
            if level < proposal.epochs:
                self._promoted[rung].add(proposal.first)
        if not self._resumable:
            rungs = range(self._entry(proposal), len(self.ladder.levels) - 1)
            self._bars[proposal.trial] = {
                self.ladder.levels[rung]: sorted(self.ladder.at(rung).values()) for rung in rungs
            }

    def _promotable(self) -> tuple[int, int] | None:
        """A trial to promote and its next rung; the highest rung that has one comes first (algorithm 2)."""
        if not self._resumable:
            return None
        for share in (ETA, 1) if self._inner.exhausted else (ETA,):  # all are promoted if no new config is left
            for rung in range(len(self.ladder.levels) - 2, -1, -1):
                ranked = self._ranked(rung)
                for trial in ranked[: len(ranked) // share]:
                    if trial not in self._promoted[rung] and trial not in self._failed:
                        return trial, rung + 1
        return None

    def _ranked(self, rung: int) -> list[int]:
        """The trials that reached a rung, best first."""
        losses = self.ladder.at(rung)
        return sorted(losses, key=lambda trial: (losses[trial], trial))
