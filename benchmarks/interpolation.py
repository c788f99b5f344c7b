"""What a training between the recorded ones would have given: a Gaussian process over configs, one output an epoch.

C. Rasmussen and C. Williams, Gaussian Processes for Machine Learning (2006), section 2.2; fitted by scikit-learn.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import stats

from strategies.encoding import Encoding

if TYPE_CHECKING:
    from strategies.base import Config

N_FOLDS = 10


@dataclass(frozen=True)
class Shape:
    """What is fitted: how fast things change along each feature, and how noisy they are."""

    length_scales: list[float]
    signal: float  # variance
    noise: float  # variance

    def covariance(self, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        """Matern 5/2 between rows, shapes (n, d) and (m, d) to (n, m)."""
        scales = np.array(self.length_scales)
        distance = np.sqrt(5 * np.maximum(0.0, ((a[:, None] / scales - b[None] / scales) ** 2).sum(axis=2)))
        result: np.ndarray = self.signal * (1 + distance + distance**2 / 3) * np.exp(-distance)
        return result


@dataclass(frozen=True)
class Interpolation:
    """Points, shape (n, d), with outputs, shape (n, k), and the shape shared by all outputs."""

    points: np.ndarray
    outputs: np.ndarray
    shape: Shape

    def __call__(self, point: np.ndarray) -> np.ndarray:
        """The outputs at a point, shape (d,) to (k,)."""
        result: np.ndarray = self._mean + (self.shape.covariance(point[None], self.points) @ self._weights)[0]
        return result

    @cached_property
    def _mean(self) -> np.ndarray:
        return np.asarray(self.outputs.mean(axis=0))

    @cached_property
    def _weights(self) -> np.ndarray:
        covariance = self.shape.covariance(self.points, self.points)
        covariance[np.diag_indices_from(covariance)] += self.shape.noise
        return np.linalg.solve(covariance, self.outputs - self._mean)


def features(encoding: Encoding, config: Config) -> np.ndarray:
    """A config as a point: numbers in [0, 1], a choice as one coordinate a value, so that any two are as far apart."""
    parts: list[Any] = []
    for dim, u in zip(encoding.dimensions, encoding.encode(config), strict=True):
        if dim.numeric:
            parts.append([u])
        else:
            parts.append(np.eye(len(dim.values))[min(int(u * len(dim.values)), len(dim.values) - 1)] / np.sqrt(2))
    return np.concatenate(parts)


def fit(points: np.ndarray, output: np.ndarray) -> Shape:
    """The shape that makes an output, shape (n,), most likely."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.gaussian_process import GaussianProcessRegressor
    from sklearn.gaussian_process.kernels import ConstantKernel, Matern, WhiteKernel

    scales = np.full(points.shape[1], 1.0)
    kernel = ConstantKernel(1.0, (1e-2, 1e2)) * Matern(scales, (0.05, 50.0), nu=2.5) + WhiteKernel(0.1, (1e-5, 1e1))
    spread = float(output.std()) or 1.0
    model = GaussianProcessRegressor(kernel, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # a feature without influence: its scale is at its bound
        model.fit(points, (output - output.mean()) / spread)
    product, white = model.kernel_.k1, model.kernel_.k2
    variance = spread**2
    return Shape(
        [float(f"{scale:.4g}") for scale in product.k2.length_scale],
        float(f"{product.k1.constant_value * variance:.4g}"),
        float(f"{white.noise_level * variance:.4g}"),
    )


def cross_validated(points: np.ndarray, output: np.ndarray) -> np.ndarray:
    """The output predicted at each point by a model that was fitted without it and the others of its fold."""
    fold = np.random.default_rng(0).permutation(len(points)) % N_FOLDS
    predicted = np.empty(len(points))
    for k in range(N_FOLDS):
        known = fold != k
        model = Interpolation(points[known], output[known, None], fit(points[known], output[known]))
        predicted[~known] = [model(point)[0] for point in points[~known]]
    return predicted


def rank_correlation(a: np.ndarray, b: np.ndarray) -> float:
    """Spearman's."""
    return float(stats.spearmanr(a, b).statistic)
