"""Forests of independent trees, by scikit-learn: their out-of-bag predictions make folds unnecessary.

L. Breiman, Random Forests (Machine Learning 2001); P. Geurts et al., Extremely Randomized Trees (Machine Learning
2006).
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from automl.data.inputs import Columns
from automl.data.targets import Classes, Target
from automl.models.lags import Lags
from automl.models.learners.base import Learner, Rounds, Rows
from automl.models.learners.levels import ManyLevels
from automl.models.skops_format import FILE, estimator_bytes, estimator_from

N_TREES = 300
MIN_TREES = 30  # with which a fit begins that has a time limit
MANY_ROWS = 20_000  # a tree gets a sample of this size at most

SPACE: dict[str, Any] = {
    "features": {"float": [0.05, 1.0], "log": True, "default": 0.4},
    "min_rows": {"int": [1, 30], "log": True, "default": 1},
}


class Forest(Learner):
    """Trees on bootstrap samples: as many as fit into the time limit, at most N_TREES.

    config: SPACE, plus ``lags.LAGS`` for a series.
    """

    has_out_of_bag = True
    share_of_seconds = 0.3
    kinds: ClassVar[tuple[str, str]]  # scikit-learn's classifier and regressor

    def __init__(self, config: Mapping[str, Any], inputs: Columns, target: Target, seed: int) -> None:
        super().__init__(config, inputs, target, seed)
        self.levels = ManyLevels.of(inputs)
        self.lags = Lags(config, inputs, keeps_levels=True)
        self.forest: Any = None
        self._out_of_bag: NDArray[np.float64] | None = None

    @classmethod
    def space(cls, *, classes: bool, with_levels: bool) -> dict[str, Any]:
        return SPACE

    def fit(self, train: Rows, valid: Rows | None = None, rounds: Rounds = ()) -> None:
        from sklearn import ensemble

        given, train = train, self.lags.of(train)
        unit = 1.0
        if not isinstance(self.target, Classes):
            unit = _unit_of(train.y)
            train = train._replace(y=train.y / np.float64(unit))
        x = self.levels.fit_transform(train, self.inputs, self.target, self.seed)
        forest = getattr(ensemble, self.kinds[not isinstance(self.target, Classes)])(
            n_estimators=rounds[0] if rounds else N_TREES,
            max_features=self.config["features"],
            min_samples_leaf=self.config["min_rows"],
            max_samples=MANY_ROWS if len(x) > MANY_ROWS else None,
            bootstrap=True,
            random_state=self.seed % 2**32,
        )
        if not rounds and self.max_seconds is not None:
            start = time.perf_counter()
            forest.set_params(n_estimators=MIN_TREES, warm_start=True).fit(x, train.y, sample_weight=train.weights)
            n = MIN_TREES * self.max_seconds / (time.perf_counter() - start)
            forest.set_params(n_estimators=int(np.clip(n, MIN_TREES + 1, N_TREES)))
        forest.set_params(oob_score=train.weights is None)  # nearly every bootstrap sample has a heavy row
        self.forest = forest.fit(x, train.y, sample_weight=train.weights).set_params(warm_start=False)
        for tree in self.forest.estimators_:
            tree.tree_.value[:] *= unit
        self.rounds = (len(self.forest.estimators_),)
        name = "oob_prediction_" if not isinstance(self.target, Classes) else "oob_decision_function_"
        found = self.forest.__dict__.pop(name, None)  # as large as the data: not part of the model
        self._out_of_bag = None if found is None else self.lags.forecasts(found * unit, given.x)
        self.forest.__dict__.pop("_sample_weight", None)  # nor are these, which some versions keep

    def predict(self, x: NDArray[Any]) -> NDArray[np.float64]:
        rows = self.levels.transform(self.lags.columns(x))
        if not isinstance(self.target, Classes):
            return self.lags.forecasts(np.asarray(self.forest.predict(rows), np.float64), x)
        return self._of_all_classes(self.forest.predict_proba(rows), len(self.forest.estimators_))

    def out_of_bag(self) -> NDArray[np.float64]:
        assert self._out_of_bag is not None
        if not isinstance(self.target, Classes):
            return self._out_of_bag
        n = len(self._out_of_bag)
        share_without = (1.0 - 1.0 / n) ** min(n, MANY_ROWS)  # of the trees, whose sample lacks a given row
        return self._of_all_classes(self._out_of_bag, share_without * len(self.forest.estimators_))

    def _of_all_classes(self, probabilities: NDArray[Any], n_trees: float) -> NDArray[np.float64]:
        """The probabilities with one more tree that knows nothing, so that none is 0."""
        n_classes = self.target.n_outputs
        found = np.full((len(probabilities), n_classes), 1.0 / n_classes)
        found[:, self.forest.classes_.astype(int)] += n_trees * probabilities
        smoothed: NDArray[np.float64] = found / found.sum(1, keepdims=True)
        return smoothed

    def save(self, folder: Path) -> None:
        (folder / FILE).write_bytes(estimator_bytes(self.forest))
        self.levels.save(folder)

    @classmethod
    def load(cls, folder: Path, config: Mapping[str, Any], inputs: Columns, target: Target) -> Self:
        found = cls(config, inputs, target, seed=0)
        found.levels, found.forest = ManyLevels.load(folder), estimator_from((folder / FILE).read_bytes())
        return found


def _unit_of(y: NDArray[Any]) -> float:
    """A power of two near the standard deviation: trees take a variance below 2e-16 as 0. It changes no other tree."""
    deviation = float(np.std(y, dtype=np.float64))
    return math.ldexp(1.0, round(math.log2(deviation))) if deviation > 0 else 1.0


class RandomForest(Forest):
    """Trees that use the best split of each column."""

    kinds = ("RandomForestClassifier", "RandomForestRegressor")


class ExtraTrees(Forest):
    """Trees that use a random split of each column."""

    kinds = ("ExtraTreesClassifier", "ExtraTreesRegressor")
