"""``AutoMLRegressor``."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import RegressorMixin
from sklearn.utils.validation import assert_all_finite, check_consistent_length, check_is_fitted, column_or_1d

from automl.errors import UserError
from automl.estimators.base import MODEL, AutoMLEstimator, baseline_of

if TYPE_CHECKING:
    import pandas as pd


class AutoMLRegressor(RegressorMixin, AutoMLEstimator):  # type: ignore[misc]
    """An ensemble of regressors; parameters and attributes are those of ``AutoMLClassifier``, without ``classes_``.

    ``metric``: rmse, mae or r2; pinball with quantiles. ``quantiles``: levels such as (0.1, 0.5, 0.9) to predict
    instead of the mean.

    With several targets (``y`` with columns), each gets its own models and a share of the time and of ``max_latency``;
    ``score_out_of_fold_`` is then the mean of their scores, and ``baseline_`` maps each target to its baseline.
    """

    _kind = "regression"

    def __init__(
        self,
        *,
        time_limit: float = 300.0,
        metric: str | None = None,
        models: str | Sequence[str] = "auto",
        quantiles: Sequence[float] | None = None,
        max_members: int | None = None,
        max_latency: float | None = None,
        n_trials: int | None = None,
        n_jobs: int | None = None,
        random_state: int | np.random.RandomState | None = 0,
        folder: str | Path | None = None,
        progress: bool = False,
    ) -> None:
        super().__init__(
            time_limit=time_limit, metric=metric, models=models, max_members=max_members, max_latency=max_latency,
            n_trials=n_trials, n_jobs=n_jobs, random_state=random_state, folder=folder, progress=progress,
        )  # fmt: skip
        self.quantiles = quantiles

    def _fit_all(
        self, frame: pd.DataFrame, y: Any, about_rows: Mapping[str, Any], place: Path, run: Path
    ) -> dict[str, dict[str, Any]]:
        import pandas as pd

        from automl.deployment.several_targets import folder_names, join

        targets, begin = _targets(y), time.monotonic()
        if len(targets) < 2:
            return super()._fit_all(frame, y, about_rows, place, run)
        if self.quantiles is not None:
            raise ValueError(f"quantiles are of one target, and y has {len(targets)} columns")
        latency = None if self.max_latency is None else self.max_latency / len(targets)
        boards, models, cards = [], {}, {}
        for i, (name, folder) in enumerate(folder_names(list(targets)).items()):
            seconds = max(1.0, (self.time_limit - (time.monotonic() - begin)) / (len(targets) - i))
            home, data = run / "targets" / folder, place / folder
            data.mkdir()
            cards[name] = self._fit(frame, targets[name], about_rows, data, home, seconds, latency)
            boards.append(self.leaderboard_.assign(target=name))
            models[name] = home / MODEL
        self.score_out_of_fold_ = join(models, run / MODEL)["validation"]
        self.baseline_ = {name: baseline_of(card) for name, card in cards.items()}
        self.leaderboard_ = pd.concat(boards, ignore_index=True)
        return cards

    def predict(self, X: Any) -> NDArray[np.float64]:
        """The predicted numbers, (n,), quantiles, (n, n_levels) in ascending order, or several targets, (n, k)."""
        check_is_fitted(self)
        frame = self._frame(X, reset=False)
        return np.asarray(self.predictor_.predict(frame), np.float64)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags

    def _labels(self, y: Any, n: int) -> NDArray[Any]:
        y = column_or_1d(y, warn=True)
        check_consistent_length(np.empty(n), y)
        assert_all_finite(y, input_name="y")
        if y.dtype.kind in "Mm":
            raise UserError("y must be numbers, and has dates or times; give for example the days since a date")
        try:
            return np.asarray(y, np.float64)
        except ValueError:
            strange = next(value for value in y if not _is_number(value))
            raise UserError(
                f"y must be numbers, and has {str(strange)!r}; AutoMLClassifier is for classes, and pandas.to_numeric "
                "reads numbers from text"
            ) from None


def _is_number(value: Any) -> bool:
    try:
        float(value)
    except ValueError:
        return False
    return True


def _targets(y: Any) -> dict[str, Any]:
    """The columns of ``y`` by name, or numbered if they have no distinct names."""
    shape = np.shape(np.asarray(y))
    if len(shape) != 2:
        return {"y": y}
    columns = [y.iloc[:, place] if hasattr(y, "iloc") else np.asarray(y)[:, place] for place in range(shape[1])]
    names = [str(getattr(column, "name", f"y{place}")) for place, column in enumerate(columns)]
    if len(set(names)) < len(names):
        names = [f"y{place}" for place in range(len(names))]
    return dict(zip(names, columns, strict=True))
