"""A steady-state genetic algorithm on DEAP: G. Syswerda, A Study of Reproduction in Generational and Steady-State
Genetic Algorithms (1991).

Steady state (mu + 1): every ask breeds one child from the best mu configs so far, so no worker waits for a generation
to complete.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np
from deap import base, tools

from strategies._ranking import Ranking
from strategies.base import Outcome
from strategies.config_strategy import ConfigStrategy
from strategies.types import JSON, Config

POPULATION = 10  # mu
TOURNAMENT = 3
CROSSOVER = 0.8  # share of children with two parents
MUTATION_STEP = 0.15  # standard deviation of a numeric mutation, as a share of the range


class Fitness(base.Fitness):  # type: ignore[misc]
    """One loss to minimise. A plain subclass: deap.creator would put it into a global namespace."""

    weights = (-1.0,)


class Individual(list[float]):
    """A point of the encoded space, with the fitness attribute that DEAP's tools expect."""

    def __init__(self, point: np.ndarray, trial: int, loss: float) -> None:
        super().__init__(map(float, point))
        self.trial = trial
        self.fitness = Fitness((loss,))


class GeneticAlgorithm(ConfigStrategy):
    """Tournament selection, uniform crossover, Gaussian and resetting mutation on the encoded config."""

    n_initial = POPULATION

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._trials: list[int] = []  # in the order of ``outcomes``, which breaks ties
        self._place: dict[int, int] = {}  # position in this order
        self._worked, self._failed = Ranking(), Ranking()  # places of trials with a loss, by loss, and of failed ones

    def tell(self, outcome: Outcome) -> None:
        super().tell(outcome)
        trial, loss = outcome.proposal.trial, outcome.loss
        if trial not in self._place:
            self._place[trial] = len(self._trials)
            self._trials.append(trial)
        place = self._place[trial]
        if loss is None:
            self._worked.discard(place)
            self._failed.put(place, 0.0)
        else:
            self._worked.put(place, loss)
            self._failed.discard(place)

    def _fittest(self) -> list[Individual]:
        """A superset of the population. Failures get the worst finite loss: avoided, not forgotten."""
        worst = self._worked.value(-1)
        places = sorted(self._worked.items(0, POPULATION) + self._failed.items(0, POPULATION))
        outcomes = [self.outcomes[self._trials[place]] for place in places]
        return [
            Individual(self.encoding.encode(o.proposal.config), o.proposal.trial, worst if o.loss is None else o.loss)
            for o in outcomes
        ]

    def _suggest(self, rng: np.random.Generator) -> tuple[Config, dict[str, JSON]]:
        toolbox = self._toolbox
        population = toolbox.survive(self._fittest(), POPULATION)
        mother = toolbox.select(population, rng=rng)
        father = toolbox.select(population, rng=rng) if rng.random() < CROSSOVER else mother
        child = toolbox.mutate(toolbox.mate(mother, father, rng=rng), rng=rng)
        return self.encoding.decode(child), {"from": "ga", "parents": [mother.trial, father.trial]}

    @cached_property
    def _toolbox(self) -> Any:
        # DEAP's own variation operators use Python's global random state and ignore the bounds.
        toolbox = base.Toolbox()
        toolbox.register("survive", tools.selBest)
        toolbox.register("select", self._tournament)
        toolbox.register("mate", self._uniform_crossover)
        toolbox.register("mutate", self._mutate)
        return toolbox

    def _tournament(self, population: list[Individual], *, rng: np.random.Generator) -> Individual:
        entrants = rng.choice(len(population), size=min(TOURNAMENT, len(population)), replace=False)
        winner: Individual = tools.selBest([population[i] for i in entrants], 1)[0]
        return winner

    def _uniform_crossover(self, mother: Individual, father: Individual, *, rng: np.random.Generator) -> np.ndarray:
        return np.where(rng.random(len(mother)) < 0.5, mother, father)

    def _mutate(self, child: np.ndarray, *, rng: np.random.Generator) -> np.ndarray:
        variable = [i for i, dim in enumerate(self.encoding.dimensions) if dim.n_values > 1]
        hit = [i for i in variable if rng.random() < 1 / len(variable)] or [int(rng.choice(variable))]
        for i in hit:
            dim = self.encoding.dimensions[i]
            if dim.numeric:
                step = rng.normal(0.0, max(MUTATION_STEP, 1.0 / dim.n_values))
                moved = abs(child[i] + step)  # reflected at the bounds
                child[i] = np.clip(2.0 - moved if moved > 1.0 else moved, 0.0, 1.0)
            else:
                child[i] = rng.random()
        return child
