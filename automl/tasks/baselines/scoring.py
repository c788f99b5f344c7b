"""Scores of scikit-learn's classifiers by the metrics of the tasks."""

from typing import Any

import numpy as np

from automl.metrics import measure


def accuracy(model: Any, x: Any, labels: list[str]) -> float:
    """The accuracy; a label that is not in the training set counts as wrong."""
    place = {name: i for i, name in enumerate(model.classes_)}
    return measure("accuracy", np.array([place.get(label, -1) for label in labels]), model.predict_proba(x))
