"""Base classes for strategies that wrap another: plain delegation, and wrappers whose trials may end early."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import replace
from typing import ClassVar

from strategies._ladder import RankedLadder, rungs
from strategies.base import MANY_PENDING, Outcome, Proposal, RegretBound, Strategy, check_asked
from strategies.types import Config

NO_CURVES = "trainings report a single loss, not one after each epoch, so none is stopped early"
CONVERT_EVERY = 50  # with many pending trials, losses are converted again after n / 50 more of them


class Delegate(Strategy):
    """Passes proposals and outcomes on, from and to the wrapped strategy."""

    learns_curves: ClassVar[bool] = True

    def __init__(self, inner: Strategy) -> None:
        super().__init__(inner.space, seed=inner.seed, n_trials=inner.n_trials, max_epochs=inner.max_epochs)
        self._inner = inner

    @property
    def exhausted(self) -> bool:
        return self._inner.exhausted

    def ask(self) -> Proposal | None:
        proposal = self._inner.ask()
        if proposal is not None:
            self._note(proposal)
        return proposal

    def ask_alike(self, first: Proposal, key: Callable[[Config], Hashable]) -> Proposal | None:
        proposal = self._inner.ask_alike(first, key)
        if proposal is not None:
            self._note(proposal)
        return proposal

    def restore(self, proposal: Proposal) -> None:
        self._inner.restore(proposal)
        self._note(proposal)

    def tell(self, outcome: Outcome) -> None:
        self._inner.tell(outcome)

    def should_stop(self, proposal: Proposal, losses: tuple[float, ...]) -> bool:
        return self._inner.should_stop(proposal, losses)

    def skip_to(self, trial: int) -> None:
        self._inner.skip_to(trial)

    @property
    def bounds_regret(self) -> bool:
        return self._inner.bounds_regret

    def regret_bound(self) -> RegretBound | None:
        return self._inner.regret_bound()

    def charge(self, seconds: float, n_workers: int) -> None:
        self._inner.charge(seconds, n_workers)

    def abandoned(self) -> set[int]:
        return self._inner.abandoned()

    @property
    def findings(self) -> list[str]:
        return self._inner.findings

    def _note(self, proposal: Proposal) -> None:
        """Record what is needed later about a proposal."""
        return


class Wrapper(Delegate):
    """Lets trials end early. A wrapped strategy that does not learn from curves gets ``Ladder.value`` as the loss."""

    def __init__(self, inner: Strategy, *, resumable: bool = True, levels: list[int] | None = None) -> None:
        """``resumable``: whether a paused training can be resumed. ``levels``: the rungs, in epochs."""
        super().__init__(inner)
        self._resumable = resumable
        self.ladder = RankedLadder(levels or rungs(inner.max_epochs))
        self._asked: dict[int, Proposal] = {}  # the first proposal of each trial
        self._default: int | None = None  # the trial of the default config, which is never stopped
        self._running: set[int] = set()
        self._failed: set[int] = set()
        self._steps: list[float] = []  # used in the last conversion of losses
        self._n_since = 0  # outcomes since then
        self._has_curve: bool | None = None  # whether a training of several epochs had several losses; None: none yet

    @property
    def findings(self) -> list[str]:
        found = super().findings  # in +asha+stop, the inner wrapper may have reported it
        return found if self._has_curve is not False or NO_CURVES in found else [NO_CURVES, *found]

    def restore(self, proposal: Proposal) -> None:
        if self._inner.learns_curves or proposal.promotes is None:  # otherwise it only knows the first trial
            self._inner.restore(proposal)
        self._note(proposal)

    def tell(self, outcome: Outcome) -> None:
        trial = outcome.proposal.first
        if trial >= 0:
            check_asked(outcome.proposal, self._asked.get(trial))
        self._running.discard(outcome.proposal.trial)
        if outcome.loss is not None and outcome.proposal.trial >= 0:
            self.ladder.enter(outcome)
            if outcome.proposal.epochs > 1:
                self._has_curve = self._has_curve or len(outcome.losses) > 1
            self._failed.discard(trial)  # tried again with more time
        else:  # failed, or of another study
            self._failed.add(trial)
        if self._inner.learns_curves:
            self._inner.tell(outcome)
            return
        if trial in self._failed:
            self._inner.tell(outcome if trial < 0 else replace(outcome, proposal=self._asked[trial]))
            return
        steps = self._steps_to_use()
        for known in self.ladder.losses if steps != self._steps and self._inner.learns_losses else (trial,):
            if known not in self._failed:
                self._inner.tell(Outcome(self._asked[known], (self.ladder.value(known, steps),), outcome.seconds))
        self._steps = steps

    def _steps_to_use(self) -> list[float]:
        """The current steps; with many pending trials, those in use, since new ones change all known losses."""
        self._n_since += 1
        if len(self._running) > MANY_PENDING and CONVERT_EVERY * self._n_since < len(self.ladder.losses):
            return self._steps
        self._n_since = 0
        return self.ladder.steps()

    def _note(self, proposal: Proposal) -> None:
        self._asked.setdefault(proposal.trial, proposal)
        if proposal.info.get("from") == "default":
            self._default = proposal.trial
        self._running.add(proposal.trial)
