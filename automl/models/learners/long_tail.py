"""Boosting of numbers that are never negative and have a long tail.

The trees predict the logarithm, yet by a loss that the mean minimises, so that predictions need no correction: H. Zhou
et al., Tweedie Gradient Boosting for Extremely Unbalanced Zero-inflated Data (2019).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from automl.data.targets import Number, Target
from automl.task import TrainingFailed

SPACE: dict[str, Any] = {"loss": {"choice": ["squared", "tweedie"], "default": "squared"}}
VARIANCE_POWER = 1.5
LEAST_SKEWNESS = 1.0


def is_long_tailed(y: NDArray[Any]) -> bool:
    """Whether numbers are never negative and reach far above most of them."""
    y = np.asarray(y, np.float64)
    spread = y.std()
    return bool(y.min() >= 0.0 and spread > 0.0 and (((y - y.mean()) / spread) ** 3).mean() > LEAST_SKEWNESS)


def unit_of(config: Mapping[str, Any], target: Target) -> float | None:
    """That of the labels of Tweedie's loss, which is their mean; None for another loss."""
    if config.get("loss") != "tweedie":
        return None
    assert isinstance(target, Number)
    return target.mean if target.mean > 0 else target.std


def labels(y: NDArray[Any], unit: float | None) -> NDArray[Any]:
    """The numbers in their unit; new rows may have negative ones, which count as 0."""
    return y if unit is None else np.maximum(y, 0.0) / unit


def check_labels(y: NDArray[Any], unit: float | None) -> None:
    """TrainingFailed if nothing can be learnt from the labels of the training rows by Tweedie's loss."""
    if unit is not None and not y.any():
        raise TrainingFailed("Tweedie's loss needs a number above 0, and all are 0")


def least_loss(y: NDArray[Any], weights: NDArray[Any] | None) -> float:
    """The mean of Tweedie's loss, as CatBoost computes it, for perfect predictions."""
    power = VARIANCE_POWER
    factor = 1.0 / (power - 1.0) + 1.0 / (2.0 - power)
    return factor * float(np.average(np.asarray(y, np.float64) ** (2.0 - power), weights=weights))
