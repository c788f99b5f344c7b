"""The log expected improvement acquisition function and its maximisation.

S. Ament et al., Unexpected Improvements to Expected Improvement for Bayesian Optimization (NeurIPS 2023). Glossary as
in ``gaussian_process`` and ``features``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
from scipy.optimize import minimize
from scipy.special import erfcx, log_ndtr

from strategies._beliefs import Beliefs
from strategies.features import Features
from strategies.gaussian_process import GP

N_STARTS = (10, 3)  # points improved in each round, by gradients and by enumeration
N_STEPS = 40  # maximum iterations of a gradient search
LOG_ROOT_2PI = 0.5 * np.log(2.0 * np.pi)


def log_h(z: np.ndarray) -> np.ndarray:
    """log(phi(z) + z Phi(z)), accurate for any z (Ament et al., equation 9)."""
    z = np.asarray(z, dtype=float)
    result = np.empty_like(z)
    high = z > -1.0
    near = z[high]
    result[high] = np.log(np.exp(-0.5 * near**2 - LOG_ROOT_2PI) + near * np.exp(log_ndtr(near)))
    far = z[~high]
    # phi(z) (1 - |z| M) with Mills' ratio M; for large |z| the bracket is lost to rounding, and its limit is 1 / z^2.
    bracket = 1.0 + far * np.sqrt(np.pi / 2.0) * erfcx(-far / np.sqrt(2.0))
    bracket = np.where(far > -1e4, bracket, far**-2.0)
    result[~high] = -0.5 * far**2 - LOG_ROOT_2PI + np.log(np.maximum(bracket, 1e-300))
    return result


class Acquisition(Protocol):
    """An acquisition function to maximise."""

    @property
    def gp(self) -> GP: ...

    def __call__(self, X: np.ndarray) -> np.ndarray:
        """Values at features (m, D), shape (m,)."""
        ...

    def gradients(self, X: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Values (m,) and gradients (m, D)."""
        ...


@dataclass(frozen=True)
class LogEI:
    """Log expected improvement over ``bests`` (f,), averaged over the f columns of the process.

    ``log_success``: log probability that a training does not fail, from features (m, D) to shape (m,).
    """

    gp: GP
    bests: np.ndarray
    log_success: Callable[[np.ndarray], np.ndarray] | None = None

    def __call__(self, X: np.ndarray) -> np.ndarray:
        means, sd = self.gp.predict(X)
        value = log_mean_exp(np.log(sd)[:, None] + log_h((self.bests - means) / sd[:, None]))
        return value if self.log_success is None else value + self.log_success(X)

    def after(self, X: np.ndarray) -> LogEI:
        """The function after trials at features (m, D) whose losses are as expected."""
        means = self.gp.means(X)
        return LogEI(self.gp.with_more(X, means), np.minimum(self.bests, means.min(axis=0)), self.log_success)

    def gradients(self, X: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        # The failure probability is left out of the gradients; the final candidates are ranked with it.
        means, sd, mean_gradients, sd_gradient = self.gp.gradients(X)
        z = (self.bests - means) / sd[:, None]  # (m, f)
        h = log_h(z)
        value = log_mean_exp(np.log(sd)[:, None] + h)
        weights = np.exp(np.log(sd)[:, None] + h - value[:, None]) / h.shape[1]
        # d(sd h(z)) = -Phi(z) dmean + phi(z) dsd
        by_mean = -weights * np.exp(log_ndtr(z) - h) / sd[:, None]
        by_sd = weights * np.exp(-0.5 * z**2 - LOG_ROOT_2PI - h) / sd[:, None]
        return value, (by_mean[:, None] @ mean_gradients)[:, 0] + by_sd.sum(axis=1)[:, None] * sd_gradient


@dataclass(frozen=True)
class BeliefWeighted:
    """An acquisition function times the believed density to a power that decays with the number of trials."""

    inner: Acquisition
    beliefs: Beliefs
    features: Features
    power: float

    @property
    def gp(self) -> GP:
        return self.inner.gp

    def after(self, X: np.ndarray) -> BeliefWeighted:
        """As in ``LogEI``."""
        return self if not isinstance(self.inner, LogEI) else replace(self, inner=self.inner.after(X))

    def __call__(self, X: np.ndarray) -> np.ndarray:
        return self.inner(X) + self.power * self.beliefs.log_density(self.features, X)

    def gradients(self, X: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        value, gradient = self.inner.gradients(X)
        value = value + self.power * self.beliefs.log_density(self.features, X)
        return value, gradient + self.power * self.beliefs.gradient(self.features, X)


def maximise(
    acquisition: Acquisition, features: Features, candidates: np.ndarray, low: np.ndarray, high: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The candidates and improved versions of the best of them: legal points (m, d), best first, and values (m,).

    ``low``, ``high``: bounds (d,).
    """
    points = features.legal(candidates)
    values = acquisition(features.features(points))
    for n in N_STARTS:
        starts = points[np.argsort(-values, kind="stable")[:n]]
        found = []
        if len(features.smooth):
            starts = features.legal(_climb(acquisition, features, starts, low, high))
            found.append(starts)
        if features.stepwise:
            starts = _step(acquisition, features, starts, low, high)
            found.append(starts)
        new = np.concatenate(found)
        points = np.concatenate([points, new])
        values = np.concatenate([values, acquisition(features.features(new))])
    order = np.argsort(-values, kind="stable")
    return points[order], values[order]


def _climb(
    acquisition: Acquisition, features: Features, starts: np.ndarray, low: np.ndarray, high: np.ndarray
) -> np.ndarray:
    """Gradient search from all starts at once, on the sum of their values, over the smooth hyperparameters.

    In units of the lengthscales, so that the curvature is similar in every direction.
    """
    smooth = features.smooth
    columns = features.starts[smooth]
    lengths = np.exp(acquisition.gp.theta[smooth])

    def moved(x: np.ndarray) -> np.ndarray:
        points = starts.copy()
        points[:, smooth] = x.reshape(len(starts), -1) * lengths
        return points

    def negative_sum(x: np.ndarray) -> tuple[float, np.ndarray]:
        points = moved(x)
        values, gradients = acquisition.gradients(features.features(points))
        return -float(values.sum()), -(gradients[:, columns] * lengths).ravel()

    bounds = list(zip(low[smooth] / lengths, high[smooth] / lengths, strict=True)) * len(starts)
    options = {"maxiter": N_STEPS}
    start = (starts[:, smooth] / lengths).ravel()
    return moved(minimize(negative_sum, start, jac=True, method="L-BFGS-B", bounds=bounds, options=options).x)


def _step(
    acquisition: Acquisition, features: Features, starts: np.ndarray, low: np.ndarray, high: np.ndarray
) -> np.ndarray:
    """Coordinate search from each start: take the best value of each stepwise hyperparameter in turn."""
    points, here = starts.copy(), acquisition(features.features(starts))
    for i in features.stepwise:
        dim = features.dims[i]
        n = int(dim.n_values)
        coordinates = (np.arange(n) + 0.5) / n if dim.values else np.array(dim.grid(n))
        coordinates = coordinates[(coordinates >= low[i]) & (coordinates <= high[i])]
        if not len(coordinates):
            continue
        trials = np.repeat(points, len(coordinates), axis=0)
        trials[:, i] = np.tile(coordinates, len(points))
        trials = features.legal(trials)
        values = acquisition(features.features(trials)).reshape(len(points), -1)
        best = values.argmax(axis=1)
        better = values[np.arange(len(points)), best] > here
        points[better] = trials.reshape(len(points), len(coordinates), -1)[better, best[better]]
        here = np.maximum(here, values.max(axis=1))
    return points


def log_mean_exp(values: np.ndarray) -> np.ndarray:
    """The log of the mean of exp(values) of each row, (m, f) to (m,)."""
    highest = values.max(axis=1)
    return np.asarray(highest + np.log(np.exp(values - highest[:, None]).mean(axis=1)))
