"""Cross-validated trainings of scikit-learn models on its own data sets, with the spaces of Bayesmark.

R. Turner et al., Bayesian Optimization is Superior to Random Search (NeurIPS 2020 competition) used Bayesmark's models,
data sets and spaces. Its logit scales, which the short form of a space lacks, are log scales here; for values near 1
(the betas of Adam), 1 - value is searched. Boston housing, which scikit-learn no longer ships, is replaced by
Friedman's function. Bayesmark has no defaults, so the default config is the centre of the space.
"""

from __future__ import annotations

import functools
import math
import time
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from automl.errors import UserError
from automl.space.parse import load_space
from benchmarks.suites.base import Curve, SimulatedTask
from benchmarks.suites.sklearn_models import MODELS
from benchmarks.suites.trainings import KeptTraining, TrainingCache, trainings

KEPT = Path("runs/trainings/sklearn")  # each training is run once and shared by all strategies and seeds
DATA = {  # data set: metric. The order decides the split
    "breast": "error",
    "digits": "error",
    "iris": "log loss",
    "wine": "log loss",
    "diabetes": "mae",
    "friedman": "mse",
}
N_FOLDS = 2  # with more, a training of AdaBoost takes longer than half a second
N_DIGITS = 300  # of 1,797 images, for the same reason
N_FRIEDMAN = 200
OLDEST = (1, 8)  # before it, l1_ratio has no effect on liblinear


@dataclass(frozen=True)
class Data:
    """Folds with features standardised on their training sets; regression targets are standardised as well."""

    folds: tuple[tuple[np.ndarray, np.ndarray, np.ndarray], ...]  # features to fit, features to score, rows to score
    y: np.ndarray
    regression: bool


@dataclass(frozen=True)
class SklearnTask(SimulatedTask):
    """A model on a data set. Folds and random states are fixed, so seeds make no difference."""

    model: str = ""
    data: str = ""

    def curve(self, config: Mapping[str, Any], seed: int, epochs: int) -> Curve:
        found = self.training(config)
        if found.loss is None:
            return Curve(np.empty(0), np.empty(0), found.error)
        return Curve(np.array([found.loss]), np.array([found.seconds]))

    def final_loss(self, config: Mapping[str, Any]) -> float | None:
        return self.training(config).loss

    def training(self, config: Mapping[str, Any]) -> KeptTraining:
        """The stored training of a config, run now if needed."""
        return self.kept.get(config, lambda: _train(self.model, self.data, self.metric, config))

    @property
    def kept(self) -> TrainingCache:
        """All trainings of this task so far."""
        return trainings(KEPT / f"{self.name}.sqlite")


def tasks() -> list[SklearnTask]:
    """Every model on every data set. Raises UserError if scikit-learn is too old.

    Development and holdout alternate like the squares of a chessboard: each has half of every model's data sets and
    half of every data set's models.
    """
    import sklearn

    if tuple(int(part) for part in sklearn.__version__.split(".")[:2]) < OLDEST:
        raise UserError(
            f"the suite 'sklearn' needs scikit-learn {OLDEST[0]}.{OLDEST[1]} or later, found {sklearn.__version__}; "
            "pip install -U scikit-learn"
        )
    return [
        SklearnTask(
            "sklearn",
            f"{model}-{data}",
            "development" if (i + j) % 2 == 0 else "holdout",
            load_space(MODELS[model].space(data in ("diabetes", "friedman"))),
            metric=metric if metric != "log loss" or MODELS[model].probabilities else "error",
            model=model,
            data=data,
        )
        for i, model in enumerate(MODELS)
        for j, (data, metric) in enumerate(DATA.items())
    ]


def _train(model: str, data: str, metric: str, config: Mapping[str, Any]) -> KeptTraining:
    """Score the predictions of all folds together."""
    known, started = load_data(data), time.perf_counter()
    n_outputs = len(np.unique(known.y)) if metric == "log loss" else 1
    predicted = np.empty((len(known.y), n_outputs))
    try:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")  # no convergence, batches larger than the data: expected in the space
            for X, X_scored, scored in known.folds:
                fitted = MODELS[model].build(config, known.regression).fit(X, np.delete(known.y, scored))
                ask = fitted.predict_proba if metric == "log loss" else fitted.predict
                predicted[scored] = np.asarray(ask(X_scored)).reshape(len(scored), n_outputs)
            loss = _loss(metric, known.y, predicted)
    except Exception as error:
        return KeptTraining(None, time.perf_counter() - started, f"{type(error).__name__}: {error}".splitlines()[0])
    seconds = time.perf_counter() - started
    return KeptTraining(loss, seconds) if math.isfinite(loss) else KeptTraining(None, seconds, f"the loss is {loss}")


def _loss(metric: str, y: np.ndarray, predicted: np.ndarray) -> float:
    from sklearn.metrics import log_loss

    if metric == "log loss":
        return float(log_loss(y, predicted))
    difference = y - predicted[:, 0]
    if metric == "error":
        return float((difference != 0).mean())
    return float(np.abs(difference).mean() if metric == "mae" else (difference**2).mean())


@functools.cache
def load_data(name: str) -> Data:
    """One of DATA, with its folds."""
    from sklearn import datasets
    from sklearn.model_selection import KFold, StratifiedKFold
    from sklearn.preprocessing import StandardScaler

    if name == "friedman":
        X, y = datasets.make_friedman1(n_samples=N_FRIEDMAN, noise=1.0, random_state=0)
    else:
        load = datasets.load_breast_cancer if name == "breast" else getattr(datasets, f"load_{name}")
        X, y = load(return_X_y=True)
    if name == "digits":
        chosen = np.random.default_rng(0).permutation(len(y))[:N_DIGITS]
        X, y = X[chosen], y[chosen]
    regression = DATA[name] in ("mae", "mse")
    if regression:
        y = (y - y.mean()) / y.std()
    cut = (KFold if regression else StratifiedKFold)(N_FOLDS, shuffle=True, random_state=0)
    folds = []
    for fitted, scored in cut.split(X, y):
        scaler = StandardScaler().fit(X[fitted])
        folds.append((scaler.transform(X[fitted]), scaler.transform(X[scored]), scored))
    return Data(tuple(folds), y, regression)
