"""What a training takes, by a small model of past ones: for a search whose budget is in seconds.

E. Lee et al., Cost-aware Bayesian Optimization (2020, arXiv:2003.10870): the expected improvement is divided by a power
of the cost that falls from 1 to 0 in the course of the budget, as cheap trainings are worth most at the beginning.
"""

from __future__ import annotations

import numpy as np

MIN_TOLD = 4  # trainings before the model tells anything
RIDGE = 1.0  # the prior that no hyperparameter matters, worth so many trainings


def log_seconds(X: np.ndarray, seconds: np.ndarray, at: np.ndarray) -> np.ndarray:
    """Predicted logarithm of the seconds of a training, less their mean, at features (m, D), shape (m,).

    ``X``: features of past trainings (n, D); ``seconds``: what they took for an epoch (n,), 0 or less where unknown.
    Ridge regression in the logarithm: layers, trees and widths mostly multiply the cost. 0 from too few trainings.
    """
    known = seconds > 0
    if known.sum() < MIN_TOLD:
        return np.zeros(len(at))
    X, y = X[known], np.log(seconds[known])
    centre, mean = X.mean(axis=0), y.mean()
    weights = np.linalg.solve((X - centre).T @ (X - centre) + RIDGE * np.eye(X.shape[1]), (X - centre).T @ (y - mean))
    return np.asarray((at - centre) @ weights)
