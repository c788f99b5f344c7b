"""Asynchronous successive halving around any strategy, with pause and resume: ``bo+asha``.

L. Li et al., A System for Massively Parallel Hyperparameter Tuning (MLSys 2020), algorithm 2. A config is first trained
for a few epochs; the best third at each rung goes on to three times as many, from where it paused. The wrapped strategy
learns from every trial, whatever rung it reached: see ``Ladder.value``.
"""

from __future__ import annotations

import bisect
from dataclasses import replace

from strategies._ladder import ETA, Ladder, rungs
from strategies.base import Outcome, Proposal, RegretBound, Strategy


class Asha(Strategy):
    """Trials of a strategy, trained rung by rung."""

    def __init__(self, inner: Strategy, *, resumable: bool = True) -> None:
        """``resumable``: whether a paused training can go on; else trials are stopped at their rungs."""
        super().__init__(inner.space, seed=inner.seed, n_trials=inner.n_trials, max_epochs=inner.max_epochs)
        self._inner = inner
        self._resumable = resumable
        self.ladder = Ladder(rungs(inner.max_epochs))
        self._asked: dict[int, Proposal] = {}  # the first proposal of each trial
        self._promoted: list[set[int]] = [set() for _ in self.ladder.levels]  # from each rung
        self._known: dict[int, list[list[float]]] = {}  # sorted losses at the rungs when a trial was proposed
        self._failed: set[int] = set()
        self._steps: list[float] = []

    @property
    def exhausted(self) -> bool:
        return self._inner.exhausted and not self._promotable() and not self._running

    @property
    def _running(self) -> set[int]:
        return {trial for trial in self._asked if trial not in self.ladder.losses and trial not in self._failed}

    @property
    def bounds_regret(self) -> bool:
        return self._inner.bounds_regret

    def regret_bound(self) -> RegretBound | None:
        return self._inner.regret_bound()

    def ask(self) -> Proposal | None:
        promoted = self._promotable()
        if promoted is not None:
            trial, rung = promoted
            proposal = replace(self._asked[trial], epochs=self.ladder.levels[rung], info={"from": "asha", "rung": rung})
        else:
            asked = self._inner.ask()
            if asked is None:
                return None
            epochs = self.ladder.levels[self.ladder.lowest] if self._resumable else self.max_epochs
            proposal = replace(asked, epochs=epochs)
        self._note(proposal)
        return proposal

    def restore(self, proposal: Proposal) -> None:
        if proposal.trial not in self._asked:
            self._inner.restore(replace(proposal, epochs=self.max_epochs))
        self._note(proposal)

    def tell(self, outcome: Outcome) -> None:
        trial = outcome.proposal.trial
        if outcome.loss is None or trial < 0:  # failed, or trained to the end elsewhere
            self._failed.add(trial)
            self._inner.tell(outcome)
            return
        self.ladder.enter(trial, outcome)
        if getattr(self._inner, "learns_curves", False):
            self._inner.tell(outcome)
            return
        steps = self.ladder.steps()
        for known in self.ladder.losses if steps != self._steps else (trial,):
            self._inner.tell(Outcome(self._asked[known], (self.ladder.value(known, steps),), outcome.seconds))
        self._steps = steps

    def should_stop(self, proposal: Proposal, losses: tuple[float, ...]) -> bool:
        if self._resumable or len(losses) not in self.ladder.levels[:-1]:
            return False
        known = self._known[proposal.trial][self.ladder.levels.index(len(losses))]
        # Among the best third of those before it and itself.
        return bisect.bisect_left(known, losses[-1]) >= max(1, (len(known) + 1) // ETA)

    def _note(self, proposal: Proposal) -> None:
        self._asked.setdefault(proposal.trial, proposal)
        for rung, level in enumerate(self.ladder.levels):
            if level < proposal.epochs:
                self._promoted[rung].add(proposal.trial)
        if not self._resumable:
            self._known[proposal.trial] = [sorted(self.ladder.at(rung).values()) for rung in range(len(self._promoted))]

    def _promotable(self) -> tuple[int, int] | None:
        """A trial and the rung to which it may go: from the highest rung that has one (algorithm 2)."""
        if not self._resumable:
            return None
        for rung in range(len(self.ladder.levels) - 2, -1, -1):
            losses = self.ladder.at(rung)
            best = sorted(losses, key=lambda trial: (losses[trial], trial))[: len(losses) // ETA]
            for trial in best:
                if trial not in self._promoted[rung] and trial not in self._failed:
                    return trial, rung + 1
        return None
