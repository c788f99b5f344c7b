"""Boosting for numbers that are non-negative and have a long tail.

The trees predict the logarithm, but with a loss that the mean minimises, so predictions need no correction: H. Zhou et
al., Tweedie Gradient Boosting for Extremely Unbalanced Zero-inflated Data (2019).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from automl.data.targets import Number, Target
from automl.task import TrainingFailed

SPACE: dict[str, Any] = {"loss": {"choice": ["squared", "tweedie"], "default": "squared"}}
FAMILIES = ("lightgbm", "catboost")  # whose spaces it is added to
VARIANCE_POWER = 1.5
LEAST_SKEWNESS = 1.0


def is_long_tailed(y: NDArray[Any]) -> bool:
    """Whether numbers are non-negative and strongly right-skewed."""
    y = np.asarray(y, np.float64)
    spread = y.std()
    return bool(y.min() >= 0.0 and spread > 0.0 and (((y - y.mean()) / spread) ** 3).mean() > LEAST_SKEWNESS)


def unit_of(config: Mapping[str, Any], target: Target) -> float | None:
    """The unit of the labels for Tweedie's loss, which is their mean; None for another loss."""
    if config.get("loss") != "tweedie":
        return None
    assert isinstance(target, Number)
    return target.mean if target.mean > 0 else target.std


def labels(y: NDArray[Any], unit: float | None) -> NDArray[Any]:
    """The numbers in this unit; negative ones, which only new rows may have, count as 0."""
    return y if unit is None else np.maximum(y, 0.0) / unit


def check_labels(y: NDArray[Any], unit: float | None) -> None:
    """Raise TrainingFailed if Tweedie's loss cannot learn from the training labels."""
    if unit is not None and not y.any():
        raise TrainingFailed("Tweedie's loss needs a number above 0, and all are 0")


def least_loss(y: NDArray[Any], weights: NDArray[Any] | None) -> float:
    """The mean of Tweedie's loss, as CatBoost computes it, for perfect predictions."""
    power = VARIANCE_POWER
    factor = 1.0 / (power - 1.0) + 1.0 / (2.0 - power)
    return factor * float(np.average(np.asarray(y, np.float64) ** (2.0 - power), weights=weights))
