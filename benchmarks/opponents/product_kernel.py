"""A Gaussian process over learning curves whose kernel is a product. Glossary as in ``strategies.gaussian_process``.

k((x, t), (x', t')) = s2 M(x, x') M(t, t') with Matern 5/2 kernels M of the config x and of the share t of a full
training, in place of one M over both: K. Swersky et al., Multi-Task Bayesian Optimization (NeurIPS 2013), with M in
place of a free covariance of tasks.
"""

from __future__ import annotations

import numpy as np
from scipy.linalg.lapack import dpotrs

from strategies import gaussian_process
from strategies.bayesian import BayesianOptimization
from strategies.gaussian_process import GP, MIN_VARIANCE, lengthscales, matern, squared_distances


class ProductGP(GP):
    """The process with the product kernel; the share of a full training is the last feature."""

    @classmethod
    def kernel(cls, A: np.ndarray, B: np.ndarray, theta: np.ndarray, hyperparameter: np.ndarray) -> np.ndarray:
        of_config, of_share = _parts(A, B, theta, hyperparameter)
        return np.asarray(matern(of_config, np.exp(theta[-2])) * matern(of_share, 1.0))

    def gradients(self, X: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        lengths = lengthscales(self.theta, self.hyperparameter)
        scaled = (X[:, None] - self.X[None]) / lengths  # (m, n, D)
        of_config, of_share = _parts(X, self.X, self.theta, self.hyperparameter)
        signal = np.exp(self.theta[-2])
        k = matern(of_config, signal) * matern(of_share, 1.0)
        slope = -scaled / lengths
        slope[:, :, :-1] *= (_decay(of_config, signal) * matern(of_share, 1.0))[:, :, None]
        slope[:, :, -1] *= matern(of_config, signal) * _decay(of_share, 1.0)
        solved = dpotrs(self.L, k.T, lower=1)[0].T
        sd = np.sqrt(np.maximum(signal - (k * solved).sum(axis=1), MIN_VARIANCE))
        return k @ self.alpha, sd, self.alpha.T @ slope, -(solved[:, None] @ slope)[:, 0] / sd[:, None]


class ProductKernelSearch(BayesianOptimization):
    """Uses the product kernel once there are short trainings, and then fits it at every proposal."""

    def _fitted(self, X: np.ndarray, y: np.ndarray, n_told: int) -> GP:
        if not self._features.with_epochs:
            return super()._fitted(X, y, n_told)
        owner, theta = self._features.hyperparameter, self._theta
        self._n_used = n_told
        last = theta if theta is not None and len(theta) == owner.max() + 3 else None
        return gaussian_process.fit(
            X, y, owner, last, max_noise=self._noise_ceiling(y), S=self._noise,
            process=ProductGP, objective=negative_log_posterior,
        )  # fmt: skip


def negative_log_posterior(
    theta: np.ndarray, differences: np.ndarray, y: np.ndarray, S: np.ndarray | None = None
) -> tuple[float, np.ndarray]:
    """As ``strategies.gaussian_process.negative_log_posterior``."""
    d, n = len(differences), len(y)
    flat, inverse_squares = differences.reshape(d, n * n), np.exp(-2.0 * theta[:d])
    of_config = (inverse_squares[:-1] @ flat[:-1]).reshape(n, n)
    of_share, signal = inverse_squares[-1] * differences[-1], np.exp(theta[-2])
    K_config, K_share = matern(of_config, signal), matern(of_share, 1.0)

    def slopes(W: np.ndarray) -> np.ndarray:
        by_config, by_share = W * K_share * _decay(of_config, signal), W * K_config * _decay(of_share, 1.0)
        by_length = np.append(flat[:-1] @ by_config.ravel(), flat[-1] @ by_share.ravel())
        return np.asarray(0.5 * inverse_squares * by_length)

    return gaussian_process.posterior_of(theta, K_config * K_share, slopes, y, S)


def _parts(
    A: np.ndarray, B: np.ndarray, theta: np.ndarray, hyperparameter: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Squared scaled distances of configs and of shares, both (m, n)."""
    lengths = lengthscales(theta, hyperparameter)
    a, b = A / lengths, B / lengths
    return squared_distances(a[:, :-1], b[:, :-1]), squared_distances(a[:, -1:], b[:, -1:])


def _decay(r2: np.ndarray, signal: float) -> np.ndarray:
    """Minus twice the derivative of the kernel by r2: (5/3) s2 (1 + sqrt(5) r) exp(-sqrt(5) r)."""
    root = np.sqrt(5.0 * r2)
    return np.asarray((5.0 / 3.0) * signal * (1.0 + root) * np.exp(-root))
