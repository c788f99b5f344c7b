"""Forecast of the next day's log range: the HAR model (Corsi 2009), a regression on three averages."""

import numpy as np
from numpy.typing import NDArray
from pandas import DataFrame, concat
from sklearn.linear_model import LinearRegression

from automl.data.datasets.sp500 import log_range
from automl.data.examples import Parts
from automl.metrics import measure

HORIZONS = (1, 5, 22)  # a day, a week, a month of trading days


def har(parts: Parts[DataFrame]) -> dict[str, float]:
    """R2 of the next day's log range; the first days of a set use days of the set before it."""
    ranges = log_range(concat([parts.train, parts.valid, parts.test]))
    first_test = len(parts.train) + len(parts.valid)
    model = LinearRegression().fit(*averages(ranges[: len(parts.train)]))
    x, y = averages(ranges[first_test - max(HORIZONS) :])
    return {"r2": measure("r2", y, model.predict(x))}


def averages(ranges: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """For each day with enough days before it: the means over the last HORIZONS days, and its own range."""
    days = np.arange(max(HORIZONS), len(ranges))
    sums = np.concatenate([[0.0], ranges.cumsum()])
    x = np.stack([(sums[days] - sums[days - horizon]) / horizon for horizon in HORIZONS], 1)
    return x, ranges[days]
