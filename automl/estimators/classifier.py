"""``AutoMLClassifier``."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import ClassifierMixin
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import assert_all_finite, check_consistent_length, check_is_fitted, column_or_1d

from automl.estimators.base import AutoMLEstimator


class AutoMLClassifier(ClassifierMixin, AutoMLEstimator):  # type: ignore[misc]
    """An ensemble of classifiers, chosen and tuned by cross-validation within a time limit.

    ``time_limit``: seconds for ``fit``. ``metric``: accuracy, balanced_accuracy, f1, auc or log_loss. ``models``:
    families, such as ["lightgbm", "linear"]; "auto" uses all that are installed. ``max_members``: maximum size of the
    ensemble; 1 gives a single model. ``max_latency``: maximum prediction time of the ensemble, in milliseconds per row.
    ``n_trials``: maximum number of configurations to try. ``n_jobs``: number of worker processes; None or -1 uses one
    per core. ``random_state``: seed of the search and the models, or a generator that draws it; None draws a new
    one for each fit. ``folder``: keeps the run, with a report and the files that ``automl explain`` reads; it must be
    new or empty. ``progress``: show a progress bar.

    Attributes after ``fit``: ``classes_``, ``leaderboard_`` (a frame with every configuration that was scored on all
    folds, the best first: its out-of-fold loss, its seconds and its weight in the ensemble), ``score_out_of_fold_``,
    ``baseline_`` (the name and out-of-fold score of a prediction without a model), ``notes_`` (findings about the
    data), ``predictor_``. ``fit`` issues a UserWarning if the model is not better than the baseline, and for what it
    leaves out: columns of identifiers, and classes with fewer than 5 rows. Ctrl-C raises KeyboardInterrupt.
    """

    _kind = "classification"

    def predict(self, X: Any) -> NDArray[Any]:
        """The most probable class of each row, (n,); for two classes and the metric f1 or balanced_accuracy, by the
        threshold that was best out of fold."""
        check_is_fitted(self)
        named = np.array(self.predictor_.classes, object)[self.predictor_.decisions(self._probabilities(X))]
        places = {name: place for place, name in enumerate(_names(self.classes_))}
        found: NDArray[Any] = self.classes_[[places[name] for name in named]]
        return found

    def predict_proba(self, X: Any) -> NDArray[np.float64]:
        """Class probabilities in the order of ``classes_``, (n, n_classes)."""
        probabilities = self._probabilities(X)
        found = np.zeros((len(probabilities), len(self.classes_)))
        places = {name: place for place, name in enumerate(_names(self.classes_))}
        found[:, [places[name] for name in self.predictor_.classes]] = probabilities
        return found

    def _probabilities(self, X: Any) -> NDArray[np.float64]:
        """Class probabilities in the order of the model's classes."""
        check_is_fitted(self)
        found: NDArray[np.float64] = self.predictor_.predict_proba(self._frame(X, reset=False))
        return found

    def _labels(self, y: Any, n: int) -> NDArray[Any]:
        y = column_or_1d(y, warn=True)
        check_consistent_length(np.empty(n), y)
        if y.dtype.kind == "f":
            assert_all_finite(y, input_name="y")
        check_classification_targets(y)
        self.classes_, codes = np.unique(y, return_inverse=True)
        if len(self.classes_) < 2:
            raise ValueError("y has one class only; a classifier needs at least two")
        return _names(self.classes_)[codes]

    def _facts(self) -> dict[str, Any]:
        classes = self.classes_.astype(str) if self.classes_.dtype.kind == "M" else self.classes_  # JSON has no dates
        return super()._facts() | {"classes": classes.tolist(), "dtype": self.classes_.dtype.str}

    def _restore(self, facts: dict[str, Any]) -> None:
        super()._restore(facts)
        self.classes_ = np.array(facts["classes"], np.dtype(facts["dtype"]))


def _names(classes: NDArray[Any]) -> NDArray[Any]:
    """The classes as strings, or numbered if the strings would be ambiguous or read differently."""
    from automl.data.ingest.read_table import plain_text

    names = [str(label) for label in classes]
    clear = len(set(names)) == len(names) and all(name == plain_text(name) != "" for name in names)
    return np.array(names if clear else [f"class {place}" for place in range(len(names))], object)
