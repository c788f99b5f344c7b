"""Scikit-learn estimators that choose, tune and combine models for a table within a time limit."""

from automl.estimators.classifier import AutoMLClassifier
from automl.estimators.regressor import AutoMLRegressor

__all__ = ["AutoMLClassifier", "AutoMLRegressor"]
