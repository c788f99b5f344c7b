"""Input warping: numbers are transformed so that the loss varies at the same pace everywhere.

J. Snoek et al., Input Warping for Bayesian Optimization of Non-Stationary Functions (ICML 2014).

Glossary as in ``gaussian_process``; w(x) = 1 - (1 - x^a)^b is Kumaraswamy's distribution function, with a and b for
each warped feature; log a and log b have normal priors around 0, where w(x) = x.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from strategies import gaussian_process

STEPS = (-0.7, 0.7)  # of the coordinate search, in log a and log b
FURTHEST = 1.5
PRIOR_SD = 0.75
GAIN = 0.1  # minimum gain in log posterior for a step
N_SWEEPS = 2
EDGE = 1e-6  # slopes are those at this distance from the ends, where they may be infinite


@dataclass(frozen=True)
class Warp:
    """The warps of some features; ``columns``: which ones, shape (k,)."""

    columns: np.ndarray
    log_a: np.ndarray  # (k,)
    log_b: np.ndarray  # (k,)

    @classmethod
    def none(cls, columns: np.ndarray) -> Warp:
        """The identity."""
        return cls(columns, np.zeros(len(columns)), np.zeros(len(columns)))

    @property
    def is_identity(self) -> bool:
        return not (self.log_a.any() or self.log_b.any())

    def __call__(self, X: np.ndarray) -> np.ndarray:
        """Warped features, (m, D)."""
        result = X.copy()
        x = np.clip(X[:, self.columns], 0.0, 1.0)
        result[:, self.columns] = 1.0 - (1.0 - x ** np.exp(self.log_a)) ** np.exp(self.log_b)
        return result

    def slopes(self, X: np.ndarray) -> np.ndarray:
        """The derivatives of warping by feature, (m, D): 1 for features that are not warped."""
        result = np.ones_like(X)
        a, b = np.exp(self.log_a), np.exp(self.log_b)
        x = np.clip(X[:, self.columns], EDGE, 1.0 - EDGE)
        result[:, self.columns] = a * b * x ** (a - 1.0) * (1.0 - x**a) ** (b - 1.0)
        return result


def fitted(
    warp: Warp, X: np.ndarray, y: np.ndarray, theta: np.ndarray, hyperparameter: np.ndarray, S: np.ndarray | None
) -> Warp:
    """The warp with the highest posterior for a given theta, by coordinate search from ``warp``.

    X: unwarped features, (n, D).
    """
    d, k = int(hyperparameter.max()) + 1, len(warp.columns)
    logs = np.concatenate([warp.log_a, warp.log_b])  # (2 k,)

    def cost(logs: np.ndarray) -> float:
        warped = Warp(warp.columns, logs[:k], logs[k:])(X)
        differences = gaussian_process.squared_differences(warped, hyperparameter, d)
        value, _ = gaussian_process.negative_log_posterior(theta, differences, y, S)
        return value + 0.5 * float((logs**2).sum()) / PRIOR_SD**2

    best = cost(logs)
    for _ in range(N_SWEEPS):
        before = best
        for i in range(2 * k):
            for step in STEPS:
                moved = logs.copy()
                moved[i] += step
                if abs(moved[i]) <= FURTHEST and (found := cost(moved)) < best - GAIN:
                    best, logs = found, moved
        if best == before:
            break
    return Warp(warp.columns, logs[:k], logs[k:])
