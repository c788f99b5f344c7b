"""A small model of training time, for searches whose budget is in seconds.

E. Lee et al., Cost-aware Bayesian Optimization (2020, arXiv:2003.10870): the expected improvement is divided by a power
of the cost. The exponent decays from 1 to 0 as the budget is spent, since cheap trainings are worth most early on.
"""

from __future__ import annotations

import numpy as np

MIN_TOLD = 4  # trainings needed before the model predicts
RIDGE = 1.0  # weight, in trainings, of the prior that no hyperparameter matters


def log_seconds(X: np.ndarray, seconds: np.ndarray, at: np.ndarray) -> np.ndarray:
    """Predicted log seconds per epoch minus their mean, at features (m, D), shape (m,).

    ``X``: features of past trainings (n, D); ``seconds``: their seconds per epoch (n,), 0 or less if unknown. Ridge
    regression on log seconds, since layers, trees and widths mostly multiply the cost. 0 for fewer than MIN_TOLD
    trainings.
    """
    known = seconds > 0
    if known.sum() < MIN_TOLD:
        return np.zeros(len(at))
    X, y = X[known], np.log(seconds[known])
    centre, mean = X.mean(axis=0), y.mean()
    weights = np.linalg.solve((X - centre).T @ (X - centre) + RIDGE * np.eye(X.shape[1]), (X - centre).T @ (y - mean))
    return np.asarray((at - centre) @ weights)
