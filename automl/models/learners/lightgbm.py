"""Gradient boosting by LightGBM.

G. Ke et al., LightGBM: A Highly Efficient Gradient Boosting Decision Tree (NeurIPS 2017).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from automl.data.inputs import Array, Columns
from automl.data.targets import Classes, Number, Quantiles, Target
from automl.models.lags import Lags
from automl.models.learners import long_tail, losses
from automl.models.learners.base import Learner, Rounds, Rows
from automl.models.learners.early_stopping import MAX_ROUNDS, EarlyStopping
from automl.models.learners.levels import ManyLevels

# The hyperparameters and ranges of TabArena (N. Erickson et al., TabArena: A Living Benchmark for Machine Learning on
# Tabular Data, 2025), with LightGBM's defaults except for AutoGluon's learning rate.
SPACE: dict[str, Any] = {
    "learning_rate": {"float": [0.005, 0.2], "log": True, "default": 0.05},
    "leaves": {"int": [2, 200], "log": True, "default": 31},
    "min_rows": {"int": [1, 64], "log": True, "default": 20},
    "columns": {"float": [0.4, 1.0], "default": 1.0},
    "rows": {"float": [0.7, 1.0], "default": 1.0},
    "l1": {"float": [1e-4, 1.0], "log": True, "default": 1e-4},
    "l2": {"float": [1e-4, 2.0], "log": True, "default": 1e-4},
    "extra_trees": {"choice": [False, True], "default": False},
}
ENOUGH_ROWS = 1_000  # with fewer, rows per level and smoothing shrink in proportion, or no split would use categories
CATEGORICAL: dict[str, Any] = {  # where the table has categories
    "min_rows_per_level": {"int": [2, 100], "log": True, "default": 100},
    "level_smoothing": {"float": [1e-3, 100.0], "log": True, "default": 10.0},
    "level_l2": {"float": [5e-3, 10.0], "log": True, "default": 10.0},
}
NAMES = {  # of the hyperparameters in LightGBM
    "learning_rate": "learning_rate",
    "leaves": "num_leaves",
    "min_rows": "min_data_in_leaf",
    "columns": "feature_fraction",
    "rows": "bagging_fraction",
    "l1": "lambda_l1",
    "l2": "lambda_l2",
    "extra_trees": "extra_trees",
    "min_rows_per_level": "min_data_per_group",
    "level_smoothing": "cat_smooth",
    "level_l2": "cat_l2",
}


class LightGBM(Learner):
    """Boosted trees with early stopping on log loss, squared error, or pinball loss (one model per quantile).

    config: SPACE, plus CATEGORICAL if the table has categories, ``losses.space``, and
    ``lags.LAGS`` for a series.
    """

    takes_quantiles = True
    share_of_seconds = 0.3

    def __init__(self, config: Mapping[str, Any], inputs: Columns, target: Target, seed: int) -> None:
        super().__init__(config, inputs, target, seed)
        self.levels = ManyLevels.of(inputs)
        self.lags = Lags(config, inputs, keeps_levels=True)
        self.boosters: list[Any] = []  # one, or one per quantile

    @property
    def unit(self) -> float | None:
        """The unit of the labels for Tweedie's loss; None for another loss."""
        return long_tail.unit_of(self.config, self.target)

    @property
    def dumps(self) -> list[dict[str, Any]]:
        """The trees of each model, as LightGBM describes them."""
        both = zip(self.boosters, self.rounds, strict=True)
        return [booster.dump_model(num_iteration=n) for booster, n in both]

    @classmethod
    def space(cls, *, classes: bool, with_levels: bool) -> dict[str, Any]:
        return SPACE | (CATEGORICAL if with_levels else {})

    def fit(self, train: Rows, valid: Rows | None = None, rounds: Rounds = ()) -> None:
        import lightgbm

        train, valid = self.lags.of(train), None if valid is None else self.lags.of(valid)
        x = self._columns(self.levels.fit_transform(train, self.inputs, self.target, self.seed))
        quiet = {"verbosity": -1, "num_threads": 1}
        y = long_tail.labels(train.y, self.unit)
        long_tail.check_labels(y, self.unit)
        data = lightgbm.Dataset(x, y, weight=train.weights, params=quiet, categorical_feature=self._categorical())
        scored = []
        if valid is not None:
            others = self._columns(self.levels.transform(valid.x))
            scored = [data.create_valid(others, long_tail.labels(valid.y, self.unit), weight=valid.weights)]
        self.boosters, found = [], []
        each = self._parameters(train.y)
        share = None if self.max_seconds is None else self.max_seconds / len(each)
        for place, parameters in enumerate(each):
            stopping = EarlyStopping(len(train.y), share, self.aborts_if_late, classes=isinstance(self.target, Classes))
            callbacks = [] if valid is None else [_stopped(stopping)]
            n_rounds = rounds[place] if valid is None else MAX_ROUNDS
            booster = lightgbm.train(parameters, data, n_rounds, scored, callbacks=callbacks)
            best = booster.best_iteration if valid is not None else n_rounds
            self.boosters.append(booster)
            found.append(best if best > 0 else booster.current_iteration())  # all rounds were trained
        self.rounds = tuple(found)

    def predict(self, x: NDArray[Any]) -> NDArray[np.float64]:
        rows = self._columns(self.levels.transform(self.lags.columns(x)))
        each = [
            np.asarray(booster.predict(rows, num_iteration=n, num_threads=1), np.float64)
            for booster, n in zip(self.boosters, self.rounds, strict=True)
        ]
        if isinstance(self.target, Quantiles):
            return self.lags.forecasts(np.sort(np.column_stack(each), axis=1), x)
        (predicted,) = each
        if self.unit is not None:
            return predicted * self.unit
        if isinstance(self.target, Classes) and self.target.n_outputs == 2:
            return np.column_stack([1.0 - predicted, predicted])
        return self.lags.forecasts(predicted, x)

    def save(self, folder: Path) -> None:
        for place, (booster, n) in enumerate(zip(self.boosters, self.rounds, strict=True)):
            booster.save_model(folder / _file(place), num_iteration=n)
        self.levels.save(folder)

    @classmethod
    def load(cls, folder: Path, config: Mapping[str, Any], inputs: Columns, target: Target) -> Self:
        import lightgbm

        found = cls(config, inputs, target, seed=0)
        found.levels = ManyLevels.load(folder)
        n_models = target.n_outputs if isinstance(target, Quantiles) else 1
        found.boosters = [lightgbm.Booster(model_file=folder / _file(place)) for place in range(n_models)]
        found.rounds = tuple(booster.current_iteration() for booster in found.boosters)
        return found

    def _columns(self, x: Array) -> Array:
        """The rows with NaN for missing categories."""
        places = self._categorical()
        if not places:
            return x
        x = x.copy()
        codes = x[:, places[0] : places[-1] + 1]
        codes[codes == 0] = np.nan
        return x

    def _categorical(self) -> list[int]:
        """The columns with codes, which are adjacent."""
        n_native = len(self.inputs.cardinalities) - len(self.levels.columns)
        return list(range(self.inputs.n_numbers, self.inputs.n_numbers + n_native))

    def n_codes(self, inputs: Columns, column: int) -> int:
        """The number of codes of a column that the trees see as categories."""
        native = [
            n for place, n in enumerate(inputs.cardinalities, inputs.n_numbers) if place not in self.levels.columns
        ]
        return native[column - inputs.n_numbers]

    def _parameters(self, y: NDArray[Any]) -> list[dict[str, Any]]:
        """Those of each model. ``y``: the training labels."""
        target = self.target
        kinds: list[dict[str, Any]] = [{"objective": "regression", "metric": "rmse"}]
        if self.unit is not None:
            power = long_tail.VARIANCE_POWER
            kinds = [{"objective": "tweedie", "tweedie_variance_power": power, "metric": "rmse"}]
        elif self.config.get("loss") == losses.ABSOLUTE:
            kinds = [{"objective": "regression_l1", "metric": "l1"}]
        elif isinstance(target, Quantiles):
            kinds = [{"objective": "quantile", "metric": "quantile", "alpha": level} for level in target.levels]
        elif isinstance(target, Classes) and target.n_outputs == 2:
            kinds = [{"objective": "binary", "metric": "binary_logloss"}]
        elif isinstance(target, Classes):
            kinds = [{"objective": "multiclass", "metric": "multi_logloss", "num_class": target.n_outputs}]
        own = {NAMES[name]: value for name, value in self.config.items() if name in NAMES}
        if isinstance(target, Number) and kinds[0]["objective"] == "regression":
            own["lambda_l1"] *= float(y.std()) if self.lags.is_relative else target.std  # it is in units of the labels
        few = min(1.0, len(y) / ENOUGH_ROWS)
        if "cat_smooth" in own:
            own["cat_smooth"] *= few
            own["min_data_per_group"] = max(2, round(few * own["min_data_per_group"]))
        every = own | {
            "bagging_freq": int(self.config["rows"] < 1.0), "seed": self.seed % 2**31, "deterministic": True,
            "force_row_wise": True, "num_threads": 1, "verbosity": -1,
        }  # fmt: skip
        return [kind | every for kind in kinds]


def _file(place: int) -> str:
    return f"model-{place}.txt" if place else "model.txt"


def _stopped(stopping: EarlyStopping) -> Callable[[Any], None]:
    """A callback that ends a fit, by its loss or its time, and keeps its best round."""

    def stop(state: Any) -> None:
        from lightgbm.callback import EarlyStopException

        ((_, _, loss, _),) = state.evaluation_result_list
        if stopping.ends(state.iteration, loss) or state.iteration == state.end_iteration - 1:
            raise EarlyStopException(stopping.best_round, state.evaluation_result_list)

    return stop
