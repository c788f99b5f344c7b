"""Which columns of a table or a series a model relies on: permutation importance on rows that it was not trained on.

The importance of a column is how much worse the run's metric, or the stand-in of a metric of predicted classes alone,
gets on the test set when the column's values are shuffled among the rows (L. Breiman, Random forests, 2001;
scikit-learn's ``permutation_importance``). Everything that is encoded from a column, such as the parts of a date or the
components of a text, is shuffled together: the test set is encoded row by row and column by column, so this is
equivalent to shuffling the raw column. Of a series, a column's values in a window are shuffled together, among the
windows. Columns that carry the same information share their importance or hide each other's.
"""

from __future__ import annotations

import hashlib
import json
import math
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from automl.analysis.columns import ColumnImportances, ranked
from automl.data.ingest.encoder import Encoder
from automl.data.ingest.prepare import FACTS, Facts, weights_of
from automl.data.memory_map import read_prepared
from automl.data.splits import Splits
from automl.data.targets import levels_of
from automl.deployment.model_card import CARD
from automl.metrics import graded, loss_of, measure
from automl.models.trained import TrainedModel
from automl.study.run_folder import write_atomic

if TYPE_CHECKING:
    from automl.deployment.predictor import Predictor

SECONDS = 10.0  # for all predictions; fewer rows are used if more would take longer
N_ROWS = (1_000, 500, 300)
REPEATS, MAX_REPEATS = 10, 30  # more for few rows; with 5, a deviation small by chance makes noise look certain
MIN_PREDICTED = 3_000  # rows per column, as far as MAX_REPEATS allows
MIN_ROWS = 30  # of the test set
MAX_SECONDS = 120.0  # with the fewest rows
FORMAT = 2


def column_importances(model: Predictor, data: Path, metric: str, left: float = math.inf) -> ColumnImportances | None:
    """Column importances of a model on the test set of prepared data; None if ``left`` seconds are too few.

    Measured by ``metric``, or by the stand-in of one that counts predicted classes: on a few dozen rows these hardly
    change while a column that a good model relies on is shuffled.
    ``model``: of a table or a series, as loaded from a folder. ``data``: the folder of a run's data.
    """
    metric = graded(metric)
    if not (data / FACTS).is_file():
        return ColumnImportances(metric, reason="the run's folder no longer has its data")
    assert isinstance(model.encoder, Encoder)
    first = model.members[0].model
    assert isinstance(first, TrainedModel)
    view = Facts.read(data).views.of(first.preprocessing.model)  # all members of one for columns read the same
    splits = read_prepared(data / view)
    n_test = len(splits.y_test)
    if n_test < MIN_ROWS:
        what = f"the test set has {n_test} rows, {MIN_ROWS} are needed" if n_test else "the run kept no test set"
        return ColumnImportances(metric, reason=f"{what}; importance needs rows that the model was not trained on")
    places, rng = model.encoder.places(view), np.random.default_rng(0)
    rows = rng.permutation(n_test)[: N_ROWS[0]]
    start = time.perf_counter()
    usual = _predictions(model, np.concatenate([splits.x_test[rows]] * REPEATS))[: len(rows)]
    a_row = len(places) * (time.perf_counter() - start) / (REPEATS * len(rows))
    n, repeats = _affordable(len(rows), a_row)
    seconds = a_row * n * repeats
    if seconds > left:
        return None
    if seconds > MAX_SECONDS:
        return ColumnImportances(metric, reason=f"shuffling {len(places):,} columns takes {seconds / 60:.0f} minutes")
    test = _TestRows.of(splits, rows[:n], weights_of(data, "test"), model.threshold, metric)
    score = test.score(usual[:n])
    if not math.isfinite(score):
        return ColumnImportances(metric, reason=f"{metric} is not defined on the test rows")
    worse = {name: test.worse(model, place, score, repeats, rng) for name, place in places.items()}
    return ColumnImportances(metric, ranked(worse), None, score, n, n_test, repeats)


def _affordable(n: int, a_row: float) -> tuple[int, int]:
    """The number of rows, at most n, and of repeats to use; a row takes ``a_row`` seconds for all columns."""
    counts = [n, *(fewer for fewer in N_ROWS if fewer < n)]
    plans = [(count, min(MAX_REPEATS, max(REPEATS, MIN_PREDICTED // count))) for count in counts]
    least = (counts[-1], REPEATS)
    return next((plan for plan in plans if a_row * plan[0] * plan[1] <= SECONDS), least)


@dataclass(frozen=True)
class _TestRows:
    """Rows of a test set, and what is needed to score predictions for them."""

    x: NDArray[Any]
    y: NDArray[Any]
    weights: NDArray[Any] | None
    levels: tuple[float, ...] | None
    threshold: float
    metric: str

    @classmethod
    def of(
        cls, splits: Splits, rows: NDArray[Any], weights: NDArray[Any] | None, threshold: float, metric: str
    ) -> Self:
        counts = None if weights is None else weights[rows]
        return cls(splits.x_test[rows], splits.y_test[rows], counts, levels_of(splits.target), threshold, metric)

    def score(self, predicted: NDArray[Any]) -> float:
        return measure(self.metric, self.y, predicted, self.threshold, self.weights, self.levels)

    def worse(
        self, model: Predictor, place: slice, score: float, repeats: int, rng: np.random.Generator
    ) -> list[float]:
        """How much worse than ``score`` the metric is with the columns in ``place`` shuffled, for each repeat."""
        if place.start == place.stop:
            return [0.0] * repeats
        shuffled = np.concatenate([self.x] * repeats)
        shuffled[:, place] = np.concatenate([self.x[rng.permutation(len(self.x)), place] for _ in range(repeats)])
        loss = loss_of(self.metric, score)
        parts = np.split(_predictions(model, shuffled), repeats)
        return [loss_of(self.metric, self.score(part)) - loss for part in parts]


def _predictions(model: Predictor, x: NDArray[Any]) -> NDArray[Any]:
    return model.judge(lambda family: x)


def keep_columns(file: Path, model: Path, found: ColumnImportances) -> None:
    """Write the importances of the model in a folder."""
    content = {"format": FORMAT, "model": _fingerprint(model), **found.to_json()}
    write_atomic(file, json.dumps(content, indent=2, allow_nan=False) + "\n")


def kept_columns(file: Path, model: Path) -> ColumnImportances | None:
    """The importances written for the model now in the folder; None if there are none or they cannot be read."""
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        if content.pop("format") != FORMAT or content.pop("model") != _fingerprint(model):
            return None
        return ColumnImportances.from_json(content)
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return None


def _fingerprint(model: Path) -> str:
    """A hash of a model's card, which includes the time of its run or update."""
    return hashlib.sha256((model / CARD).read_bytes()).hexdigest()
