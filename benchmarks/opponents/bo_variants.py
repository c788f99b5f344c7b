"""Variants of ``bo`` that change one component each. Glossary as in ``strategies.gaussian_process``."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize
from scipy.stats import norm, rankdata

from strategies import gaussian_process
from strategies._acquisition import Acquisition, log_mean_exp
from strategies._regret import LowerBound
from strategies.base import Outcome
from strategies.bayesian import BayesianOptimization
from strategies.features import MANY_VALUES
from strategies.gaussian_process import GP
from strategies.types import JSON, Config

N_THETAS = 4
STEP = 1e-4  # step size of the finite differences for the curvature
LAST_SHARE = 0.1
EXACT = -9.0  # log noise variance
MAX_LOCAL_DIMENSIONS, LOCAL_FROM, MIN_RADIUS = 6, 0.4, 0.02


class NoSearch(BayesianOptimization):
    """Takes the best candidate without maximising the acquisition function further."""

    def _maximise(
        self, acquisition: Acquisition, candidates: np.ndarray, low: np.ndarray, high: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        points = self._features.legal(candidates)
        values = acquisition(self._features.features(points))
        order = np.argsort(-values, kind="stable")
        return points[order], values[order]


class Box(BayesianOptimization):
    """Uses a trust region in every space, not only in those of more than 20 hyperparameters.

    D. Eriksson et al., Scalable Global Optimization via Local Bayesian Optimization (NeurIPS 2019).
    """

    def _box(self, points: np.ndarray, losses: np.ndarray, gp: GP) -> tuple[np.ndarray, np.ndarray]:
        return self._trust_region(points, losses, gp)


class MoreInitial(BayesianOptimization):
    """An initial design of eight in every space."""

    n_initial_soon = 8


class FewInitialInLarge(BayesianOptimization):
    """An initial design of four also in spaces of many hyperparameters."""

    few_hyperparameters = math.inf


class ManyInitial(BayesianOptimization):
    """A large initial design in every space."""

    n_initial = n_initial_soon = 16


class Ranks(BayesianOptimization):
    """Fits the model to the ranks of the losses, as quantiles of a normal distribution.

    D. Salinas et al., A Quantile-based Approach for Hyperparameter Transfer Learning (ICML 2020).
    """

    def _fitted(self, X: np.ndarray, y: np.ndarray, n_told: int) -> GP:
        return super()._fitted(X, norm.ppf((rankdata(y) - 0.5) / len(y)), n_told)


class NoCeiling(BayesianOptimization):
    """No upper bound on the noise from tied losses."""

    def _noise_ceiling(self, y: np.ndarray) -> float:
        return gaussian_process.BOUNDS["noise"][1]


class NoDoubt(BayesianOptimization):
    """Keeps the fitted lengthscales even without improvement."""

    def _shrinkage(self, losses: np.ndarray) -> float:
        return 1.0


class Local(BayesianOptimization):
    """Every second proposal of the last 60% of the budget is the minimum of a quadratic model around the best.

    Only in spaces of at most MAX_LOCAL_DIMENSIONS hyperparameters, all numbers. After M. J. D. Powell's (1994)
    linear models in a trust region.
    """

    def _suggest(self, rng: np.random.Generator) -> tuple[Config, dict[str, JSON]]:
        outcomes = [outcome for outcome in self.outcomes.values() if outcome.loss is not None]
        dims, n = self.encoding.dimensions, len(self.outcomes)
        is_local = len(dims) <= MAX_LOCAL_DIMENSIONS and all(dim.numeric and dim.n_values > MANY_VALUES for dim in dims)
        is_late = self.n_trials is not None and n >= LOCAL_FROM * self.n_trials and n % 2 == 0
        if is_local and is_late:
            points = np.array([self.encoding.encode(outcome.proposal.config) for outcome in outcomes])
            losses = np.array([outcome.loss for outcome in outcomes])
            config = self.encoding.decode(quadratic_minimum(points, losses, rng))
            if self.is_new(config):
                return config, {"from": "quadratic"}
        return super()._suggest(rng)


def quadratic_minimum(points: np.ndarray, losses: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The minimum (d,) of a weighted ridge regression on products of two coordinates, within half the distance to the
    furthest of the neighbours that it is fitted to. ``points``: (n, d) in the unit cube."""
    d, best = points.shape[1], points[losses.argmin()]
    distances = np.abs(points - best).max(axis=1)
    near = np.argsort(distances, kind="stable")[: (d + 1) * (d + 2) // 2 + d]
    radius = max(MIN_RADIUS, distances[near[-1]] / 2)
    Z, y = (points[near] - best) / radius, (losses[near] - losses[near].mean()) / (losses[near].std() or 1.0)
    upper = np.triu_indices(d)
    A = np.column_stack([np.ones(len(near)), Z, Z[:, upper[0]] * Z[:, upper[1]]])
    weights = np.exp(-0.5 * (np.abs(Z).max(axis=1) / 1.5) ** 2)
    penalty = np.diag([0.0] + [1e-4] * d + [1e-2] * len(upper[0]))
    coefficients = np.linalg.solve(A.T @ (weights[:, None] * A) + penalty, A.T @ (weights * y))
    slope, half = coefficients[1 : 1 + d], np.zeros((d, d))
    half[upper] = coefficients[1 + d :]
    curvature = half + half.T
    low, high = np.maximum(-1.0, -best / radius), np.minimum(1.0, (1.0 - best) / radius)

    def model(z: np.ndarray) -> tuple[float, np.ndarray]:
        return float(slope @ z + 0.5 * z @ curvature @ z), slope + curvature @ z

    starts = [np.zeros(d), *rng.uniform(low, high, (8, d))]
    bounds = list(zip(low, high, strict=True))
    found = [minimize(model, start, jac=True, method="L-BFGS-B", bounds=bounds) for start in starts]
    lowest = min(found, key=lambda result: float(result.fun))
    return np.asarray(np.clip(best + radius * lowest.x, 0.0, 1.0))


class NoCeilingNoDoubt(NoCeiling, NoDoubt):
    """Combines NoCeiling and NoDoubt."""


class Exact(BayesianOptimization):
    """Log expected improvement averaged over the model and one without noise."""

    def _acquisition(
        self, gp: GP, outcomes: list[Outcome], points: np.ndarray, rng: np.random.Generator
    ) -> Acquisition:
        exact = gaussian_process.fit(gp.X, np.ascontiguousarray(gp.Y[:, 0]), gp.hyperparameter, None, max_noise=EXACT)
        return MeanEI(tuple(super(Exact, self)._acquisition(each, outcomes, points, rng) for each in (gp, exact)))


class BoxInTurns(BayesianOptimization):
    """Uses the trust region at every second ask."""

    def _box(self, points: np.ndarray, losses: np.ndarray, gp: GP) -> tuple[np.ndarray, np.ndarray]:
        if self._n_asked % 2:
            return self._trust_region(points, losses, gp)
        return super()._box(points, losses, gp)


class Thetas(BayesianOptimization):
    """Log expected improvement averaged over samples of theta from the Laplace approximation of its posterior.

    J. Snoek et al., Practical Bayesian Optimization of Machine Learning Algorithms (NeurIPS 2012) average over samples.
    """

    def _acquisition(
        self, gp: GP, outcomes: list[Outcome], points: np.ndarray, rng: np.random.Generator
    ) -> Acquisition:
        gps = [gp, *(GP.given(gp.X, gp.Y, theta, gp.hyperparameter) for theta in _draws(gp, rng))]
        return MeanEI(tuple(super(Thetas, self)._acquisition(each, outcomes, points, rng) for each in gps))


class GreedyEnd(BayesianOptimization):
    """Spends the last tenth of the budget at the lowest predicted mean."""

    def _acquisition(
        self, gp: GP, outcomes: list[Outcome], points: np.ndarray, rng: np.random.Generator
    ) -> Acquisition:
        if self.n_trials is not None and len(outcomes) >= (1.0 - LAST_SHARE) * self.n_trials:
            return LowerBound(gp, 0.0)
        return super()._acquisition(gp, outcomes, points, rng)


@dataclass(frozen=True)
class MeanEI:
    """The log of the mean of several expected improvements; ``gp`` is that of the first, most probable one."""

    parts: tuple[Acquisition, ...]

    @property
    def gp(self) -> GP:
        return self.parts[0].gp

    def __call__(self, X: np.ndarray) -> np.ndarray:
        return log_mean_exp(np.stack([part(X) for part in self.parts], axis=1))

    def gradients(self, X: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        found = [part.gradients(X) for part in self.parts]
        values = np.stack([value for value, _ in found], axis=1)  # (m, parts)
        mean = log_mean_exp(values)
        weights = np.exp(values - mean[:, None]) / len(found)
        return mean, np.einsum("mp,pmd->md", weights, np.stack([gradient for _, gradient in found]))


def _draws(gp: GP, rng: np.random.Generator) -> np.ndarray:
    """Samples of theta, shape (N_THETAS, d + 2): normal around the mode, with the posterior's curvature there."""
    d = len(gp.theta) - 2
    differences = gaussian_process.squared_differences(gp.X, gp.hyperparameter, d)
    y = np.ascontiguousarray(gp.Y[:, 0])

    def slope(theta: np.ndarray) -> np.ndarray:
        return gaussian_process.negative_log_posterior(theta, differences, y)[1]

    steps = STEP * np.eye(d + 2)
    curvature = np.array([(slope(gp.theta + step) - slope(gp.theta - step)) / (2 * STEP) for step in steps])
    values, vectors = np.linalg.eigh((curvature + curvature.T) / 2)
    sds = 1.0 / np.sqrt(np.maximum(values, 1.0))  # at most 1, in case the posterior is flat
    drawn = gp.theta + (rng.standard_normal((N_THETAS, d + 2)) * sds) @ vectors.T
    low, high = np.array(
        [gaussian_process.BOUNDS["lengthscale"]] * d
        + [gaussian_process.BOUNDS["signal"], gaussian_process.BOUNDS["noise"]]
    ).T
    return np.asarray(np.clip(drawn, low, high))
