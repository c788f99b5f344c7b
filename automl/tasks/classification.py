"""Supervised learning of classes."""

from dataclasses import dataclass

from automl.tasks.supervised import Supervised


@dataclass(frozen=True)
class Classification(Supervised):
    """The target is one of several classes; the search makes the accuracy high."""

    metric: str = "accuracy"
