"""How much better than the best config any other can be: an upper bound, from the confidence bounds of the process.

A. Makarova et al., Automatic Termination for Hyperparameter Optimization (AutoML-Conf 2022). Glossary as in ``_gp``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from strategies._acquisition import maximise
from strategies._features import Features
from strategies._gp import GP

RISK = 0.1  # of a loss outside of the bounds, were the process true


def width(n_observations: int, n_hyperparameters: int) -> float:
    """Of the bounds around the mean, in standard deviations: the root of Srinivas et al. (2010), theorem 1, over 5.

    They and Makarova et al. divide by five in practice, and count hyperparameters in place of the points of a grid.
    """
    beta = 2.0 * np.log(n_hyperparameters * n_observations**2 * np.pi**2 / (6.0 * RISK))
    return float(np.sqrt(beta / 5.0))


@dataclass(frozen=True)
class LowerBound:
    """The lower confidence bound of the loss with its sign turned, as an acquisition to be maximised."""

    gp: GP
    width: float

    def __call__(self, X: np.ndarray) -> np.ndarray:
        means, sd = self.gp.predict(X)
        return np.asarray(self.width * sd - means[:, 0])

    def gradients(self, X: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        means, sd, mean_gradients, sd_gradient = self.gp.gradients(X)
        return self.width * sd - means[:, 0], self.width * sd_gradient - mean_gradients[:, 0]


def regret_bound(gp: GP, features: Features, best: np.ndarray, candidates: np.ndarray) -> float:
    """The upper bound of the loss at ``best`` (d,) less the lowest lower bound of the space, which is looked for from
    ``candidates`` (m, d): all are points of the unit cube, and the result is in units of the process."""
    d = len(best)
    lower = LowerBound(gp, width(len(gp.X), d))
    _, values = maximise(lower, features, candidates, np.zeros(d), np.ones(d))
    means, sd = gp.predict(features.features(best[None]))
    return float(means[0, 0] + lower.width * sd[0] + values[0])
