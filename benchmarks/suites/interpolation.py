"""Interpolation between recorded trainings with the Gaussian process of ``bo``, one output per epoch."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from strategies import gaussian_process
from strategies.gaussian_process import GP

N_FOLDS = 10


@dataclass(frozen=True)
class Interpolation:
    """A Gaussian process for several outputs that share theta; see the glossary of ``strategies.gaussian_process``."""

    gp: GP
    mean: np.ndarray  # of each output, (k,)

    @classmethod
    def of(cls, X: np.ndarray, outputs: np.ndarray, theta: np.ndarray, hyperparameter: np.ndarray) -> Interpolation:
        """Fitted to outputs (n, k) at features (n, D), with a given theta."""
        mean = outputs.mean(axis=0)
        return cls(GP.given(X, outputs - mean, theta, hyperparameter), mean)

    def __call__(self, X: np.ndarray) -> np.ndarray:
        """The outputs at features (m, D), shape (m, k)."""
        return np.asarray(self.mean + self.gp.covariance(X) @ self.gp.alpha)


def fit(X: np.ndarray, output: np.ndarray, hyperparameter: np.ndarray) -> np.ndarray:
    """The fitted theta for one output (n,)."""
    standardised = (output - output.mean()) / (output.std() or 1.0)
    return gaussian_process.fit(X, standardised, hyperparameter, None).theta


def cross_validated(X: np.ndarray, output: np.ndarray, hyperparameter: np.ndarray) -> np.ndarray:
    """The output predicted at each point by a model fitted without its fold."""
    fold = np.random.default_rng(0).permutation(len(X)) % N_FOLDS
    predicted = np.empty(len(X))
    for k in range(N_FOLDS):
        known = fold != k
        theta = fit(X[known], output[known], hyperparameter)
        model = Interpolation.of(X[known], output[known, None], theta, hyperparameter)
        predicted[~known] = model(X[~known])[:, 0]
    return predicted
