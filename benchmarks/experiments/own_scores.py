"""Scores on the suite ``own``: untuned baselines, returned configs, and the noise due to the test set."""

from __future__ import annotations

import json
import math
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from automl.data.datasets.registry import load_data
from automl.data.inputs import Columns, Inputs
from automl.data.splits import Splits
from automl.metrics import measure
from automl.models.sklearn_estimators import MAX_CATEGORIES, features
from automl.tasks.user_data import OwnData
from automl.tuning.final_evaluation import final_seed
from benchmarks.runner.simulate import N_FRESH
from benchmarks.suites.live_task import LiveTask, training_name
from benchmarks.suites.scored_task import Scored
from strategies.encoding import Encoding

N_RESAMPLES = 500
Predictions = NDArray[Any]  # for the test set: probabilities (n, n_classes), or numbers (n,)


@dataclass(frozen=True)
class UntunedBaseline:
    """An untuned model, trained on the training and validation sets."""

    name: str
    predictions: tuple[Predictions, ...]  # one per seed; a single one if the seed has no effect
    with_probabilities: bool = True  # False: classes are one-hot

    def score(self, metric: str, y: NDArray[Any]) -> float:
        """The mean score over the seeds."""
        if metric == "log_loss" and not self.with_probabilities:
            return math.nan
        return float(np.mean([measure(metric, y, predicted) for predicted in self.predictions]))


def splits_of(task: LiveTask, with_valid: bool = False) -> Splits:
    """The arrays for the first model family. ``with_valid``: the training set includes the validation set."""
    own = own_data(task)
    return load_data(own.data_of(""), None, with_valid)


def own_data(task: LiveTask) -> OwnData:
    """The task behind the stored trainings."""
    scored = task.live
    assert isinstance(scored, Scored)
    assert isinstance(scored.task, OwnData)
    return scored.task


def baseline(kind: str, splits: Splits, with_valid: Splits) -> UntunedBaseline:
    """The baseline for a kind of files: see ``benchmarks.suites.own_files.UsersFile``."""
    return {"table": _boosting, "texts": _tfidf, "pictures": _machine_or_forest, "series": _ridge}[kind](
        splits, with_valid
    )


def _boosting(splits: Splits, with_valid: Splits) -> UntunedBaseline:
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

    kind = HistGradientBoostingClassifier if splits.n_classes else HistGradientBoostingRegressor
    x, x_test = (features("gradient_boosting", splits.inputs, part) for part in (with_valid.x_train, splits.x_test))
    categorical = _categorical(splits.inputs)
    models = [kind(categorical_features=categorical, random_state=seed) for seed in range(N_FRESH)]
    fitted = [model.fit(x, with_valid.y_train) for model in models]
    return UntunedBaseline(
        "gradient boosting, scikit-learn", tuple(_predicted(model, splits, x_test) for model in fitted)
    )


def _categorical(inputs: Inputs) -> list[int] | None:
    if not isinstance(inputs, Columns):
        return None
    return [i for i, n in enumerate(inputs.cardinalities, inputs.n_numbers) if n <= MAX_CATEGORIES] or None


def _tfidf(splits: Splits, with_valid: Splits) -> UntunedBaseline:
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    words = TfidfVectorizer(token_pattern=r"\S+", lowercase=False, sublinear_tf=True, min_df=2)  # words  # nosec B106
    model = make_pipeline(words, LogisticRegression(C=10.0, max_iter=1_000))
    model.fit(features("linear", splits.inputs, with_valid.x_train), with_valid.y_train)
    x_test = features("linear", splits.inputs, splits.x_test)
    return UntunedBaseline("TF-IDF and logistic regression", (_predicted(model, splits, x_test),))


def _machine_or_forest(splits: Splits, with_valid: Splits) -> UntunedBaseline:
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from sklearn.svm import SVC

    def flat(x: NDArray[Any]) -> NDArray[np.float32]:
        return np.asarray(x, np.float32).reshape(len(x), -1)

    models: list[Any] = [make_pipeline(StandardScaler(), SVC()), RandomForestClassifier(random_state=0)]
    judged = [m.fit(flat(splits.x_train), splits.y_train).score(flat(splits.x_valid), splits.y_valid) for m in models]
    best = models[int(np.argmax(judged))].fit(flat(with_valid.x_train), with_valid.y_train)
    predicted = np.eye(splits.n_classes)[best.predict(flat(splits.x_test))]
    return UntunedBaseline("support vector machine or random forest", (predicted,), with_probabilities=False)


def _ridge(splits: Splits, with_valid: Splits) -> UntunedBaseline:
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import RidgeCV
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    model = make_pipeline(SimpleImputer(), StandardScaler(), RidgeCV(np.logspace(-2, 4, 13)))
    assert isinstance(splits.inputs, Columns)
    x, x_test = (part[:, : splits.inputs.n_numbers] for part in (with_valid.x_train, splits.x_test))
    model.fit(x, with_valid.y_train)
    return UntunedBaseline("ridge regression on the window", (_predicted(model, splits, x_test),))


def _predicted(model: Any, splits: Splits, x_test: Any) -> Predictions:
    if not splits.n_classes:
        return np.asarray(model.predict(x_test), float)
    probabilities = np.zeros((len(splits.y_test), splits.n_classes))
    probabilities[:, model.classes_] = model.predict_proba(x_test)  # classes without training examples stay 0
    return probabilities


def returned(task: LiveTask, rows: pd.DataFrame) -> dict[str, Any]:
    """The config that a run returns."""
    configs = rows.loc[rows["is_returned"], "config"]
    return json.loads(configs.iloc[0]) if len(configs) else dict(Encoding(task.space).default)


def fresh(rows: pd.DataFrame) -> list[int]:
    """The seeds of a run's final trainings."""
    return [final_seed(int(rows["seed"].iloc[0]), i) for i in range(N_FRESH)]


def mean_score(metric: str, y: NDArray[Any], of: Sequence[Predictions]) -> float:
    """The mean score of several trainings on the test set."""
    return float(np.mean([measure(metric, y, predicted) for predicted in of]))


def predictions(task: LiveTask, config: Mapping[str, Any], seed: int) -> Predictions:
    """Test predictions of a run's final model: a full training on the training and validation sets.

    Trained here if needed, and stored with the other trainings.
    """
    from automl.models.device import find_device
    from automl.training.base import trained_model
    from automl.training.device import device_data

    file = task.kept / f"{training_name(config, seed)}-refit.npy"
    if not file.exists():
        own = replace(own_data(task), with_valid=True)
        device = find_device("cpu")
        with tempfile.TemporaryDirectory() as folder:
            place = Path(folder) / "training"
            for _ in own.train(config, seed=seed, epochs=own.max_epochs, checkpoint=place, device="cpu"):
                pass
            model = trained_model(place)
        x, _ = device_data(own.data_of(own.family(config)), None, device, "test")
        file.parent.mkdir(parents=True, exist_ok=True)
        np.save(file, model.predict(x.numpy()))
    found: Predictions = np.load(file)
    return found


def noise(metric: str, y: NDArray[Any], ours: Sequence[Predictions], theirs: Sequence[Predictions]) -> float:
    """The bootstrap standard error, over test rows, of the difference between two mean scores."""

    def mean(of: Sequence[Predictions], places: NDArray[Any]) -> float:
        return mean_score(metric, y[places], [predicted[places] for predicted in of])

    rng = np.random.default_rng(0)
    draw: Callable[[], NDArray[Any]] = lambda: rng.integers(0, len(y), len(y))  # noqa: E731
    differences = [mean(ours, places) - mean(theirs, places) for places in (draw() for _ in range(N_RESAMPLES))]
    return float(np.std(differences, ddof=1))
