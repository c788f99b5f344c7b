"""Termination of a search by a bound on its simple regret.

A. Makarova et al., Automatic Termination for Hyperparameter Optimization (AutoML-Conf 2022).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from automl.errors import UserError

if TYPE_CHECKING:
    from strategies.base import RegretBound, Strategy

Within: TypeAlias = "float | Literal['noise']"
"""The regret bound at which a search ends: in units of the loss, or the noise of repeated trainings of a config."""


def as_within(asked: Any) -> Within | None:
    """The option's value, from the command line or Python. UserError if it is neither a loss nor ``noise``."""
    if asked is None:
        return None
    if asked == "noise":
        return "noise"
    try:
        loss = float(asked)
    except (TypeError, ValueError):
        loss = math.nan
    if not 0 < loss < math.inf:
        raise UserError(f"sure-within must be a loss above 0, or the word noise, got {asked!r}")
    return loss


def check_is_possible(within: Within | None, strategy: Strategy, name: str) -> None:
    """UserError if the strategy has no model that bounds the regret."""
    if within is not None and not strategy.bounds_regret:
        raise UserError(f"sure-within needs a strategy with a model of the loss, such as bo; {name} has none")


def sure(bound: RegretBound | None, within: Within) -> str | None:
    """The reason to end the search, or None while the regret bound is larger than ``within``."""
    if bound is None or bound.regret > (bound.noise if within == "noise" else within):
        return None
    limit = f"the noise of a training, {bound.noise:.2g}" if within == "noise" else f"{within:g}"
    return f"sure that no config is better than the best by more than {bound.regret:.2g}, within {limit}"
