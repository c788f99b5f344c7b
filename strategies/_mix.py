"""Several strategies (arms) with a shared history; the better ones make more of the proposals."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from strategies._ladder import RankedLadder, rungs
from strategies._ranking import Ranking
from strategies._tally import Tally
from strategies._wrapper import Wrapper
from strategies.base import Outcome, Proposal, RegretBound, Start
from strategies.config_strategy import ConfigStrategy
from strategies.types import JSON, Config

if TYPE_CHECKING:
    from ConfigSpace import ConfigurationSpace

MIN_ARM_SHARE = 0.15  # of the proposals, for every arm
LATE_PHASE, LATE_SHARE = 0.7, 0.85  # share of the budget after which the best arm gets LATE_SHARE of the proposals
CREDIT_WINDOW = 12  # an arm's latest proposals, which its credit is based on
MIN_CREDIT = 3  # proposals of an arm needed before its credit counts


class Mix(ConfigStrategy):
    """Each proposal comes from one arm, and all arms are told every outcome.

    The arm furthest behind its share comes next. An arm's share is proportional to its credit: the mean, over its
    latest proposals, of the squared share of earlier losses that the proposal beat.
    """

    n_initial = 8
    learns_curves = True

    def __init__(
        self,
        space: ConfigurationSpace,
        *,
        arms: Mapping[str, type[ConfigStrategy]],
        shares: Sequence[float],
        prior: Sequence[Start] = (),
        levels: list[int] | None = None,
        **options: Any,
    ) -> None:
        """``arms``: strategies by name. ``shares``: their initial shares of the proposals, which sum to 1.

        ``levels``: the rungs, in epochs.
        """
        super().__init__(space, prior=prior, **options)
        self.names = tuple(arms)
        self._shares = np.array(shares, dtype=float)
        self._arms = [arm(space, **options) for arm in arms.values()]
        # For arms that do not learn from curves, the losses of short trials are converted to the scale of the others.
        self._told = [arm if arm.learns_curves else Wrapper(arm, levels=levels) for arm in self._arms]
        self._standings = Standings(levels or rungs(self.max_epochs))
        self._n_failed = 0
        self._arm_of: dict[int, int] = {}  # by trial: the arm that proposed it
        self._n_taken = np.zeros(len(arms), dtype=int)  # trials by arm
        self._epochs = Tally()  # charged to the budget, by trial
        self._credited: set[int] = set()  # trials
        self._credits = [deque[float](maxlen=CREDIT_WINDOW) for _ in arms]  # of each arm's latest trials

    def restore(self, proposal: Proposal) -> None:
        super().restore(proposal)
        name = proposal.info.get("arm")
        if name in self.names and proposal.trial not in self._arm_of:
            self._arm_of[proposal.trial] = self.names.index(name)
            self._n_taken[self.names.index(name)] += 1
        self._epochs[proposal.trial] = proposal.epochs
        for arm in self._told:
            arm.restore(proposal)

    def tell(self, outcome: Outcome) -> None:
        trial = outcome.proposal.trial
        before = self.outcomes.get(trial)
        self._n_failed += (outcome.loss is None) - (before is not None and before.loss is None)
        super().tell(outcome)
        if outcome.stopped and trial >= 0:
            self._epochs[trial] = len(outcome.losses)
        if outcome.loss is not None:
            self._standings.enter(outcome)
        if trial in self._arm_of and trial not in self._credited:
            self._credited.add(trial)
            self._credits[self._arm_of[trial]].append(self._credit(outcome))
        for arm in self._told:
            arm.tell(outcome)

    @property
    def findings(self) -> list[str]:
        return [finding for arm in self._arms for finding in arm.findings]

    @property
    def bounds_regret(self) -> bool:
        return any(arm.bounds_regret for arm in self._arms)

    def regret_bound(self) -> RegretBound | None:
        bounds = (arm.regret_bound() for arm in self._arms)
        return next((bound for bound in bounds if bound is not None), None)

    def _suggest(self, rng: np.random.Generator) -> tuple[Config, dict[str, JSON]]:
        shares = self.shares()
        arm = int(np.argmax(shares * (self._n_taken.sum() + 1) - self._n_taken))
        config, info = self._arms[arm]._suggest(rng)
        return config, {**info, "arm": self.names[arm], "share": round(float(shares[arm]), 3)}

    def shares(self) -> np.ndarray:
        """The current target share of the proposals for each arm, shape (n_arms,), summing to 1."""
        if any(len(own) < MIN_CREDIT for own in self._credits):
            return self._shares
        weights = self._shares * [np.mean(own) + 1e-3 for own in self._credits]
        if self.n_trials is not None and self._epochs.total >= LATE_PHASE * self.n_trials * self.max_epochs:
            rest = (1.0 - LATE_SHARE) / max(1, len(weights) - 1)
            weights = np.where(np.arange(len(weights)) == weights.argmax(), LATE_SHARE, rest)
            return np.asarray(weights / weights.sum())
        return np.asarray(MIN_ARM_SHARE + (1.0 - MIN_ARM_SHARE * len(weights)) * weights / weights.sum())

    def _credit(self, outcome: Outcome) -> float:
        if outcome.loss is None:
            return 0.0
        n_others = len(self._standings.losses) - 1 + self._n_failed
        return ((self._n_failed + self._standings.n_worse(outcome.proposal.trial)) / max(1, n_others)) ** 2


class Standings(RankedLadder):
    """A ladder that counts the trials with higher losses, all converted to the same rung."""

    def __init__(self, levels: list[int]) -> None:
        super().__init__(levels)
        self._n_steps = 0  # known steps
        self._compared = [Ranking() for _ in levels]  # by rung: the trials whose losses there are converted

    def enter(self, outcome: Outcome) -> None:
        super().enter(outcome)
        n_steps = len(self.steps())
        everyone = n_steps != self._n_steps
        self._n_steps = n_steps
        for trial in self.losses if everyone else {outcome.proposal.first} & self.losses.keys():
            self._compare_at(trial)

    def _compare_at(self, trial: int) -> None:
        at = self.compared_at(trial, self._n_steps)
        for rung, compared in enumerate(self._compared):
            if rung == at:
                compared.put(trial, self.losses[trial][rung])
            else:
                compared.discard(trial)

    def n_worse(self, trial: int) -> int:
        """The number of trials whose converted loss is higher than that of this one."""
        steps = self.steps()
        value = self.value(trial, steps)
        return sum(compared.n_above(value, sum(steps[rung:])) for rung, compared in enumerate(self._compared))
