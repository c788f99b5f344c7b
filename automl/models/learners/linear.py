"""Logistic, ridge and quantile regression on scaled numbers and one-hot categories."""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from automl.data.inputs import Columns
from automl.data.targets import Classes, Quantiles, Target
from automl.models.lags import Lags
from automl.models.learners.base import Learner, Rounds, Rows
from automl.models.learners.long_tail import Logarithm
from automl.models.sklearn_settings import usual_settings
from automl.models.skops_format import FILE, estimator_bytes, estimator_from

LOGARITHM = "logarithm.json"  # of the target, if the model learnt that
MIN_ROWS_PER_LEVEL = 5  # rarer levels share a column
MAX_QUANTILES = 1_000
MAX_ITERATIONS = 300  # of the solver
MAX_QUANTILE_ROWS = 2_000  # random sample, since quantile regression is slow on many rows

SPACE: dict[str, Any] = {
    "c": {"float": [1e-4, 1e3], "log": True, "default": 1.0},
    "numbers": {"choice": ["quantile", "standard"], "default": "quantile"},  # rank-normalised, or only scaled
}


class Linear(Learner):
    """A linear model, or one per quantile.

    config: SPACE, plus ``long_tail.TARGET`` if the target is long-tailed, and ``lags.LAGS`` for a series.
    """

    takes_quantiles = True

    def __init__(self, config: Mapping[str, Any], inputs: Columns, target: Target, seed: int) -> None:
        super().__init__(config, inputs, target, seed)
        self._models: list[Any] = []
        self._logarithm: Logarithm | None = None
        self._lags = Lags(config, inputs, keeps_levels=False)

    @classmethod
    def space(cls, *, classes: bool, with_levels: bool) -> dict[str, Any]:
        return SPACE

    @usual_settings()
    def fit(self, train: Rows, valid: Rows | None = None, rounds: Rounds = ()) -> None:
        from sklearn.exceptions import ConvergenceWarning
        from sklearn.pipeline import make_pipeline

        train = self._lags.of(train)
        train = train._replace(x=self._exact(train.x))
        if isinstance(self.target, Quantiles) and len(train.y) > MAX_QUANTILE_ROWS:
            places = np.random.default_rng(self.seed).permutation(len(train.y))[:MAX_QUANTILE_ROWS]
            train = Rows(*(None if part is None else part[places] for part in train))  # type: ignore[arg-type]
        self._logarithm = Logarithm.of(train.y) if self.config.get("target") == "log" else None
        y = self._labels(train.y)
        features = self._features(len(train.y))
        self._models = []
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # a few steps more would not change the ranking
            for model in self._unfitted(len(train.y)):
                weights = {f"{type(model).__name__.lower()}__sample_weight": train.weights}
                self._models.append(make_pipeline(features, model).fit(train.x, y, **weights))
        if self._logarithm is not None:
            (ridge,) = self._models
            self._logarithm = self._logarithm.corrected(y - ridge.predict(train.x), train.weights)

    def _exact(self, x: NDArray[Any]) -> NDArray[Any]:
        """In float64 if the columns are the steps of a series, which are too collinear for a fit in float32."""
        return x if self.inputs.steps is None else x.astype(np.float64)

    def _unfitted(self, n: int) -> list[Any]:
        from sklearn.linear_model import LogisticRegression, QuantileRegressor, Ridge

        c = self.config["c"]
        if isinstance(self.target, Classes):
            return [LogisticRegression(C=c, max_iter=MAX_ITERATIONS)]
        if isinstance(self.target, Quantiles):
            return [QuantileRegressor(quantile=level, alpha=1.0 / (c * n)) for level in self.target.levels]
        return [Ridge(1.0 / c)]

    def _labels(self, y: NDArray[Any]) -> NDArray[Any]:
        """What the models learn: classes, logarithms or standardised numbers."""
        if isinstance(self.target, Classes):
            return y
        if self._logarithm is not None:
            return self._logarithm(y)
        standardised: NDArray[Any] = (np.asarray(y, np.float64) - self._mean) / self.target.std
        return standardised

    @property
    def _mean(self) -> float:
        """Of the labels; about 0 if they are changes."""
        assert not isinstance(self.target, Classes)
        return 0.0 if self._lags.is_relative else self.target.mean

    def _features(self, n: int) -> Any:
        from sklearn.compose import make_column_transformer
        from sklearn.impute import SimpleImputer
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import OneHotEncoder, QuantileTransformer, StandardScaler

        by_rank = QuantileTransformer(
            n_quantiles=min(n, MAX_QUANTILES), output_distribution="normal", subsample=None, random_state=0
        )
        numbers = make_pipeline(
            *([by_rank] if self.config["numbers"] == "quantile" else []),
            SimpleImputer(keep_empty_features=True, add_indicator=True),
            StandardScaler(),
        )
        levels = OneHotEncoder(handle_unknown="infrequent_if_exist", min_frequency=MIN_ROWS_PER_LEVEL, dtype=np.float32)
        places = list(range(self.inputs.shape[0]))
        return make_column_transformer(
            (numbers, places[: self.inputs.n_numbers]), (levels, places[self.inputs.n_numbers :])
        )

    @usual_settings()
    def predict(self, x: NDArray[Any]) -> NDArray[np.float64]:
        if isinstance(self.target, Classes):
            (model,) = self._models
            probabilities = np.zeros((len(x), self.target.n_outputs))
            probabilities[:, model.classes_.astype(int)] = model.predict_proba(x)
            return probabilities
        rows = self._exact(self._lags.columns(x))
        found = [np.asarray(model.predict(rows), np.float64).reshape(-1) for model in self._models]
        if self._logarithm is not None:
            return self._logarithm.inverse(found[0])
        numbers = np.sort(np.column_stack(found), axis=1) if isinstance(self.target, Quantiles) else found[0]
        return self._lags.forecasts(numbers * self.target.std + self._mean, x)

    def save(self, folder: Path) -> None:
        for place, model in enumerate(self._models):
            _place(folder, place).mkdir(exist_ok=True)
            (_place(folder, place) / FILE).write_bytes(estimator_bytes(model))
        if self._logarithm is not None:
            (folder / LOGARITHM).write_text(json.dumps(self._logarithm._asdict()))

    @classmethod
    def load(cls, folder: Path, config: Mapping[str, Any], inputs: Columns, target: Target) -> Self:
        found = cls(config, inputs, target, seed=0)
        n_models = target.n_outputs if isinstance(target, Quantiles) else 1
        found._models = [estimator_from((_place(folder, place) / FILE).read_bytes()) for place in range(n_models)]
        if found.config.get("target") == "log":
            found._logarithm = Logarithm(**json.loads((folder / LOGARITHM).read_text()))
        return found


def _place(folder: Path, place: int) -> Path:
    """The folder of a model; the first lies in the learner's own."""
    return folder / f"quantile-{place}" if place else folder
