"""An upper bound on the regret of the best config, from the confidence bounds of the Gaussian process.

A. Makarova et al., Automatic Termination for Hyperparameter Optimization (AutoML-Conf 2022). Glossary as in
``gaussian_process``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from strategies._acquisition import maximise
from strategies.features import Features
from strategies.gaussian_process import GP

RISK = 0.1  # probability of a loss outside the bounds if the model is correct


def width(n_observations: int, n_hyperparameters: int) -> float:
    """Half-width of the bounds in standard deviations: sqrt(beta / 5), with beta of Srinivas et al. (2010), theorem 1.

    They and Makarova et al. divide beta by five in practice, and use the number of hyperparameters instead of the
    number of grid points.
    """
    beta = 2.0 * np.log(n_hyperparameters * n_observations**2 * np.pi**2 / (6.0 * RISK))
    return float(np.sqrt(beta / 5.0))


@dataclass(frozen=True)
class LowerBound:
    """The negated lower confidence bound of the loss, as an acquisition function to maximise."""

    gp: GP
    width: float

    def __call__(self, X: np.ndarray) -> np.ndarray:
        means, sd = self.gp.predict(X)
        return np.asarray(self.width * sd - means[:, 0])

    def gradients(self, X: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        means, sd, mean_gradients, sd_gradient = self.gp.gradients(X)
        return self.width * sd - means[:, 0], self.width * sd_gradient - mean_gradients[:, 0]


def regret_bound(gp: GP, features: Features, best: np.ndarray, candidates: np.ndarray) -> float:
    """The upper bound of the loss at ``best`` (d,) minus the lowest lower bound in the space, in units of the process.

    The search for the lowest lower bound starts from ``candidates`` (m, d). All points lie in the unit cube.
    """
    d = len(best)
    lower = LowerBound(gp, width(len(gp.X), d))
    _, values = maximise(lower, features, candidates, np.zeros(d), np.ones(d))
    means, sd = gp.predict(features.features(best[None]))
    return float(means[0, 0] + lower.width * sd[0] + values[0])
