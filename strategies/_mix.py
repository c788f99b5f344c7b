"""Several strategies (arms) with a shared history; the better ones make more of the proposals."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from strategies._ladder import Ladder, rungs
from strategies._wrapper import Wrapper
from strategies.base import ConfigStrategy, Outcome, Proposal, RegretBound, Start
from strategies.types import JSON, Config

if TYPE_CHECKING:
    from ConfigSpace import ConfigurationSpace

FLOOR = 0.15  # minimum share of the proposals for every arm
LATE, LATE_SHARE = 0.7, 0.85  # share of the budget after which the best arm gets LATE_SHARE of the proposals
MEMORY = 12  # an arm's credit is based on so many of its latest proposals
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
        arms: Sequence[str],
        shares: Sequence[float],
        prior: Sequence[Start] = (),
        levels: list[int] | None = None,
        **options: Any,
    ) -> None:
        """``arms``: names of strategies. ``shares``: their initial shares of the proposals, which sum to 1.

        ``levels``: the rungs, in epochs.
        """
        super().__init__(space, prior=prior, **options)
        self.names = tuple(arms)
        self._shares = np.array(shares, dtype=float)
        self._arms = [_arm(name, space, options) for name in arms]
        # For arms that do not learn from curves, the losses of short trials are converted to the scale of the others.
        self._told = [arm if arm.learns_curves else Wrapper(arm, levels=levels) for arm in self._arms]
        self._ladder = Ladder(levels or rungs(self.max_epochs))
        self._arm_of: dict[int, int] = {}  # by trial: the arm that proposed it
        self._credits: dict[int, float] = {}  # by trial of an arm, in the order of the tells

    def restore(self, proposal: Proposal) -> None:
        super().restore(proposal)
        name = proposal.info.get("arm")
        if name in self.names:
            self._arm_of[proposal.trial] = self.names.index(name)
        for arm in self._told:
            arm.restore(proposal)

    def tell(self, outcome: Outcome) -> None:
        super().tell(outcome)
        trial = outcome.proposal.trial
        if outcome.loss is not None:
            self._ladder.enter(outcome)
        if trial in self._arm_of and trial not in self._credits:
            self._credits[trial] = self._credit(outcome)
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
        taken = np.bincount(list(self._arm_of.values()), minlength=len(self.names))
        arm = int(np.argmax(shares * (taken.sum() + 1) - taken))
        config, info = self._arms[arm]._suggest(rng)
        return config, {**info, "arm": self.names[arm], "share": round(float(shares[arm]), 3)}

    def shares(self) -> np.ndarray:
        """The current target share of the proposals for each arm, shape (n_arms,), summing to 1."""
        credits = [
            [credit for trial, credit in self._credits.items() if self._arm_of[trial] == arm][-MEMORY:]
            for arm in range(len(self.names))
        ]
        if any(len(own) < MIN_CREDIT for own in credits):
            return self._shares
        weights = self._shares * [np.mean(own) + 1e-3 for own in credits]
        if self.n_trials is not None and len(self.outcomes) + len(self.pending) >= LATE * self.n_trials:
            rest = (1.0 - LATE_SHARE) / max(1, len(weights) - 1)
            weights = np.where(np.arange(len(weights)) == weights.argmax(), LATE_SHARE, rest)
            return np.asarray(weights / weights.sum())
        return np.asarray(FLOOR + (1.0 - FLOOR * len(weights)) * weights / weights.sum())

    def _credit(self, outcome: Outcome) -> float:
        trial = outcome.proposal.trial
        if outcome.loss is None:
            return 0.0
        steps = self._ladder.steps()
        values = {t: self._ladder.value(t, steps) for t in self._ladder.losses}
        earlier = [value for t, value in values.items() if t != trial]
        failed = sum(o.loss is None for o in self.outcomes.values())
        beaten = failed + sum(values[trial] < value for value in earlier)
        return (beaten / max(1, len(earlier) + failed)) ** 2


def _arm(name: str, space: ConfigurationSpace, options: dict[str, Any]) -> ConfigStrategy:
    from strategies import strategy_class

    arm = strategy_class(name)(space, **options)
    assert isinstance(arm, ConfigStrategy)
    return arm
