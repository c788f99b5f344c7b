"""The end of a search in which there is nothing more to gain: what was asked for, and whether it is reached.

A. Makarova et al., Automatic Termination for Hyperparameter Optimization (AutoML-Conf 2022).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from automl.errors import UserError

if TYPE_CHECKING:
    from strategies.base import RegretBound, Strategy

Within: TypeAlias = "float | Literal['noise']"
"""What may still be gained when the search ends: in units of the loss, or as much as trainings of one config differ."""


def as_within(asked: Any) -> Within | None:
    """What was asked for, on the command line or in Python. UserError where it is neither a loss nor ``noise``."""
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
    """UserError where the strategy has no model that could ever be sure."""
    if within is not None and not strategy.bounds_regret:
        raise UserError(f"sure-within needs a strategy with a model of the loss, such as bo; {name} has none")


def sure(bound: RegretBound | None, within: Within) -> str | None:
    """Why the search may end, or None while more than this may be gained."""
    if bound is None or bound.regret > (bound.noise if within == "noise" else within):
        return None
    limit = f"the noise of a training, {bound.noise:.2g}" if within == "noise" else f"{within:g}"
    return f"sure that no config is better than the best by more than {bound.regret:.2g}, within {limit}"
