"""Time series: the better of logistic regression and extremely randomised trees, on the raw values."""

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import ExtraTreesClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from automl.data.datasets.ts_format import Series
from automl.data.examples import Examples, Parts
from automl.tasks.baselines.scoring import accuracy


def regression_or_trees(parts: Parts[Examples[Series, str]]) -> dict[str, float]:
    """The test accuracy of the one that is better on the validation set."""
    steps = max(series.shape[1] for series in parts.train.x)
    train, valid, test = (vectors(part.x, steps) for part in (parts.train, parts.valid, parts.test))
    models = [
        make_pipeline(StandardScaler(), LogisticRegression(max_iter=2_000)),
        ExtraTreesClassifier(300, random_state=0),
    ]
    fitted = [model.fit(train, parts.train.y) for model in models]
    best = max(fitted, key=lambda model: accuracy(model, valid, parts.valid.y))
    return {"accuracy": accuracy(best, test, parts.test.y)}


def vectors(series: list[Series], steps: int) -> NDArray[np.float32]:
    """The series as vectors (n, channels * steps), truncated or zero-padded."""
    filled = np.zeros((len(series), len(series[0]), steps), np.float32)
    for row, values in zip(filled, series, strict=True):
        row[:, : values.shape[1]] = values[:, :steps]
    return filled.reshape(len(series), -1)
