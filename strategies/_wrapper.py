"""What is put around a strategy whose trials may end early: it learns from each of them, whatever epoch it reached."""

from __future__ import annotations

from typing import ClassVar

from strategies._ladder import Ladder, rungs
from strategies.base import Outcome, Proposal, RegretBound, Strategy


class Wrapper(Strategy):
    """Passes everything on. A strategy that does not learn from curves is told ``Ladder.value`` as a trial's loss."""

    learns_curves: ClassVar[bool] = True

    def __init__(self, inner: Strategy, *, resumable: bool = True) -> None:
        """``resumable``: whether a paused training can go on."""
        super().__init__(inner.space, seed=inner.seed, n_trials=inner.n_trials, max_epochs=inner.max_epochs)
        self._inner = inner
        self._resumable = resumable
        self.ladder = Ladder(rungs(inner.max_epochs))
        self._asked: dict[int, Proposal] = {}  # the first proposal of each trial
        self._failed: set[int] = set()
        self._steps: list[float] = []

    @property
    def exhausted(self) -> bool:
        return self._inner.exhausted

    def ask(self) -> Proposal | None:
        proposal = self._inner.ask()
        if proposal is not None:
            self._note(proposal)
        return proposal

    def restore(self, proposal: Proposal) -> None:
        self._inner.restore(proposal)
        self._note(proposal)

    def tell(self, outcome: Outcome) -> None:
        trial = outcome.proposal.trial
        if outcome.loss is None or trial < 0:  # failed, or trained to the end elsewhere
            self._failed.add(trial)
            self._inner.tell(outcome)
            return
        self.ladder.enter(trial, outcome)
        if self._inner.learns_curves:
            self._inner.tell(outcome)
            return
        steps = self.ladder.steps()
        for known in self.ladder.losses if steps != self._steps else (trial,):
            if known not in self._failed:
                self._inner.tell(Outcome(self._asked[known], (self.ladder.value(known, steps),), outcome.seconds))
        self._steps = steps

    def should_stop(self, proposal: Proposal, losses: tuple[float, ...]) -> bool:
        return self._inner.should_stop(proposal, losses)

    @property
    def bounds_regret(self) -> bool:
        return self._inner.bounds_regret

    def regret_bound(self) -> RegretBound | None:
        return self._inner.regret_bound()

    def abandoned(self) -> set[int]:
        return self._inner.abandoned()

    def _note(self, proposal: Proposal) -> None:
        """Keep what will be asked about a proposal later."""
        self._asked.setdefault(proposal.trial, proposal)
