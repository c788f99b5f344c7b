"""Registry of the strategies. Each is imported on first use, so listing them is cheap."""

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
    "random": ("random_search:RandomSearch", "independent uniform draws: the baseline"),
    "sobol": ("sobol:SobolSearch", "a low-discrepancy sequence: random search with fewer gaps"),
    "grid": ("grid_search:GridSearch", "nested grids, coarse cells first"),
    "auto": ("auto:Auto", "Bayesian optimization with early stopping, model families and past studies"),
    "bo": ("bayesian:BayesianOptimization", "Gaussian process with log expected improvement"),
    "skopt": ("skopt_gp:SkoptGP", "Gaussian process with expected improvement (scikit-optimize)"),
    "tpe": ("tpe:TPE", "multivariate tree-structured Parzen estimator (Optuna)"),
    "hyperopt": ("hyperopt_tpe:HyperoptTPE", "the original tree-structured Parzen estimator (hyperopt)"),
    "ga": ("genetic:GeneticAlgorithm", "steady-state genetic algorithm (DEAP)"),
    "cmaes": ("cmaes:CMAES", "CMA-ES for mixed variables (cmaes): for large budgets"),
}
"""Name -> (module:class in this package, one-line description)."""


WRAPPERS: dict[str, tuple[str, str]] = {
    "asha": ("asha:Asha", "asynchronous successive halving: trains the best third longer and pauses the others"),
    "hyperband": ("hyperband:Hyperband", "asynchronous Hyperband: like asha, but some trials start at higher rungs"),
    "stop": ("stop:Stop", "stops a trial whose curve is very unlikely to end below the best: needs no pausing"),
}
"""Wrappers around a strategy, as in ``bo+asha``: name -> (module:class, one-line description)."""

ALIASES: dict[str, str] = {
    "bayes": "bo", "bayesian": "bo", "bayesian_optimization": "bo", "gp": "bo", "gaussian_process": "bo",
    "optuna": "tpe", "genetic": "ga", "evolutionary": "ga", "cma": "cmaes",
    "random_search": "random", "grid_search": "grid",
    "asha": "bo+asha", "successive_halving": "bo+asha", "hyperband": "bo+hyperband", "bohb": "tpe+hyperband",
}  # fmt: skip
"""Names in common use -> the spec suggested for them; they are not accepted, so that a strategy has one name."""


def strategy_class(name: str) -> type[Strategy]:
    """The class registered under a name. Raises UnknownStrategy, with the closest match, if there is none."""
    found: type[Strategy] = _imported("strategy", STRATEGIES, name)
    return found


def check_spec(spec: str) -> None:
    """Raise UnknownStrategy unless the spec is a strategy name followed by wrapper names, joined by plus signs."""
    if not isinstance(spec, str):
        raise UnknownStrategy(f"a strategy is given by its name, such as 'bo' or 'tpe+asha'; got {spec!r}")
    name, *wrappers = spec.split("+")
    _check_name("strategy", STRATEGIES, name)
    for wrapper in wrappers:
        _check_name("wrapper", WRAPPERS, wrapper)
    if wrappers and strategy_class(name).plans_epochs:
        raise UnknownStrategy(f"{spec!r} is not supported: {name} already does early stopping; use {name!r}")
    halving = wrappers[:-1] if wrappers[-1:] == ["stop"] else wrappers
    if len(halving) > 1 or "stop" in halving:
        raise UnknownStrategy(
            f"{spec!r} is not supported: use one of +asha and +hyperband at most, +stop last, as in {name}+asha+stop"
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
    """Build a strategy from its spec, such as ``bo`` or ``tpe+asha``; ``options`` are passed to its class.

    ``resumable``: whether a paused training can be resumed. ``fidelity``: what a short training of a config means;
    by default it follows from ``resumable``. ``seconds``: the training time budget, if there is one. ``timed``: whether
    measured seconds may influence the search. ``prior``: configs to try after the default one, each a ``Start``. Raises
    UnknownStrategy for an invalid spec, TypeError for a space that is not a ConfigurationSpace or a prior that is no
    ``Start``, ValueError for a budget that is not positive or a prior outside the space.
    """
    from ConfigSpace import ConfigurationSpace

    check_spec(spec)
    if not isinstance(space, ConfigurationSpace):
        raise TypeError(
            f"the space must be a ConfigurationSpace, got {type(space).__name__}; automl.load_space makes one from a "
            "dict or a YAML file"
        )
    name, *wrappers = spec.split("+")
    chosen = strategy_class(name)
    if chosen.plans_epochs:
        from strategies.fidelity import Fidelity

        kind: Literal["resume", "stop"] = "resume" if resumable else "stop"
        options |= {"fidelity": fidelity or (lambda config: Fidelity(kind)), "seconds": seconds, "timed": timed}
    if prior:
        from strategies.base import Start

        if wrong := next((each for each in prior if not isinstance(each, Start)), None):
            raise TypeError(f"each config of the prior must be a strategies.base.Start, got {wrong!r}")
        options["prior"] = prior
    strategy = chosen(space, seed=seed, n_trials=n_trials, max_epochs=max_epochs, **options)
    for wrapper in wrappers:
        strategy = _imported("wrapper", WRAPPERS, wrapper)(strategy, resumable=resumable)
    return strategy


def _check_name(what: str, registry: dict[str, tuple[str, str]], name: str) -> None:
    if name not in registry:
        meant = ALIASES.get(name.lower().replace("-", "_")) if registry is STRATEGIES else None
        hint = f"did you mean {meant!r}? " if meant else did_you_mean(name, registry)
        raise UnknownStrategy(f"unknown {what} {name!r}; {hint}choose one of: {', '.join(registry)}")


def _imported(what: str, registry: dict[str, tuple[str, str]], name: str) -> Any:
    _check_name(what, registry, name)
    module, attribute = registry[name][0].split(":")
    return getattr(import_module(f"strategies.{module}"), attribute)
