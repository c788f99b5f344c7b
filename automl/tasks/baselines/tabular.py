"""Table rows: the better of a random forest and gradient boosting, with scikit-learn's defaults."""

import numpy as np
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier

from automl.data.examples import Examples, Parts
from automl.tasks.baselines.scoring import accuracy


def forest_or_boosting(parts: Parts[Examples[tuple[int, ...], str]]) -> dict[str, float]:
    """The test accuracy of the one that is better on the validation set."""
    models = [
        RandomForestClassifier(300, random_state=0),
        HistGradientBoostingClassifier(early_stopping=False, random_state=0),
    ]
    fitted = [model.fit(np.array(parts.train.x), parts.train.y) for model in models]
    best = max(fitted, key=lambda model: accuracy(model, np.array(parts.valid.x), parts.valid.y))
    return {"accuracy": accuracy(best, np.array(parts.test.x), parts.test.y)}
