"""The window of a series as changes: every value relative to the newest one of its channel.

The target too becomes a change, which is added to its newest value for a forecast. Trees predict no number beyond those
of the training rows, so that they could not follow a trend otherwise; a linear model need not learn the level (NLinear
in A. Zeng et al., Are Transformers Effective for Time Series Forecasting?, AAAI 2023).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from automl.data.inputs import Array, Columns, Inputs
from automl.models.learners.base import Rows

LAGS: dict[str, Any] = {"lags": {"choice": ["relative", "raw"], "default": "relative"}}
SPACES = dict.fromkeys(("linear", "lightgbm", "extra_trees", "random_forest"), LAGS)  # added to those of these


class Lags:
    """What a model reads of the windows of a series, (n, channels * steps), whose first channel is the target.

    Categories may follow them. Without ``lags`` in the config, or if they are raw, nothing is changed.
    """

    def __init__(self, config: Mapping[str, Any], inputs: Inputs, *, keeps_levels: bool) -> None:
        """``keeps_levels``: whether the newest value of each channel remains as it is; relative to itself, it is 0."""
        self.is_relative = config.get("lags") == "relative"
        if not self.is_relative:
            return
        steps, n_values = inputs.shape[-1], math.prod(inputs.shape)
        if isinstance(inputs, Columns):
            assert inputs.steps is not None
            steps, n_values = inputs.steps, inputs.n_numbers
        self.steps, self.n_values, self.keeps_levels = steps, n_values, keeps_levels

    def of(self, rows: Rows) -> Rows:
        """The rows and labels to learn from."""
        return rows._replace(x=self.columns(rows.x), y=rows.y - self.levels(rows.x)) if self.is_relative else rows

    def columns(self, x: Array) -> Array:
        """The columns to predict from."""
        if not self.is_relative:
            return x
        windows = x[:, : self.n_values].reshape(len(x), -1, self.steps)
        changes = windows - windows[:, :, -1:]
        if self.keeps_levels:
            changes[:, :, -1] = windows[:, :, -1]
        found: Array = np.concatenate([changes.reshape(len(x), self.n_values), x[:, self.n_values :]], 1)
        return found

    def forecasts(self, predicted: NDArray[np.float64], x: Array) -> NDArray[np.float64]:
        """The inverse of the labels' change: the numbers (n,), or quantiles (n, n_levels). ``x``: the raw columns."""
        if not self.is_relative:
            return predicted
        levels = self.levels(x)
        return predicted + (levels if predicted.ndim == 1 else levels[:, None])

    def levels(self, x: Array) -> NDArray[np.float64]:
        """The newest value of the target, (n,), without its offset, as the labels."""
        return np.asarray(x[:, self.steps - 1], np.float64)
