"""A Gaussian process fitted to the trials, and the effects of hyperparameters under it.

Glossary: n trials, d hyperparameters, m points of [0, 1]^d. Values are those of the run's metric.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from scipy.linalg import cho_solve
from scipy.stats import qmc

from strategies import gaussian_process
from strategies.encoding import Encoding
from strategies.features import Features
from strategies.types import Config

N_BACKGROUND = 256  # points of the space that an effect is averaged over
N_BACKGROUND_OF_GRIDS = 64  # the first of them, used when each is evaluated along a grid
N_VALUES, N_VALUES_OF_PAIRS = 24, 6  # of a hyperparameter in an effect, and of each in an interaction


@dataclass(frozen=True)
class Effect:
    """The mean of the metric at values of one hyperparameter, averaged over the others (partial dependence).

    ``at``: coordinates in [0, 1]; ``mean`` and ``sd`` in units of the metric. All of shape (k,).
    """

    at: np.ndarray
    mean: np.ndarray
    sd: np.ndarray


@dataclass(frozen=True)
class Background:
    """Points that cover the space, (m, d), and which hyperparameters are active there, (m, d).

    ``tried``: for each categorical hyperparameter, the coordinates of the values used.
    """

    points: np.ndarray
    active: np.ndarray
    tried: Mapping[int, np.ndarray] = field(default_factory=dict)

    @classmethod
    def of(cls, encoding: Encoding, seed: int, configs: Sequence[Config] = ()) -> Background:
        """A scrambled Sobol sequence; for choices, only values in ``configs``: the model knows nothing of others."""
        points = qmc.Sobol(len(encoding.names), rng=np.random.default_rng(seed)).random(N_BACKGROUND)
        tried = {}
        for i, dim in enumerate(encoding.dimensions):
            units = np.unique([dim.to_unit(config[dim.name]) for config in configs if dim.name in config])
            if not dim.numeric and len(units):
                tried[i] = units
                points[:, i] = units[(points[:, i] * len(units)).astype(int)]
        if not encoding.conditional:
            return cls(points, np.ones(points.shape, dtype=bool), tried)
        decoded = [encoding.decode(point) for point in points]
        return cls(points, np.array([[name in config for name in encoding.names] for config in decoded]), tried)


@dataclass(frozen=True)
class Surrogate:
    """A Gaussian process fitted to n trials; predictions are in units of the metric."""

    features: Features
    gp: gaussian_process.GP
    centre: float
    scale: float
    background: Background

    @classmethod
    def fit(cls, features: Features, points: np.ndarray, values: np.ndarray, background: Background) -> Surrogate:
        """Fit to points (n, d) and their values (n,). Effects are averaged over the background."""
        centre, scale = float(values.mean()), float(values.std()) or 1.0
        X = features.features(features.legal(points.copy()))
        gp = gaussian_process.fit(X, (values - centre) / scale, features.hyperparameter, None)
        return cls(features, gp, centre, scale, background)

    def predict(self, points: np.ndarray) -> np.ndarray:
        """The mean prediction at points, (m, d) to (m,)."""
        return np.asarray(self.centre + self.scale * self.gp.predict(self._features_at(points))[0][:, 0])

    def total_effect(self, i: int) -> float:
        """The total effect of hyperparameter i: its share of the variance over the space, including interactions.

        For a conditional one: over the part of the space where its condition holds. In [0, 1] up to sampling error.
        The variance along its grid, averaged over the background: section 2 of A. Saltelli et al., Variance based
        sensitivity analysis of model output (2010).
        """
        points = self._where_active(i)
        variance = float(self.predict(points).var()) if len(points) else 0.0
        if not variance:
            return 0.0
        grid, others = self.grid(i, N_VALUES), points[:N_BACKGROUND_OF_GRIDS]
        moved = np.repeat(others, len(grid), axis=0)
        moved[:, i] = np.tile(grid, len(others))
        along = self.predict(moved).reshape(len(others), len(grid))
        return min(1.0, float(along.var(axis=1).mean()) / variance)

    def reaches(self, i: int) -> bool:
        """Whether hyperparameter i is active anywhere in the background, so that its effect can be estimated."""
        return len(self._where_active(i)) > 0

    def effect(self, i: int) -> Effect:
        """Partial dependence on hyperparameter i (J. Friedman, 2001), with its standard deviation.

        This is the standard deviation of the mean over the background, whose points are correlated under the process.
        """
        points = self._where_active(i)[:N_BACKGROUND_OF_GRIDS]
        grid = self.grid(i, N_VALUES)
        means, deviations = [], []
        for u in grid:
            moved = points.copy()
            moved[:, i] = u
            X = self._features_at(moved)
            means.append(self.centre + self.scale * float(self.gp.predict(X)[0].mean()))
            to_trials = self.gp.covariance(X).mean(axis=0)
            variance = float(self._prior(X) - to_trials @ cho_solve((self.gp.L, True), to_trials))
            deviations.append(self.scale * np.sqrt(max(variance, 0.0)))
        return Effect(grid, np.array(means), np.array(deviations))

    def interaction(self, i: int, j: int) -> float:
        """The share of the variance due to the interaction of i and j: 0 if their effects are additive.

        The partial dependence on both minus that on each: the second-order index of I. Sobol', Sensitivity estimates
        (1993).
        """
        surface = self.surface(i, j, N_VALUES_OF_PAIRS)
        own = surface - surface.mean(axis=0) - surface.mean(axis=1, keepdims=True) + surface.mean()
        variance = float(self.predict(self.background.points).var())
        return float((own**2).mean()) / variance if variance > 0 else 0.0

    def surface(self, i: int, j: int, n_values: int) -> np.ndarray:
        """Partial dependence on both, shape (values of i, values of j)."""
        points = self.background.points[:N_BACKGROUND_OF_GRIDS]
        rows, columns = self.grid(i, n_values), self.grid(j, n_values)
        moved = np.tile(points, (len(rows) * len(columns), 1))
        moved[:, i] = np.repeat(rows, len(columns) * len(points))
        moved[:, j] = np.tile(np.repeat(columns, len(points)), len(rows))
        surface: np.ndarray = self.predict(moved).reshape(len(rows), len(columns), len(points)).mean(axis=2)
        return surface

    def grid(self, i: int, n_values: int) -> np.ndarray:
        """Coordinates of a hyperparameter's tried values, or of n values that cover its range."""
        if i in self.background.tried:
            return self.background.tried[i]
        dim = self.features.dims[i]
        if dim.n_values <= n_values or not dim.numeric:
            return np.array([dim.to_unit(v) for v in dim.values or range(int(dim.low), int(dim.high) + 1)])
        return (np.arange(n_values) + 0.5) / n_values

    def _where_active(self, i: int) -> np.ndarray:
        return np.asarray(self.background.points[self.background.active[:, i]])

    def _features_at(self, points: np.ndarray) -> np.ndarray:
        return self.features.features(self.features.legal(points.copy()))

    def _prior(self, X: np.ndarray) -> float:
        """The prior variance of the mean over points."""
        alone = gaussian_process.GP(X, self.gp.Y, self.gp.theta, self.gp.hyperparameter, self.gp.L, self.gp.alpha)
        return float(alone.covariance(X).mean())
