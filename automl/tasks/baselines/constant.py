"""Constant baselines, which ignore the inputs: what a model of the user's data must beat."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from automl.data.splits import Splits
from automl.data.targets import levels_of


def majority_baseline(
    splits: Splits, n: int | None = None, weights: NDArray[Any] | None = None
) -> tuple[str, NDArray[Any]]:
    """Its name, and the training set's class frequencies (n, n_classes) or mean (n,) as predictions.

    ``n``: examples to predict; by default those of the test set. ``weights``: of the training set, (n_train,).
    """
    n = len(splits.y_test) if n is None else n
    if splits.n_classes:
        counts = np.bincount(splits.y_train, weights, minlength=splits.n_classes)
        return "majority class", np.tile(counts / counts.sum(), (n, 1))
    levels = levels_of(splits.target)
    if levels is not None:
        return "training quantiles", np.tile(np.quantile(splits.y_train, levels), (n, 1))
    return "training mean", np.full(n, np.average(np.asarray(splits.y_train, float), weights=weights))


def last_value_baseline(splits: Splits) -> tuple[str, NDArray[Any]]:
    """Its name, and the last value of the first channel (the target) of each test window (n, channels, steps)."""
    return "last value", np.asarray(splits.x_test[:, 0, -1], float)
