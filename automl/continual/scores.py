"""Test scores of all versions and of the baseline, on the same rows."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from automl.continual.new_data import PARTS, n_old, splits_by_family, truth_of
from automl.continual.paired_bootstrap import score, widened
from automl.deployment.calibration import below_quantiles
from automl.metrics import METRICS, measure_all
from automl.tasks.baselines.constant import without_model

if TYPE_CHECKING:
    from automl.deployment.predictor import Predictor
    from automl.tasks.cross_validated import CrossValidated
    from automl.tasks.user_data import OwnData

SIDES = ("old", "new", "all")  # test rows of the data before the update, those of the update, and both


def compare(task: OwnData | CrossValidated, versions: Iterable[tuple[int, Predictor]]) -> dict[str, Any]:
    """The scores of the versions and of the baseline on the test rows of the merged data, by side, for update.json.

    The baseline is fitted to the training rows of the merged data. Scores are missing for a side without rows.
    """
    data, splits, truth = Path(task.data), splits_by_family(task), truth_of(task, "test")
    n = n_old(data)["test"]
    rows = dict(zip(SIDES, (slice(0, n), slice(n, None), slice(None)), strict=True))

    def scores(predicted: NDArray[Any]) -> dict[str, float]:
        sides = {side: truth[chosen] for side, chosen in rows.items()}
        return {side: score(task.metric, of, predicted[rows[side]]) for side, of in sides.items() if len(of)}

    first = splits(task.space["model"].default_value)
    name, without = without_model(first, data, task.metric, "train")
    return {
        "rows_in_all": {part: len(getattr(first, f"y_{part}")) for part in PARTS},
        "n_test": {side: len(truth[chosen]) for side, chosen in rows.items()},
        "scores": {str(number): scores(model.deciding(lambda f: splits(f).x_test)) for number, model in versions},
        "baseline": {"name": name, **scores(without)},
    }


def on_test(task: OwnData | CrossValidated, model: Predictor) -> tuple[dict[str, float], dict[float, float]]:
    """Every metric that is defined, of a model on the test rows of the merged data, and the shares of these below its
    quantiles, by level; for its card."""
    splits, truth = splits_by_family(task), truth_of(task, "test")
    predicted = widened(model.judge(lambda family: splits(family).x_test), truth)
    about = (model.threshold, truth.weights, truth.levels)
    scores = measure_all(METRICS[task.metric].kind, truth.y, predicted, *about)
    return scores, below_quantiles(truth.y, predicted, truth.levels, truth.weights)
