"""Images and signals of equal length: a support vector machine or a random forest on the raw values."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import RandomForestClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from automl.data.splits import Splits

MAX_SVM_EXAMPLES = 10_000  # training examples; its time grows with their square


def machine_or_forest(splits: Splits) -> dict[str, float]:
    """The test accuracy of the one that is better on the validation set."""
    train, valid, test = (_flat(x) for x in (splits.x_train, splits.x_valid, splits.x_test))
    models: list[Any] = [RandomForestClassifier(random_state=0)]
    if len(train) <= MAX_SVM_EXAMPLES:
        models.append(make_pipeline(StandardScaler(), SVC()))
    fitted = [model.fit(train, splits.y_train) for model in models]
    best = max(fitted, key=lambda model: model.score(valid, splits.y_valid))
    return {"accuracy": float(best.score(test, splits.y_test))}


def _flat(x: NDArray[Any]) -> NDArray[np.float32]:
    return x.reshape(len(x), -1).astype(np.float32)
