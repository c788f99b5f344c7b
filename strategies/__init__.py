"""The strategies by name. Each is imported on first use, so that listing them costs nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any, Literal

from strategies.errors import UnknownStrategy, did_you_mean

if TYPE_CHECKING:
    from ConfigSpace import ConfigurationSpace

    from strategies.base import Start, Strategy
    from strategies.fidelity import Fidelity
    from strategies.types import Config

STRATEGIES: dict[str, tuple[str, str]] = {
    "random": ("random_search:RandomSearch", "independent uniform draws: the yardstick"),
    "sobol": ("sobol:SobolSearch", "a low-discrepancy sequence: random search with fewer gaps"),
    "grid": ("grid_search:GridSearch", "nested grids, coarse cells first"),
    "auto": ("auto:Auto", "chooses and mixes strategies by the facts of the task, and says why"),
    "bo": ("bayesian:BayesianOptimization", "Gaussian process with log expected improvement"),
    "skopt": ("skopt_gp:SkoptGP", "Gaussian process with expected improvement (scikit-optimize)"),
    "tpe": ("tpe:TPE", "multivariate tree-structured Parzen estimator (Optuna)"),
    "hyperopt": ("hyperopt_tpe:HyperoptTPE", "the original tree-structured Parzen estimator (hyperopt)"),
    "ga": ("genetic:GeneticAlgorithm", "steady-state genetic algorithm (DEAP)"),
    "cmaes": ("cmaes:CMAES", "CMA-ES for mixed variables (cmaes): for large budgets"),
}
"""Name -> (module:class in this package, one line for people)."""


WRAPPERS: dict[str, tuple[str, str]] = {
    "asha": ("asha:Asha", "trains the best third longer and pauses the others: asynchronous successive halving"),
    "hyperband": ("hyperband:Hyperband", "as asha, but some trials start at the higher rungs: asynchronous Hyperband"),
    "stop": ("stop:Stop", "stops a training whose curve is very unlikely to end below the best: needs no pauses"),
}
"""What can be put around a strategy, as in ``bo+asha``: name -> (module:class, one line for people)."""


def strategy_class(name: str) -> type[Strategy]:
    """The class behind a name. UnknownStrategy, with the nearest right one, where there is none."""
    found: type[Strategy] = _imported("strategy", STRATEGIES, name)
    return found


def check_spec(spec: str) -> None:
    """UnknownStrategy unless the spec is a strategy's name, with the names of wrappers after plus signs."""
    name, *wrappers = spec.split("+")
    if strategy_class(name).plans_epochs and wrappers:
        raise UnknownStrategy(f"{spec!r} does not go together: {name} stops trainings early by itself where it can")
    for wrapper in wrappers:
        _imported("wrapper", WRAPPERS, wrapper)
    halving = wrappers[:-1] if wrappers[-1:] == ["stop"] else wrappers
    if len(halving) > 1 or "stop" in halving:
        raise UnknownStrategy(
            f"{spec!r} does not go together: take one of +asha and +hyperband, and +stop last, as in {name}+asha+stop"
        )


def make_strategy(
    spec: str,
    space: ConfigurationSpace,
    *,
    seed: int,
    n_trials: int | None = None,
    max_epochs: int = 1,
    resumable: bool = True,
    fidelity: Callable[[Config], Fidelity] | None = None,
    seconds: float | None = None,
    timed: bool = True,
    prior: Sequence[Start] = (),
    **options: Any,
) -> Strategy:
    """Build a strategy by its spec, such as ``bo`` or ``tpe+asha``; ``options`` go to its class as they are.

    ``resumable``: whether a training that was paused can go on. ``fidelity``: what a short training of a config means,
    where that is known better. ``seconds``: of training, in total, where they are limited. ``timed``: whether measured
    seconds may count. ``prior``: configs to try after the default one. UnknownStrategy for a wrong spec.
    """
    check_spec(spec)
    name, *wrappers = spec.split("+")
    chosen = strategy_class(name)
    if chosen.plans_epochs:
        from strategies.fidelity import Fidelity

        kind: Literal["resume", "stop"] = "resume" if resumable else "stop"
        options |= {"fidelity": fidelity or (lambda config: Fidelity(kind)), "seconds": seconds, "timed": timed}
    if prior:
        options["prior"] = prior
    strategy = chosen(space, seed=seed, n_trials=n_trials, max_epochs=max_epochs, **options)
    for wrapper in wrappers:
        strategy = _imported("wrapper", WRAPPERS, wrapper)(strategy, resumable=resumable)
    return strategy


def _imported(what: str, registry: dict[str, tuple[str, str]], name: str) -> Any:
    if name not in registry:
        hint = did_you_mean(name, registry)
        raise UnknownStrategy(f"unknown {what} {name!r}; {hint}choose one of: {', '.join(registry)}")
    module, attribute = registry[name][0].split(":")
    return getattr(import_module(f"strategies.{module}"), attribute)
