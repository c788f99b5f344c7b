"""Gradient boosting by CatBoost, with symmetric trees and its own statistics for categories.

L. Prokhorenkova et al., CatBoost: Unbiased Boosting with Categorical Features (NeurIPS 2018).
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from automl.data.inputs import Array, Columns
from automl.data.targets import Classes, Quantiles, Target
from automl.models.learners import long_tail, losses
from automl.models.learners.base import Learner, Rounds, Rows
from automl.models.learners.early_stopping import MAX_ROUNDS, EarlyStopping
from automl.task import TooSlow, TrainingFailed

FILE = "model.cbm"  # CatBoost's own format, of numbers and strings

# The space of TabRepo (D. Salinas and N. Erickson, 2024), but with symmetric trees. The default learning rate and
# one-hot columns for up to ten levels take a quarter of the time of 0.05 and 2, and were as good on development tables.
SPACE: dict[str, Any] = {
    "learning_rate": {"float": [0.005, 0.1], "log": True, "default": 0.1},
    "depth": {"int": [4, 8], "default": 6},
    "l2": {"float": [1.0, 5.0], "default": 3.0},
}
# With a learning rate of 0.1, many classes need thousands of slow rounds; with two, 0.2 was as good in half the time.
FOR_CLASSES: dict[str, Any] = {
    "learning_rate": {"float": [0.005, 0.4], "log": True, "default": 0.2},
}
CATEGORICAL: dict[str, Any] = {  # where the table has categories
    "combined": {"int": [1, 5], "default": 4},
    "one_hot": {"ordinal": [2, 3, 5, 10], "default": 10},
}
NAMES = {  # of the hyperparameters in CatBoost
    "learning_rate": "learning_rate",
    "depth": "depth",
    "l2": "l2_leaf_reg",
    "combined": "max_ctr_complexity",
    "one_hot": "one_hot_max_size",
}


class CatBoost(Learner):
    """Boosted trees with early stopping on log loss, squared error, Tweedie loss, or pinball loss over all quantiles.

    config: SPACE, plus CATEGORICAL if the table has categories and ``losses.space``.
    """

    takes_quantiles = True
    share_of_seconds = 0.3

    def __init__(self, config: Mapping[str, Any], inputs: Columns, target: Target, seed: int) -> None:
        super().__init__(config, inputs, target, seed)
        self.model: Any = None

    @property
    def unit(self) -> float | None:
        """The unit of the labels for Tweedie's loss; None for another loss."""
        return long_tail.unit_of(self.config, self.target)

    @classmethod
    def space(cls, *, classes: bool, with_levels: bool) -> dict[str, Any]:
        return SPACE | (FOR_CLASSES if classes else {}) | (CATEGORICAL if with_levels else {})

    def fit(self, train: Rows, valid: Rows | None = None, rounds: Rounds = ()) -> None:
        import catboost

        train = train._replace(y=long_tail.labels(train.y, self.unit))
        long_tail.check_labels(train.y, self.unit)
        parameters = self._parameters() | {"iterations": MAX_ROUNDS if valid is not None else max(1, *rounds)}
        self.model = catboost.CatBoost(parameters)
        if valid is None:
            self._fit(self._pool(*train))
        else:
            valid = valid._replace(y=long_tail.labels(valid.y, self.unit))
            floor = 0.0 if self.unit is None else long_tail.least_loss(valid.y, valid.weights)
            pools = self._pool(*train), self._pool(*valid)
            classes = isinstance(self.target, Classes)
            stopping = EarlyStopping(len(train.y), self.max_seconds, self.aborts_if_late, classes=classes)
            stopped = _Stopped(stopping, floor)
            self._fit(pools[0], eval_set=pools[1], use_best_model=True, callbacks=[stopped])
            if stopped.too_slow is not None:
                raise stopped.too_slow
        self.rounds = (self.model.tree_count_,)

    def _fit(self, pool: Any, **options: Any) -> None:
        from catboost import CatBoostError

        try:
            self.model.fit(pool, **options)
        except CatBoostError as error:
            if "constant" not in str(error):
                raise
            raise TrainingFailed("every column has a single value in the training rows") from None

    def predict(self, x: NDArray[Any]) -> NDArray[np.float64]:
        kind = "Probability" if isinstance(self.target, Classes) else "RawFormulaVal"
        found = np.asarray(self.model.predict(self._pool(x), prediction_type=kind, thread_count=1))
        if isinstance(self.target, Quantiles):
            return np.sort(found.reshape(len(found), -1), axis=1)  # for one level, CatBoost returns (n,)
        return found.astype(np.float64) if self.unit is None else np.exp(found) * self.unit

    def save(self, folder: Path) -> None:
        self.model.save_model(str(folder / FILE), format="cbm")

    @classmethod
    def load(cls, folder: Path, config: Mapping[str, Any], inputs: Columns, target: Target) -> Self:
        import catboost

        found = cls(config, inputs, target, seed=0)
        found.model = catboost.CatBoost()
        found.model.load_model(str(folder / FILE), format="cbm")
        found.rounds = (found.model.tree_count_,)
        return found

    def as_json(self) -> dict[str, Any]:
        """The trees of a model without categories, as CatBoost describes them."""
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "model.json"
            self.model.save_model(str(file), format="json")
            content: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
            return content

    def _pool(self, rows: Array, y: Any = None, weights: Any = None) -> Any:
        """The rows in CatBoost's form; a category is the name of its code, a missing one too."""
        import catboost

        x: Array = np.ascontiguousarray(rows, np.float32)
        n = self.inputs.n_numbers
        if n == x.shape[1]:
            return catboost.Pool(x, y, weight=weights)
        names = x[:, n:].astype(np.int64).astype("S").astype(object)
        numbers = np.ascontiguousarray(x[:, :n]) if n else None
        return catboost.Pool(catboost.FeaturesData(numbers, names), y, weight=weights)

    def _parameters(self) -> dict[str, Any]:
        target = self.target
        kind: dict[str, Any] = {"loss_function": "RMSE"}
        if self.unit is not None:
            kind = {"loss_function": f"Tweedie:variance_power={long_tail.VARIANCE_POWER:g}"}
        elif self.config.get("loss") == losses.ABSOLUTE:
            kind = {"loss_function": "MAE"}
        elif isinstance(target, Quantiles):
            name = "MultiQuantile" if len(target.levels) > 1 else "Quantile"
            alpha = ",".join(f"{level:g}" for level in target.levels)
            # Labels this near a quantile count as equal to it; by default 1e-6, in the units of the labels.
            kind = {"loss_function": f"{name}:alpha={alpha};delta={1e-6 * min(1.0, target.std):g}"}
        elif isinstance(target, Classes) and target.n_outputs == 2:
            kind = {"loss_function": "Logloss"}
        elif isinstance(target, Classes):
            kind = {"loss_function": "MultiClass", "classes_count": target.n_outputs}
        own = {NAMES[name]: value for name, value in self.config.items() if name in NAMES}
        return kind | own | {
            "boosting_type": "Plain", "random_seed": self.seed % 2**31, "thread_count": 1, "logging_level": "Silent",
            "allow_writing_files": False, "allow_const_label": True,
        }  # fmt: skip


class _Stopped:
    """A callback that ends a fit, by its loss or its time."""

    def __init__(self, stopping: EarlyStopping, floor: float) -> None:
        """``floor``: the least loss that is possible, so that losses above it compare."""
        self._stopping, self._floor = stopping, floor
        self.too_slow: TooSlow | None = None  # raised after the fit, as CatBoost wraps errors in its own

    def after_iteration(self, info: Any) -> bool:
        (losses,) = info.metrics["validation"].values()
        try:
            return not self._stopping.ends(info.iteration - 1, losses[-1] - self._floor)
        except TooSlow as error:
            self.too_slow = error
            return False
