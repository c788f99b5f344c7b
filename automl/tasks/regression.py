"""Supervised learning of numbers."""

from dataclasses import dataclass

from automl.tasks.supervised import Supervised


@dataclass(frozen=True)
class Regression(Supervised):
    """The target is a number; the search makes the root mean squared error small."""

    metric: str = "rmse"
