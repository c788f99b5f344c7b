"""``AutoMLRegressor``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import RegressorMixin
from sklearn.utils.validation import assert_all_finite, check_consistent_length, check_is_fitted, column_or_1d

from automl.estimators.base import AutoMLEstimator


class AutoMLRegressor(RegressorMixin, AutoMLEstimator):  # type: ignore[misc]
    """An ensemble of regressors; parameters and attributes are those of ``AutoMLClassifier``, without classes.

    ``metric``: rmse, mae or r2. ``quantiles``: levels such as (0.1, 0.5, 0.9), which replace the mean.
    """

    _kind = "regression"

    def __init__(
        self,
        *,
        time_limit: float = 300.0,
        metric: str | None = None,
        models: str = "auto",
        quantiles: Sequence[float] | None = None,
        max_members: int | None = None,
        max_latency: float | None = None,
        n_trials: int | None = None,
        n_jobs: int | None = None,
        random_state: int = 0,
        folder: str | Path | None = None,
        progress: bool = False,
    ) -> None:
        super().__init__(
            time_limit=time_limit, metric=metric, models=models, max_members=max_members, max_latency=max_latency,
            n_trials=n_trials, n_jobs=n_jobs, random_state=random_state, folder=folder, progress=progress,
        )  # fmt: skip
        self.quantiles = quantiles

    def predict(self, X: Any) -> NDArray[np.float64]:
        """The predicted numbers, (n,), or quantiles, (n, n_levels) in ascending order."""
        check_is_fitted(self)
        frame = self._frame(X, reset=False)
        return np.asarray(self.predictor_.predict(frame), np.float64)

    def _labels(self, y: Any, n: int) -> NDArray[Any]:
        y = column_or_1d(y, warn=True)
        check_consistent_length(np.empty(n), y)
        assert_all_finite(y, input_name="y")
        return np.asarray(y, np.float64)
