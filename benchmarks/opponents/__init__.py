"""Registry of the opponents: other libraries, called as their documentation shows. Each is imported on first use."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING

from automl.errors import UserError, install_command
from strategies import make_strategy
from strategies.errors import UnknownStrategy

if TYPE_CHECKING:
    from ConfigSpace import ConfigurationSpace

    from strategies.base import Strategy
    from strategies.fidelity import Fidelity
    from strategies.types import Config

OPPONENTS: dict[str, tuple[str, str, str | None]] = {
    "raw-optuna": ("raw_optuna:RawOptuna", "Optuna's default sampler", None),
    "raw-optuna-gp": ("raw_optuna_gp:RawOptunaGP", "Optuna's Gaussian process sampler", None),
    "raw-optuna-hyperband": ("raw_optuna_hyperband:RawOptunaHyperband", "Optuna's default sampler, Hyperband", None),
    "raw-skopt": ("raw_skopt:RawSkopt", "scikit-optimize's Optimizer with its defaults", None),
    "raw-hyperopt": ("raw_hyperopt:RawHyperopt", "hyperopt's fmin with tpe.suggest", None),
    "raw-smac": ("raw_smac:RawSmac", "SMAC's facade for hyperparameter optimization", "smac"),
    "raw-smac-hyperband": ("raw_smac_hyperband:RawSmacHyperband", "SMAC's forest with its Hyperband", "smac"),
    "raw-syne-tune": ("raw_syne_tune:RawSyneTune", "Syne Tune's asynchronous BOHB", "syne-tune"),
    "raw-dehb": ("raw_dehb:RawDEHB", "DEHB: differential evolution in Hyperband's brackets", "dehb"),
    "raw-neps": ("raw_neps:RawNePS", "NePS: PriorBand around the default config", "neps"),
    "raw-neps-hyperband": ("raw_neps:RawNePSHyperband", "NePS: Hyperband, without a prior", "neps"),
    "raw-ax": ("raw_ax:RawAx", "Ax with its defaults", "ax"),
    "raw-nevergrad": ("raw_nevergrad:RawNevergrad", "Nevergrad's NGOpt", "nevergrad"),
    "one-epoch": ("one_epoch:OneEpoch", "random configs for one epoch each, then the best of them fully", None),
}
"""Name -> (module:class in this package, one-line description, the extra that it needs and name of its package)."""

PACKAGES = (
    "nevergrad", "cma", "bayesian-optimization", "smac", "syne-tune", "dehb", "neural-pipeline-search", "greenlet",
    "ax-platform", "botorch", "gpytorch",
)  # fmt: skip
"""The packages that affect an opponent's results or time and that ours do without; versions are kept in the rows."""


def installed() -> list[str]:
    """The opponents whose packages are installed."""
    return [name for name in OPPONENTS if _missing(name) is None]


def opponent_class(name: str) -> Callable[..., Strategy]:
    """The class registered under a name. Raises UserError if its package is missing, UnknownStrategy if unknown."""
    if name not in OPPONENTS:
        raise UnknownStrategy(f"unknown opponent {name!r}; choose one of: {', '.join(OPPONENTS)}")
    extra = _missing(name)
    if extra is not None:
        raise UserError(f"{name} needs the package {extra}: {install_command(extra)}")
    module, attribute = OPPONENTS[name][0].split(":")
    found: Callable[..., Strategy] = getattr(import_module(f"benchmarks.opponents.{module}"), attribute)
    return found


def make(
    spec: str,
    space: ConfigurationSpace,
    *,
    seed: int,
    n_trials: int | None = None,
    max_epochs: int = 1,
    n_workers: int = 1,
    resumable: bool = True,
    fidelity: Callable[[Config], Fidelity] | None = None,
    seconds: float | None = None,
) -> Strategy:
    """Build an opponent, a variant of one of our strategies, or one of our strategies.

    ``n_workers``: how many proposals an opponent may have pending. ``seconds``: the time budget of the search, which
    replaces ``n_trials``.
    """
    if seconds is not None:
        n_trials, seconds = None, seconds * n_workers  # of all trainings together
    if "~" in spec:
        from benchmarks.opponents.variants import VARIANTS

        variant = VARIANTS[spec][0]
        options = {"fidelity": fidelity, "seconds": seconds} if variant.plans_epochs else {}
        return variant(space, seed=seed, n_trials=n_trials, max_epochs=max_epochs, **options)
    if spec not in OPPONENTS:
        return make_strategy(
            spec, space, seed=seed, n_trials=n_trials, max_epochs=max_epochs, resumable=resumable, fidelity=fidelity,
            seconds=seconds,
        )  # fmt: skip
    return opponent_class(spec)(
        space, seed=seed, n_trials=n_trials, max_epochs=max_epochs, n_workers=n_workers, resumable=resumable
    )


def _missing(name: str) -> str | None:
    extra = OPPONENTS[name][2]
    return extra if extra is not None and find_spec(extra.replace("-", "_")) is None else None
