"""Variants of ``auto`` that change one component each."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from ConfigSpace import ConfigurationSpace

from strategies._mix import Mix
from strategies.auto import Auto
from strategies.base import Outcome, Proposal, Start
from strategies.bayesian import BayesianOptimization
from strategies.config_strategy import ConfigStrategy
from strategies.genetic import GeneticAlgorithm
from strategies.types import Value

REPEAT_SHARE, MAX_REPEATS = 0.12, 5  # share of the budget for repeats, and their maximum number


class Genetic(Auto):
    """Mixes the model with a genetic algorithm."""

    def _inner_searcher(
        self, space: ConfigurationSpace, fixed: Mapping[str, Value], prior: list[Start], levels: list[int]
    ) -> ConfigStrategy:
        arms: dict[str, type[ConfigStrategy]] = {"bo": BayesianOptimization, "ga": GeneticAlgorithm}
        shares = (0.6, 0.4)
        return Mix(space, arms=arms, shares=shares, prior=prior, fixed=fixed, levels=levels, **self._options)


class NoEarlyStopping(Auto):
    """Trains every config fully."""

    with_short = False


class ShortThroughout(Auto):
    """Starts new configs with short trainings during the whole budget, not only in the first phase."""

    phase_share = 1.0


class LateNoiseSearch(BayesianOptimization):
    """The losses of a config at different rungs share noise from 20 full trainings on, whatever the budget."""

    few_trials = math.inf


class LateNoise(Auto):
    """Noise shared by the losses of a config at different rungs from 20 full trainings on, whatever the budget."""

    model_search = LateNoiseSearch


class NoFamilies(Auto):
    """Searches the whole space with one surrogate instead of one per family."""

    with_families = False


class Repeats(Auto):
    """Spends the last part of the budget on training the best configs again; the best mean counts."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._trained: dict[int, Outcome] = {}  # by trial: full trainings
        self._repeated: dict[int, list[int]] = {}  # by original trial: its repeats

    def ask(self) -> Proposal | None:
        again = self._next_again()
        if again is None:
            return super().ask()
        self.restore(again)
        return again

    def tell(self, outcome: Outcome) -> None:
        super().tell(outcome)
        if not outcome.stopped and outcome.loss is not None and outcome.proposal.epochs >= self.max_epochs:
            self._trained[outcome.proposal.trial] = outcome

    def should_stop(self, proposal: Proposal, losses: tuple[float, ...]) -> bool:
        return proposal.repeats is None and super().should_stop(proposal, losses)

    def _note(self, proposal: Proposal) -> None:
        super()._note(proposal)
        if proposal.repeats is not None:
            self._repeated.setdefault(proposal.repeats, []).append(proposal.trial)

    def _next_again(self) -> Proposal | None:
        if self.n_trials is None or not self._trained:
            return None
        n_again = min(MAX_REPEATS, round(REPEAT_SHARE * self.n_trials))
        if self.n_trials * self.max_epochs - sum(self._epochs.values()) > n_again * self.max_epochs:
            return None
        repeats = {trial for trials in self._repeated.values() for trial in trials}
        originals = {trial: outcome for trial, outcome in self._trained.items() if trial not in repeats}
        best = sorted(originals, key=lambda trial: (originals[trial].loss, trial))[:n_again]
        waiting = [trial for trial in best if trial not in self._repeated]
        if not waiting:
            return None
        first = originals[waiting[0]].proposal
        info = {name: first.info[name] for name in ("schedule",) if name in first.info}
        return Proposal(
            max(self._epochs) + 1, first.config, self.max_epochs, {"from": "again", "repeats": first.trial, **info}
        )
