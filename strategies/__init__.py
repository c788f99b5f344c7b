"""The strategies by name. Each is imported on first use, so that listing them costs nothing."""

from __future__ import annotations

import difflib
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ConfigSpace import ConfigurationSpace

    from strategies.base import Strategy

STRATEGIES: dict[str, tuple[str, str]] = {
    "random": ("random_search:RandomSearch", "independent uniform draws: the yardstick"),
    "sobol": ("sobol:SobolSearch", "a low-discrepancy sequence: random search with fewer gaps"),
    "grid": ("grid_search:GridSearch", "nested grids, coarse cells first"),
    "bo": ("bayesian:BayesianOptimization", "Gaussian process with log expected improvement"),
    "skopt": ("skopt_gp:SkoptGP", "Gaussian process with expected improvement (scikit-optimize)"),
    "tpe": ("tpe:TPE", "multivariate tree-structured Parzen estimator (Optuna)"),
    "hyperopt": ("hyperopt_tpe:HyperoptTPE", "the original tree-structured Parzen estimator (hyperopt)"),
    "ga": ("genetic:GeneticAlgorithm", "steady-state genetic algorithm (DEAP)"),
    "cmaes": ("cmaes:CMAES", "CMA-ES for mixed variables (cmaes): for large budgets"),
}
"""Name -> (module:class in this package, one line for people)."""


class UnknownStrategy(ValueError):
    """A strategy name that is not in STRATEGIES."""


def strategy_class(name: str) -> type[Strategy]:
    """The class behind a name. UnknownStrategy, with the nearest right one, where there is none."""
    if name not in STRATEGIES:
        near = difflib.get_close_matches(name, STRATEGIES, 1)
        hint = f"did you mean {near[0]!r}? " if near else ""
        raise UnknownStrategy(f"unknown strategy {name!r}; {hint}choose one of: {', '.join(STRATEGIES)}")
    module, attribute = STRATEGIES[name][0].split(":")
    found: type[Strategy] = getattr(import_module(f"strategies.{module}"), attribute)
    return found


def make_strategy(
    name: str,
    space: ConfigurationSpace,
    *,
    seed: int,
    n_trials: int | None = None,
    max_epochs: int = 1,
    **options: Any,
) -> Strategy:
    """Build a strategy by its name; ``options`` go to its class as they are."""
    return strategy_class(name)(space, seed=seed, n_trials=n_trials, max_epochs=max_epochs, **options)
