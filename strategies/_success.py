"""The probability that a training does not fail."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.special import log_ndtr

from strategies.gaussian_process import GP


def success(X: np.ndarray, failed: np.ndarray, gp: GP) -> Callable[[np.ndarray], np.ndarray]:
    """The log probability of no failure: a Gaussian process on the labels, through the normal CDF."""
    theta = np.concatenate([gp.theta[:-2], [0.0, -2.0]])
    process = GP.given(X, np.where(failed, 2.0, 0.0)[:, None], theta, gp.hyperparameter)

    def log_success(at: np.ndarray) -> np.ndarray:
        mean, sd = process.predict(at)
        return np.asarray(log_ndtr((1.0 - mean[:, 0]) / np.sqrt(sd**2 + np.exp(-2.0))))

    return log_success
