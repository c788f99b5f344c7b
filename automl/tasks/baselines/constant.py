"""Predictions without a model: what a model of the user's data must beat."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from automl.data.ingest.prepare import Facts, weights_of
from automl.data.splits import Splits
from automl.data.targets import levels_of
from automl.metrics import METRICS, measure

LAST_VALUE = "last value"  # the only baseline that is not fitted


def without_model(splits: Splits, data: Path, metric: str, *fitted: str) -> tuple[str, NDArray[Any]]:
    """The baseline's name, and its predictions for the test set: the last value of a series, otherwise a constant.

    ``data``: the folder of the prepared data. ``fitted``: the sets that the training set of ``splits`` is made of.
    """
    if Facts.read(data).kind == "series":
        return last_value_baseline(splits)
    return constant_baseline(splits, metric, weights=weights_of(data, *fitted))


def score_without_model(splits: Splits, data: Path, metric: str, *fitted: str) -> dict[str, Any]:
    """The name of the baseline and its score on the test set; for the arguments see ``without_model``."""
    name, predicted = without_model(splits, data, metric, *fitted)
    weights, levels = weights_of(data, "test"), levels_of(splits.target)
    score = measure(metric, splits.y_test, predicted, weights=weights, levels=levels)
    return {"name": name, "score": score, "split": "test"}


def constant_baseline(
    splits: Splits, metric: str, n: int | None = None, weights: NDArray[Any] | None = None
) -> tuple[str, NDArray[Any]]:
    """Its name, and the training set's class frequencies (n, n_classes), mean (n,) or quantiles (n, n_levels).

    For a metric of the second of two classes, such as f1, it is always that class.

    ``n``: examples to predict; by default those of the test set. ``weights``: of the training set, (n_train,).
    """
    n = len(splits.y_test) if n is None else n
    if splits.n_classes == 2 and METRICS[metric].of_second:
        return f"always {splits.classes[1]!r}", np.tile([0.0, 1.0], (n, 1))
    if splits.n_classes:
        counts = np.bincount(splits.y_train, weights, minlength=splits.n_classes)
        return "majority class", np.tile(counts / counts.sum(), (n, 1))
    levels = levels_of(splits.target)
    if levels is not None:
        quantiles = np.quantile(splits.y_train, levels, weights=weights, method="inverted_cdf")
        return "training quantiles", np.tile(quantiles, (n, 1))
    return "training mean", np.full(n, np.average(np.asarray(splits.y_train, float), weights=weights))


def last_value_baseline(splits: Splits) -> tuple[str, NDArray[Any]]:
    """Its name, and the last value of the first channel (the target) of each test window (n, channels, steps).

    For quantiles, those of the training set's changes are added to it.
    """
    last, levels = np.asarray(splits.x_test[:, 0, -1], float), levels_of(splits.target)
    if levels is None:
        return LAST_VALUE, last
    changes = np.asarray(splits.y_train, float) - np.asarray(splits.x_train[:, 0, -1], float)
    return f"{LAST_VALUE} plus quantiles of its changes", last[:, None] + np.nanquantile(changes, levels)
