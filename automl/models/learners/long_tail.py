"""Models of numbers that are non-negative and have a long tail.

Trees of Tweedie's loss predict the logarithm, but the mean minimises this loss, so predictions need no correction: H.
Zhou et al., Tweedie Gradient Boosting for Extremely Unbalanced Zero-inflated Data (2019). A linear model is fitted to
the logarithm, see ``Logarithm``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from automl.data.targets import Number, Target
from automl.task import TrainingFailed

LOSS = ("squared", "tweedie")
TARGET: dict[str, Any] = {"target": {"choice": ["raw", "log"], "default": "raw"}}
VARIANCE_POWER = 1.5
MIN_SKEWNESS = 1.0
LOW = 0.1  # quantile of the positive numbers that is added to all, if some are 0


def is_long_tailed(y: NDArray[Any]) -> bool:
    """Whether numbers are non-negative and strongly right-skewed."""
    y = np.asarray(y, np.float64)
    spread = y.std()
    return bool(y.min() >= 0.0 and spread > 0.0 and (((y - y.mean()) / spread) ** 3).mean() > MIN_SKEWNESS)


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


class Logarithm(NamedTuple):
    """``log(y + shift)``, with an inverse that predicts the mean of y.

    ``factor``: the mean of ``exp`` of the residuals, since the exponential of a mean logarithm is below the mean (N.
    Duan, Smearing Estimate: A Nonparametric Retransformation Method, 1983). ``least``, ``most``: the range of the
    training logarithms; predictions are clipped to it, as the errors of an extrapolation grow exponentially.
    """

    shift: float
    least: float
    most: float
    factor: float = 1.0

    @classmethod
    def of(cls, y: NDArray[Any]) -> Self:
        """For these training labels. TrainingFailed if none is positive."""
        y = np.asarray(y, np.float64)
        positive = y[y > 0]
        if not len(positive):
            raise TrainingFailed("the logarithm of the target needs a number above 0, and all are 0")
        shift = 0.0 if len(positive) == len(y) else float(np.quantile(positive, LOW))
        return cls(shift, float(np.log(max(y.min(), 0.0) + shift)), float(np.log(y.max() + shift)))

    def __call__(self, y: NDArray[Any]) -> NDArray[np.float64]:
        """The logarithms; negative numbers, which only new rows may have, count as 0."""
        found: NDArray[np.float64] = np.log(np.maximum(np.asarray(y, np.float64), 0.0) + self.shift)
        return found

    def corrected(self, residuals: NDArray[Any], weights: NDArray[Any] | None) -> Self:
        """With the factor that belongs to these residuals of the training rows."""
        return self._replace(factor=float(np.average(np.exp(residuals), weights=weights)))

    def inverse(self, logarithms: NDArray[Any]) -> NDArray[np.float64]:
        """The means of y, not negative."""
        means = self.factor * np.exp(np.clip(logarithms, self.least, self.most)) - self.shift
        found: NDArray[np.float64] = np.maximum(means, 0.0)
        return found
