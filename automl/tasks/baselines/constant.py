"""Constant baselines, which ignore the inputs: what a model of the user's data must beat."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from automl.data.splits import Splits
from automl.data.targets import levels_of


def majority_baseline(splits: Splits) -> tuple[str, NDArray[Any]]:
    """Its name, and the training set's class frequencies (n, n_classes) or mean (n,) as test predictions."""
    n = len(splits.y_test)
    if splits.n_classes:
        shares = np.bincount(splits.y_train, minlength=splits.n_classes) / len(splits.y_train)
        return "majority class", np.tile(shares, (n, 1))
    levels = levels_of(splits.target)
    if levels is not None:
        return "training quantiles", np.tile(np.quantile(splits.y_train, levels), (n, 1))
    return "training mean", np.full(n, np.mean(splits.y_train, dtype=float))


def last_value_baseline(splits: Splits) -> tuple[str, NDArray[Any]]:
    """Its name, and the last value of the first channel (the target) of each test window (n, channels, steps)."""
    return "last value", np.asarray(splits.x_test[:, 0, -1], float)
