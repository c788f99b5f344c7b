"""Logistic and ridge regression on scaled numbers and one-hot categories."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from automl.data.inputs import Columns
from automl.data.targets import Classes, Target
from automl.models.learners.base import Learner, Rows
from automl.models.learners.skops_file import read_estimator, write_estimator

LEAST_ROWS = 5  # of a level; rarer ones share a column
MOST_QUANTILES = 1_000
MOST_STEPS = 300  # of the solver

SPACE: dict[str, Any] = {
    "c": {"float": [1e-4, 1e3], "log": True, "default": 1.0},
    "numbers": {"choice": ["quantile", "standard"], "default": "quantile"},  # made normal by rank, or only scaled
}


class Linear(Learner):
    """A linear model."""

    def __init__(self, config: Mapping[str, Any], inputs: Columns, target: Target, seed: int) -> None:
        super().__init__(config, inputs, target, seed)
        self._model: Any = None

    @classmethod
    def space(cls, *, classes: bool, with_levels: bool) -> dict[str, Any]:
        return SPACE

    def fit(self, train: Rows, valid: Rows | None = None, rounds: int = 0) -> None:
        from sklearn.exceptions import ConvergenceWarning
        from sklearn.linear_model import LogisticRegression, Ridge
        from sklearn.pipeline import make_pipeline

        c, y = self.config["c"], train.y
        if isinstance(self.target, Classes):
            model = LogisticRegression(C=c, max_iter=MOST_STEPS)
        else:
            model, y = Ridge(1.0 / c), self._scaled(y)
        self._model = make_pipeline(self._features(len(train.y)), model)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # a few steps more would not change the ranking
            self._model.fit(train.x, y, **{f"{type(model).__name__.lower()}__sample_weight": train.weights})

    def _scaled(self, y: NDArray[Any]) -> NDArray[Any]:
        standardised: NDArray[Any] = (np.asarray(y, np.float64) - self.target.mean) / self.target.std  # type: ignore[union-attr]
        return standardised

    def _features(self, n: int) -> Any:
        from sklearn.compose import make_column_transformer
        from sklearn.impute import SimpleImputer
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import OneHotEncoder, QuantileTransformer, StandardScaler

        by_rank = QuantileTransformer(
            n_quantiles=min(n, MOST_QUANTILES), output_distribution="normal", subsample=None, random_state=0
        )
        numbers = make_pipeline(
            *([by_rank] if self.config["numbers"] == "quantile" else []),
            SimpleImputer(keep_empty_features=True, add_indicator=True),
            StandardScaler(),
        )
        levels = OneHotEncoder(handle_unknown="infrequent_if_exist", min_frequency=LEAST_ROWS, dtype=np.float32)
        places = list(range(self.inputs.shape[0]))
        return make_column_transformer(
            (numbers, places[: self.inputs.n_numbers]), (levels, places[self.inputs.n_numbers :])
        )

    def predict(self, x: NDArray[Any]) -> NDArray[np.float64]:
        if not isinstance(self.target, Classes):
            found: NDArray[np.float64] = np.asarray(self._model.predict(x), np.float64).reshape(-1)
            return found * self.target.std + self.target.mean
        probabilities = np.zeros((len(x), self.target.n_outputs))
        probabilities[:, self._model.classes_.astype(int)] = self._model.predict_proba(x)
        return probabilities

    def save(self, folder: Path) -> None:
        write_estimator(self._model, folder)

    @classmethod
    def load(cls, folder: Path, config: Mapping[str, Any], inputs: Columns, target: Target) -> Self:
        found = cls(config, inputs, target, seed=0)
        found._model = read_estimator(folder)
        return found
