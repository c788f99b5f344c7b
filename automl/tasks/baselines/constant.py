"""Predictions without a model: what a model of the user's data must beat."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from automl.data.ingest.kinds import load_encoder
from automl.data.ingest.prepare import ENCODER_FOLDER, Facts, weights_of
from automl.data.ingest.series import SeriesEncoder
from automl.data.ingest.windows import LAST_VALUE
from automl.data.splits import Splits
from automl.data.targets import levels_of
from automl.metrics import METRICS, measure


def without_model(splits: Splits, data: Path, metric: str, *fitted: str) -> tuple[str, NDArray[Any]]:
    """The baseline's name, and its predictions for the test set: an earlier value of a series, otherwise a constant.

    ``data``: the folder of the prepared data. ``fitted``: the sets that the training set of ``splits`` is made of.
    """
    if Facts.read(data).kind == "series":
        return earlier_value_baseline(splits, data)
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

    For a metric of the second of two classes, such as f1, it is always that class; for mae, the median.

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
    y = np.asarray(splits.y_train, float)
    if metric == "mae":
        return "training median", np.full(n, np.quantile(y, 0.5, weights=weights, method="inverted_cdf"))
    return "training mean", np.full(n, np.average(y, weights=weights))


def earlier_value_baseline(splits: Splits, data: Path) -> tuple[str, NDArray[Any]]:
    """Its name, and for each test window the target's last value, or that of a season ago if it was better in training.

    For quantiles, those of the training set's errors are added to it.

    ``splits``: with windows or with rows. ``data``: the folder of the prepared data.
    """
    encoder, _ = load_encoder(data / ENCODER_FOLDER)
    assert isinstance(encoder, SeriesEncoder)
    layout, levels, y = encoder.layout, levels_of(splits.target), np.asarray(splits.y_train, float)
    known, x_test = (
        np.asarray(x.reshape(len(x), -1)[:, : len(layout.steps)], float) for x in (splits.x_train, splits.x_test)
    )
    place = layout.without_model(known, y)
    name, forecasts = layout.name_of(place), x_test[:, place]
    if levels is None:
        return name, forecasts
    of = "its changes" if name == LAST_VALUE else "its errors"
    return f"{name} plus quantiles of {of}", forecasts[:, None] + np.nanquantile(y - known[:, place], levels)
