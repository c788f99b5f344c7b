"""Sharing the budget among families: the values of the one choice that most other hyperparameters depend on.

Each family has its own strategy on its own subspace. The next family is the one with the lowest estimated cost of
improvement: C. Wang et al., FLAML: A Fast and Lightweight AutoML Library (MLSys 2021), equation 1 and property 2. The
gain of its last improvement and the cost since the one before predict when a family will improve again or, if it is
behind, catch up.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from strategies.base import LARGEST_LOSS, MANY_PENDING, Outcome, Proposal, Start, Strategy
from strategies.encoding import Encoding
from strategies.types import Config, Value

if TYPE_CHECKING:
    from ConfigSpace import ConfigurationSpace

FIRST_LOOK_SHARE = 0.4  # share of the budget for a few trials of each family
MIN_TRIALS, MAX_TRIALS = 1, 3  # the number of these trials
EXPENSIVE_SHARE = 0.1  # share of the budget; families whose trials cost more get only their default in the first look
PATIENCE = 5  # full trainings without improvement after which a family counts as converged
RESOLUTION = 0.01  # minimum improvement, as a share of the distance from the best to a middling family's loss
COST_OF_A_TRIAL = 2.0  # mean cost with a budget in trials: one for the trial and one for its seconds
SHARE_RANKED = 8  # with many pending trials, families are ranked again after an eighth as many proposals
CATCH_UP_FACTOR = 2.0  # a gap takes longer to close than the last gain suggests (FLAML's factor)


@dataclass
class Family:
    """One family: its strategy, and the costs and losses of its trainings."""

    strategy: Strategy
    starts: Sequence[int] = ()  # indices of its default and of its initial configs, among all of these
    is_starting: bool = True  # whether some of these are not yet proposed
    epochs: dict[int, int] = field(default_factory=dict)  # by trial, as proposed
    seconds: dict[int, float] = field(default_factory=dict)  # by trial, as measured
    whole: dict[int, float] = field(default_factory=dict)  # losses of full trainings, in the order of the tells
    pending: set[int] = field(default_factory=set)

    @property
    def best(self) -> float:
        return min(self.whole.values(), default=np.inf)

    def is_flat(self, resolution: float) -> bool:
        """Whether the latest full trainings brought no improvement."""
        losses = list(self.whole.values())
        if len(losses) <= PATIENCE or np.isinf(self.best):
            return len(losses) > PATIENCE
        return min(losses[:-PATIENCE]) - min(losses[-PATIENCE:]) <= resolution

    def has_converged(self, resolution: float) -> bool:
        """Whether the latest full trainings brought no improvement and mostly repeated the best loss."""
        latest = list(self.whole.values())[-PATIENCE:]
        return self.is_flat(resolution) and bool(np.isfinite(self.best) and np.median(latest) - self.best <= resolution)


class Families(Strategy):
    """Interleaves the strategies of the families, with common trial numbers."""

    learns_curves = True

    def __init__(
        self,
        space: ConfigurationSpace,
        choice: str,
        build: Callable[[Mapping[str, Value]], Strategy],
        *,
        prior: Sequence[Start] = (),
        seed: int,
        n_trials: int | None = None,
        max_epochs: int = 1,
        seconds: float | None = None,
        timed: bool = True,
    ) -> None:
        """``build``: makes a family's strategy from its fixed values. ``prior``: the configs to start with, in this
        order; a family's default comes before its others.

        ``seconds``: the training time budget; None: no limit. ``timed``: whether measured seconds may influence the
        search; without them, a run with a budget in trials is exactly reproducible.
        """
        super().__init__(space, seed=seed, n_trials=n_trials, max_epochs=max_epochs)
        self._encoding = Encoding(space)
        for start in prior:
            self._encoding.check(start.config)
        dim = next(dim for dim in self._encoding.dimensions if dim.name == choice)
        order = [dim.default, *(value for value in dim.values if value != dim.default)]
        self.choice = choice
        self.families = {value: Family(build({choice: value}), self._places(prior, value)) for value in order}
        self._seconds = seconds
        self._timed = timed
        self._next_trial = 0
        self._ranked: list[Family] = []  # the next one first
        self._n_since = 0  # proposals since they were ranked

    def _places(self, prior: Sequence[Start], value: Value) -> list[int]:
        """The places in ``prior`` of a family's default and other configs; the default comes first in any case."""
        default = Encoding(self.space, {self.choice: value}).default
        own = [(place, start.config) for place, start in enumerate(prior) if start.config[self.choice] == value]
        others = [place for place, config in own if config != default]
        return [own[0][0], *others] if own else []

    def ask(self) -> Proposal | None:
        order = self._order()
        for family in order:
            family.strategy.skip_to(self._next_trial)
            proposal = family.strategy.ask()
            if proposal is not None:
                self._keep(order)
                self._note(family, proposal)
                return proposal
        return None

    def ask_alike(self, first: Proposal, key: Callable[[Config], Hashable]) -> Proposal | None:
        family = self._of(first)
        family.strategy.skip_to(self._next_trial)
        proposal = family.strategy.ask_alike(first, key)
        if proposal is not None:
            self._note(family, proposal)
        return proposal

    def restore(self, proposal: Proposal) -> None:
        if proposal.alike is None:
            self._keep(self._order() if self._n_pending > MANY_PENDING else [])
        family = self._of(proposal)
        family.strategy.restore(proposal)
        self._note(family, proposal)

    def tell(self, outcome: Outcome) -> None:
        proposal = outcome.proposal
        if proposal.trial < 0:
            self._encoding.check(proposal.config)
        family = self._of(proposal)
        family.strategy.tell(outcome)
        family.pending.discard(proposal.trial)
        if proposal.trial < 0:  # its cost does not count towards this budget
            if outcome.loss is not None:
                family.whole[proposal.trial] = outcome.loss
            return
        family.seconds[proposal.trial] = family.seconds.get(proposal.trial, 0.0) + outcome.seconds
        if outcome.stopped:
            family.epochs[proposal.trial] = len(outcome.losses)
        elif proposal.epochs >= self.max_epochs:
            family.whole[proposal.trial] = np.inf if outcome.loss is None else outcome.loss

    def should_stop(self, proposal: Proposal, losses: tuple[float, ...]) -> bool:
        return self._of(proposal).strategy.should_stop(proposal, losses)

    def abandoned(self) -> set[int]:
        return set().union(*(family.strategy.abandoned() for family in self.families.values()))

    @property
    def findings(self) -> list[str]:
        found, resolution = [], self._resolution()
        if all(family.is_flat(resolution) for family in self.families.values()):
            return [f"no {self.choice} improved in its last {PATIENCE} full trainings: more trials will gain little"]
        for name, family in self.families.items():
            if family.is_flat(resolution):
                found.append(
                    f"no improvement in the last {PATIENCE} full trainings of {name}: others get more of the budget"
                )
            else:
                found += [f"{name}: {finding}" for finding in family.strategy.findings]
        return found

    @property
    def exhausted(self) -> bool:
        return all(family.strategy.exhausted for family in self.families.values())

    @property
    def spent(self) -> float:
        """Share of the budget spent, including running trials; 0 without a budget."""
        epochs = sum(sum(family.epochs.values()) for family in self.families.values())
        seconds = sum(self._cost_in_seconds(family) for family in self.families.values())
        by_trials = 0.0 if self.n_trials is None else epochs / (self.n_trials * self.max_epochs)
        return max(by_trials, 0.0 if self._seconds is None else seconds / self._seconds)

    def _of(self, proposal: Proposal) -> Family:
        return self.families[proposal.config[self.choice]]

    def _note(self, family: Family, proposal: Proposal) -> None:
        self._next_trial = max(self._next_trial, proposal.trial + 1)
        family.epochs[proposal.trial] = proposal.epochs
        family.is_starting &= proposal.info.get("from") in ("default", "start", "prior")
        family.pending.add(proposal.trial)

    @property
    def _n_pending(self) -> int:
        return sum(len(family.pending) for family in self.families.values())

    def _order(self) -> list[Family]:
        """The families, the next one first; with many pending trials, several proposals share an order."""
        if self._n_pending > MANY_PENDING and self._ranked and SHARE_RANKED * self._n_since < self._n_pending:
            return self._ranked
        return self._in_turn()

    def _keep(self, order: list[Family]) -> None:
        """Record the order that the current proposal follows."""
        if self._n_pending <= MANY_PENDING:
            self._ranked = []
        elif order is not self._ranked:
            self._ranked, self._n_since = order, 0
        self._n_since += 1

    def _in_turn(self) -> list[Family]:
        """The families, the next one first."""
        families = list(self.families.values())
        if not families[0].epochs:
            return families
        return sorted(families, key=self._rank)

    def _rank(self, family: Family) -> tuple[int, float]:
        """The sort key: configs to start with, defaults, then a first look at each family, the cheapest first.

        After that, the cost of improvement: first of the families that improve and can catch up within the budget, then
        of the others. That of a family without improvement grows with each trial, so these others take turns; those
        that mostly repeat their best loss come after them. Families that only failed, or whose trials take longer than
        the remaining budget, come last, the best of them first.
        """
        n_trials, is_early = len(family.epochs), self.spent < FIRST_LOOK_SHARE
        if family.is_starting and n_trials < len(family.starts):
            return 0, family.starts[n_trials]
        if n_trials == 0:
            return (1, 0.0) if is_early or self._has_trials_for_all else (4, 0.0)
        if n_trials < self._n_first(family) and is_early:
            return 2, self._trial_cost(family)
        left, resolution = self._left(), self._resolution()
        if np.isinf(family.best) or self._trial_cost(family) > left:
            return 7, family.best
        cost = self._improvement_cost(family, resolution)
        if family.has_converged(resolution):
            return 6, cost
        return (5 if family.is_flat(resolution) or cost > left else 3), cost

    @property
    def _has_trials_for_all(self) -> bool:
        """Whether the budget is in trials and at least one for each family."""
        return self._seconds is None and self.n_trials is not None and self.n_trials >= len(self.families)

    def _n_first(self, family: Family) -> int:
        """Trials of a family before it is ranked by its cost of improvement."""
        if self.n_trials is None:
            n = MAX_TRIALS
        else:
            n = int(np.clip(FIRST_LOOK_SHARE * self.n_trials // len(self.families), MIN_TRIALS, MAX_TRIALS))
        too_expensive = self._seconds is not None and self._trial_seconds(family) > EXPENSIVE_SHARE * self._seconds
        return MIN_TRIALS if too_expensive else n

    def _improvement_cost(self, family: Family, resolution: float) -> float:
        """Estimated cost until the family beats the best config of all families."""
        costs = self._costs(family)
        total = sum(costs.values())
        bests = [(0.0, np.inf)]  # cost spent until then, loss
        spent = 0.0
        for trial, cost in costs.items():
            spent += cost
            loss = family.whole.get(trial, np.inf)
            if loss < bests[-1][1] - (resolution if len(bests) > 1 else 0.0):
                bests.append((spent, loss))
        if len(bests) == 1:  # only failures so far
            return CATCH_UP_FACTOR * total
        (before, worse), (at, best) = bests[-2:]
        own = max(total - at, at - before, self._trial_cost(family))
        gap = best - min(each.best for each in self.families.values())
        if gap <= 0:
            return own
        # A single training shows no rate of improvement, so assume a gain from a middling family's loss to the best.
        gained = worse - best if np.isfinite(worse) else self._scale()
        return max(own, CATCH_UP_FACTOR * gap * (total - before) / gained) if gained > 0 else np.inf

    def _left(self) -> float:
        """The remaining budget, in the units of the costs."""
        if self._seconds is not None:
            return self._seconds * (1.0 - self.spent)
        return np.inf if self.n_trials is None else COST_OF_A_TRIAL * self.n_trials * (1.0 - self.spent)

    def _costs(self, family: Family) -> dict[int, float]:
        """Cost by trial, in the order of the asks: seconds if the budget is in seconds.

        With a budget in trials, seconds count as much as the trials themselves.
        """
        if not self._timed and self._seconds is None:
            return {trial: COST_OF_A_TRIAL * epochs / self.max_epochs for trial, epochs in family.epochs.items()}
        usual = self._trial_seconds(family)
        seconds = {trial: family.seconds.get(trial, usual) for trial in family.epochs}
        if self._seconds is not None:
            return seconds
        seconds_told = [s for each in self.families.values() for s in each.seconds.values()]
        mean = float(np.mean(seconds_told)) if seconds_told and sum(seconds_told) > 0 else 1.0
        return {t: s / mean + family.epochs[t] / self.max_epochs for t, s in seconds.items()}

    def _trial_cost(self, family: Family) -> float:
        return float(np.mean(list(self._costs(family).values())))

    def _trial_seconds(self, family: Family) -> float:
        """Mean seconds of the family's trials; without any, of all families'."""
        seconds_told = list(family.seconds.values()) or [s for f in self.families.values() for s in f.seconds.values()]
        return float(np.mean(seconds_told)) if seconds_told else 0.0

    def _cost_in_seconds(self, family: Family) -> float:
        return sum(family.seconds.values()) + self._trial_seconds(family) * len(family.pending)

    def _scale(self) -> float:
        """The distance from the best loss of all full trainings to the median family's median.

        Families count alike, so that it does not shrink as the best one gets more trials.
        """
        finite = [
            [min(max(loss, -LARGEST_LOSS), LARGEST_LOSS) for loss in each.whole.values() if np.isfinite(loss)]
            for each in self.families.values()
        ]
        medians = [np.median(losses) for losses in finite if losses]
        return float(np.median(medians) - min(map(min, filter(None, finite)))) if medians else 0.0

    def _resolution(self) -> float:
        return RESOLUTION * self._scale()
