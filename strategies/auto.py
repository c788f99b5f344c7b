"""The default strategy: Bayesian optimization with short trainings, and a search for each family of models."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

from strategies._families import Families
from strategies._family_choice import family_choice
from strategies._halving import PHASE_SHARE, FidelityOf, Halving, levels_of
from strategies._mix import Mix
from strategies._pace import Pace
from strategies._tally import Tally
from strategies._tiers import Tiers
from strategies._wrapper import Delegate
from strategies.base import Outcome, Proposal, Start, Strategy
from strategies.bayesian import BayesianOptimization
from strategies.config_strategy import ConfigStrategy
from strategies.encoding import Encoding
from strategies.fidelity import Fidelity
from strategies.types import Config, Value

if TYPE_CHECKING:
    from ConfigSpace import ConfigurationSpace

MANY_TRIALS = 300  # above this, a model costs more than it gains
MANY_ARMS = ("tpe", "ga")
CHEAPER = (MANY_ARMS, ("ga",))  # mixes that are cheaper than bo, the better first; a study refers to them by place


class Auto(Delegate):
    """A search for each family of models, with short trainings where they are informative."""

    plans_epochs = True
    with_families: ClassVar[bool] = True
    with_short: ClassVar[bool] = True
    phase_share: ClassVar[float] = PHASE_SHARE
    model_search: ClassVar[type[BayesianOptimization]] = BayesianOptimization

    def __init__(
        self,
        space: ConfigurationSpace,
        *,
        seed: int,
        n_trials: int | None = None,
        max_epochs: int = 1,
        fidelity: FidelityOf | None = None,
        seconds: float | None = None,
        timed: bool = True,
        prior: Sequence[Start] = (),
    ) -> None:
        """``fidelity``: what a short training of a config means; resumable by default. ``seconds``: the training time
        budget, if there is one. ``timed``: whether measured seconds may influence the search."""
        self._options: dict[str, Any] = {"seed": seed, "n_trials": n_trials, "max_epochs": max_epochs}
        self._fidelity = fidelity or _resumable
        self._seconds = seconds
        self._prior = prior
        self._halvings: list[Halving] = []
        self._timed = timed
        self._pace = Pace()
        self._tier = 0
        self._moves: list[str] = []  # to cheaper strategies, in words
        name = family_choice(space) if self.with_families else None
        inner: Strategy
        if name is None:
            inner = self._searcher(space, {}, share=1.0)
        else:
            n_families = len(next(dim.values for dim in Encoding(space).dimensions if dim.name == name))
            inner = Families(
                space, name, lambda fixed: self._searcher(space, fixed, 1.0 / n_families),
                prior=prior, seed=seed, n_trials=n_trials, max_epochs=max_epochs, seconds=seconds, timed=timed,
            )  # fmt: skip
        super().__init__(inner)
        self.families = inner if isinstance(inner, Families) else None
        self._epochs = Tally()  # charged to the budget
        self._training_seconds = 0.0

    def why(self, unit: str = "epochs") -> str:
        parts = [] if self.families is None else [f"separate search for each {self.families.choice}"]
        parts.append(
            f"tpe and ga, as {self.n_trials} trials are too many for a Gaussian process" if self._has_many else "bo"
        )
        epochs = sorted({level for halving in self._halvings for level in halving.ladder.levels[:-1]})
        if epochs:
            parts.append(f"configs are compared after {', '.join(map(str, epochs))} {unit}")
        return "; ".join(parts)

    @property
    def findings(self) -> list[str]:
        return [*self._moves, *super().findings]

    def charge(self, seconds: float, n_workers: int) -> None:
        super().charge(seconds, n_workers)
        if self._timed:
            self._pace.charge(seconds, n_workers)

    def tell(self, outcome: Outcome) -> None:
        super().tell(outcome)
        if outcome.proposal.trial < 0:
            return
        self._training_seconds += outcome.seconds
        self._pace.told(outcome.seconds)
        if outcome.stopped:
            self._epochs[outcome.proposal.trial] = len(outcome.losses)

    @property
    def _has_many(self) -> bool:
        n_trials = self._options["n_trials"]
        return n_trials is not None and n_trials > MANY_TRIALS

    def _searcher(self, space: ConfigurationSpace, fixed: Mapping[str, Value], share: float) -> Strategy:
        """The strategy for the subspace with these fixed values, with a share of the budget."""
        encoding, max_epochs = Encoding(space, fixed), self._options["max_epochs"]
        levels = levels_of(encoding, self._fidelity, max_epochs) if self.with_short else [max_epochs]
        prior = [start for start in self._prior if fixed.items() <= start.config.items()]
        inner = Tiers(self._builders(space, fixed, prior, levels), self._tier_to_ask)
        if len(levels) == 1:
            return inner
        halving = Halving(
            inner, fidelity=self._fidelity, levels=levels, phase_share=self.phase_share, default_later=not fixed,
            budget=lambda: self._budget(share),
        )  # fmt: skip
        self._halvings.append(halving)
        return halving

    def _builders(
        self, space: ConfigurationSpace, fixed: Mapping[str, Value], prior: list[Start], levels: list[int]
    ) -> list[Callable[[], ConfigStrategy]]:
        """Builders of the first strategy and of cheaper ones, as in ``_tiers``."""
        mixes = [partial(self._mix, arms, space, fixed, prior, levels) for arms in CHEAPER]
        return [partial(self._inner_searcher, space, fixed, prior, levels), *mixes]

    def _inner_searcher(
        self, space: ConfigurationSpace, fixed: Mapping[str, Value], prior: list[Start], levels: list[int]
    ) -> ConfigStrategy:
        if self._has_many:
            return self._mix(MANY_ARMS, space, fixed, prior, levels)
        cost = None if self._seconds is None else self._cost_exponent
        return self.model_search(space, prior=prior, fixed=fixed, cost_exponent=cost, **self._options)

    def _mix(
        self,
        arms: Sequence[str],
        space: ConfigurationSpace,
        fixed: Mapping[str, Value],
        prior: list[Start],
        levels: list[int],
    ) -> ConfigStrategy:
        from strategies.genetic import GeneticAlgorithm  # most searches need neither
        from strategies.tpe import TPE

        by_name: dict[str, type[ConfigStrategy]] = {"tpe": TPE, "ga": GeneticAlgorithm}
        chosen, shares = {name: by_name[name] for name in arms}, [1.0 / len(arms)] * len(arms)
        return Mix(space, arms=chosen, shares=shares, prior=prior, fixed=fixed, levels=levels, **self._options)

    def _tier_to_ask(self) -> int:
        if self._pace.is_too_slow and self._tier < len(CHEAPER):
            self._move_to(len(CHEAPER) if self._has_many else self._tier + 1)
        return self._tier

    def _move_to(self, tier: int) -> None:
        names = " and ".join(CHEAPER[tier - 1])
        self._moves.append(f"{names} from trial {max(self._epochs, default=-1) + 1} on: {self._pace}")
        self._tier = tier
        self._pace.restart()

    def _budget(self, share: float) -> float | None:
        """A share of the budget in epochs; a budget in seconds is converted at the speed so far."""
        budgets = [] if self.n_trials is None else [float(self.n_trials * self.max_epochs)]
        if self._seconds is not None and self._training_seconds > 0:
            budgets.append(self._seconds * self._epochs.total / self._training_seconds)
        return share * min(budgets) if budgets else None

    def _cost_exponent(self) -> float:
        """Decays from 1 to 0, as cheap trainings are worth most at the beginning of a budget in seconds."""
        assert self._seconds is not None
        return max(0.0, 1.0 - self._training_seconds / self._seconds)

    def _note(self, proposal: Proposal) -> None:
        super()._note(proposal)
        tier = proposal.info.get("tier", 0)
        if isinstance(tier, int) and tier > self._tier:  # in a resumed run
            self._move_to(tier)
        self._epochs[proposal.trial] = proposal.epochs


def trains_short(encoding: Encoding, fidelity: FidelityOf | None, max_epochs: int) -> bool:
    """Whether ``auto`` begins with trainings shorter than full ones. Without ``fidelity``, they are taken to be
    resumable."""
    return len(levels_of(encoding, fidelity or _resumable, max_epochs)) > 1


def _resumable(config: Config) -> Fidelity:
    return Fidelity("resume")
