"""A Gaussian process with a Matern 5/2 kernel: C. Rasmussen and C. Williams, Gaussian Processes for Machine Learning.

Glossary: n observations, m new points, D features, d hyperparameters of the space; X (n, D) features, y (n,) losses,
standardised; l (d,) lengthscales, s2 signal variance, v noise variance; theta = (log l, log s2, log v), shape (d + 2,);
S (n, n) correlations of the noise of different observations, 0 on the diagonal; K (n, n) covariance of the observations
with noise, L its Cholesky factor, alpha = K^-1 y; f columns of losses that share theta (f = 1 without pending trials,
else one per fantasy of their losses).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy.linalg import cho_solve, cholesky, solve_triangular
from scipy.linalg.lapack import dpotrf, dpotri, dpotrs, dtrtrs  # at these sizes, scipy's wrappers double the time
from scipy.optimize import minimize

JITTER = 1e-8
MIN_VARIANCE = 1e-12
# With few observations, a fitted lengthscale may be so long that its hyperparameter has no effect, or so short that
# every loss is explained separately. The prior prevents both: with x = 1 / l^2, its log is -BARRIER (1/x + x), the form
# used by Optuna's Gaussian process. Signal and noise variance have log-normal priors.
BARRIER = 0.1
SIGNAL_MEAN, SIGNAL_SD = 0.0, 1.0
NOISE_MEAN, NOISE_SD = -6.0, 1.5
START_LENGTHSCALE = -0.7  # log l
BOUNDS = {"lengthscale": (-4.0, 4.0), "signal": (-4.0, 4.0), "noise": (-14.0, 1.0)}


@dataclass(frozen=True)
class GP:
    """A fitted Gaussian process of the loss, for each of f columns of losses."""

    X: np.ndarray  # (n, D)
    Y: np.ndarray  # (n, f)
    theta: np.ndarray  # (d + 2,)
    hyperparameter: np.ndarray  # (D,): the hyperparameter that each feature belongs to
    L: np.ndarray  # (n, n)
    alpha: np.ndarray  # (n, f)

    @classmethod
    def given(
        cls,
        X: np.ndarray,
        Y: np.ndarray,
        theta: np.ndarray,
        hyperparameter: np.ndarray,
        S: np.ndarray | None = None,
    ) -> GP:
        """The process with a given theta, conditioned on observations. ``S`` defaults to zero."""
        K = cls.kernel(X, X, theta, hyperparameter)
        add_noise(K, np.exp(theta[-1]), S)
        L = cholesky(K, lower=True, overwrite_a=True, check_finite=False)
        return cls(X, Y, theta, hyperparameter, L, cho_solve((L, True), Y, check_finite=False))

    @classmethod
    def kernel(cls, A: np.ndarray, B: np.ndarray, theta: np.ndarray, hyperparameter: np.ndarray) -> np.ndarray:
        """Covariances of the noise-free loss at points (m, D) and (n, D), (m, n). ``gradients`` has its slopes."""
        lengths = lengthscales(theta, hyperparameter)
        a = A / lengths
        return matern(squared_distances(a, a if B is A else B / lengths), np.exp(theta[-2]))

    def predict(self, X: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Means (m, f) and standard deviations (m,) of the noise-free loss at new points (m, D)."""
        k = self.covariance(X)
        v, _ = dtrtrs(self.L, k.T, lower=1)
        variance = np.exp(self.theta[-2]) - (v**2).sum(axis=0)
        return k @ self.alpha, np.sqrt(np.maximum(variance, MIN_VARIANCE))

    def means(self, X: np.ndarray) -> np.ndarray:
        """The means of ``predict``, at a fraction of the cost."""
        return np.asarray(self.covariance(X) @ self.alpha)

    def covariance(self, X: np.ndarray) -> np.ndarray:
        """Covariances of new points with the observations, shape (m, n)."""
        return self.kernel(X, self.X, self.theta, self.hyperparameter)

    def gradients(self, X: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Means and deviations as in ``predict``, and their gradients in the features: (m, f, D) and (m, D)."""
        lengths = lengthscales(self.theta, self.hyperparameter)
        scaled = (X[:, None] - self.X[None]) / lengths  # (m, n, D)
        r2 = (scaled**2).sum(axis=2)
        signal = np.exp(self.theta[-2])
        k = matern(r2, signal)
        root = np.sqrt(5.0 * r2)
        # dk/dx = -(5/3) s2 (1 + sqrt(5) r) exp(-sqrt(5) r) (x - x_i) / l^2
        slope = (-(5.0 / 3.0) * signal * (1.0 + root) * np.exp(-root))[:, :, None] * (scaled / lengths)
        solved = dpotrs(self.L, k.T, lower=1)[0].T  # K^-1 k, (m, n)
        sd = np.sqrt(np.maximum(signal - (k * solved).sum(axis=1), MIN_VARIANCE))
        mean_gradients = self.alpha.T @ slope
        sd_gradient = -(solved[:, None] @ slope)[:, 0] / sd[:, None]
        return k @ self.alpha, sd, mean_gradients, sd_gradient

    def sample(self, X: np.ndarray, n_samples: int, rng: np.random.Generator) -> np.ndarray:
        """Joint samples of the observed (noisy) loss at new points, (m, D) to (m, n_samples), for the first column."""
        k = self.covariance(X)
        own = self.kernel(X, X, self.theta, self.hyperparameter)
        v = solve_triangular(self.L, k.T, lower=True, check_finite=False)
        own = own - v.T @ v
        own[np.diag_indices_from(own)] += np.exp(self.theta[-1]) + 1e-6
        root = cholesky(own, lower=True, check_finite=False)
        return np.asarray(k @ self.alpha[:, :1] + root @ rng.standard_normal((len(X), n_samples)))

    def with_more(self, X: np.ndarray, Y: np.ndarray) -> GP:
        """The process conditioned on further observations, by extending the Cholesky factor."""
        own = self.kernel(X, X, self.theta, self.hyperparameter)
        own[np.diag_indices_from(own)] += np.exp(self.theta[-1]) + JITTER
        lower = solve_triangular(self.L, self.covariance(X).T, lower=True, check_finite=False).T  # (m, n)
        corner = cholesky(own - lower @ lower.T + JITTER * np.eye(len(X)), lower=True, check_finite=False)
        n, m = len(self.X), len(X)
        L = np.zeros((n + m, n + m))
        L[:n, :n], L[n:, :n], L[n:, n:] = self.L, lower, corner
        everything = np.concatenate([np.broadcast_to(self.Y, (n, Y.shape[1])), Y])
        alpha = cho_solve((L, True), everything, check_finite=False)
        return replace(self, X=np.concatenate([self.X, X]), Y=everything, L=L, alpha=alpha)


def fit(
    X: np.ndarray,
    y: np.ndarray,
    hyperparameter: np.ndarray,
    last: np.ndarray | None,
    max_steps: int = 60,
    max_noise: float = BOUNDS["noise"][1],
    S: np.ndarray | None = None,
) -> GP:
    """The process with the maximum a posteriori theta, with log v up to ``max_noise``.

    With few observations the posterior is multimodal: the fit starts from short lengthscales and from the last theta.
    """
    d = int(hyperparameter.max()) + 1
    start = np.array([START_LENGTHSCALE] * d + [SIGNAL_MEAN, NOISE_MEAN])
    differences = squared_differences(X, hyperparameter, d)
    bounds = [BOUNDS["lengthscale"]] * d + [BOUNDS["signal"], (BOUNDS["noise"][0], max_noise)]
    highest = [high for _, high in bounds]
    found = [
        minimize(
            negative_log_posterior, np.minimum(start, highest), args=(differences, y, S), jac=True,
            method="L-BFGS-B", bounds=bounds, options={"maxiter": max_steps, "ftol": 1e-6},
        )
        for start in ([start] if last is None else [start, last])
    ]  # fmt: skip
    best = min(found, key=lambda result: float(result.fun))
    return GP.given(X, y[:, None], best.x, hyperparameter, S)


def negative_log_prior(theta: np.ndarray) -> tuple[float, np.ndarray]:
    """The negative log prior of theta, up to a constant, and its gradient."""
    x = np.exp(-2.0 * theta[:-2])
    scaled = (theta[-2:] - (SIGNAL_MEAN, NOISE_MEAN)) / (SIGNAL_SD, NOISE_SD)
    gradient = np.concatenate([2.0 * BARRIER * (1.0 / x - x), scaled / (SIGNAL_SD, NOISE_SD)])
    return float(BARRIER * (1.0 / x + x).sum() + 0.5 * (scaled**2).sum()), gradient


def negative_log_posterior(
    theta: np.ndarray, differences: np.ndarray, y: np.ndarray, S: np.ndarray | None = None
) -> tuple[float, np.ndarray]:
    """The negative log posterior of theta, up to a constant, and its gradient.

    ``differences``: squared differences by hyperparameter, (d, n, n). Rasmussen and Williams, equations 5.8 and 5.9,
    plus the prior.
    """
    d, n = len(differences), len(y)
    inverse_squares = np.exp(-2.0 * theta[:d])
    r2 = (inverse_squares @ differences.reshape(d, n * n)).reshape(n, n)
    root = np.sqrt(5.0 * r2)
    decay = np.exp(theta[-2]) * np.exp(-root)
    K_signal = (1.0 + root + root**2 / 3.0) * decay
    K = K_signal.copy()
    add_noise(K, np.exp(theta[-1]), S)
    L, not_positive = dpotrf(K, lower=1)
    if not_positive:
        return 1e25, np.zeros_like(theta)
    alpha, _ = dpotrs(L, y, lower=1)
    inverse, _ = dpotri(L, lower=1)
    inverse = np.tril(inverse) + np.tril(inverse, -1).T
    W = inverse - np.outer(alpha, alpha)  # twice the derivative with respect to K
    gradient = np.empty_like(theta)
    # dK/dlog l_j = (5/3) s2 (1 + sqrt(5) r) exp(-sqrt(5) r) (x_j - x'_j)^2 / l_j^2
    by_r2 = W * ((5.0 / 3.0) * (1.0 + root) * decay)
    gradient[:-2] = 0.5 * inverse_squares * (differences.reshape(d, n * n) @ by_r2.ravel())
    gradient[-2] = 0.5 * np.sum(W * K_signal)
    gradient[-1] = 0.5 * np.exp(theta[-1]) * (np.trace(W) + (0.0 if S is None else np.sum(W * S)))
    penalty, slope = negative_log_prior(theta)
    return float(0.5 * y @ alpha + np.log(np.diag(L)).sum()) + penalty, gradient + slope


def add_noise(K: np.ndarray, v: float, S: np.ndarray | None) -> None:
    """Add noise of variance v, with correlations S (n, n) if given, to the covariance K (n, n) in place."""
    K[np.diag_indices_from(K)] += v + JITTER
    if S is not None:
        K += v * S


def lengthscales(theta: np.ndarray, hyperparameter: np.ndarray) -> np.ndarray:
    """The lengthscale of each feature, (D,): that of its hyperparameter."""
    return np.asarray(np.exp(theta[:-2])[hyperparameter])


def matern(r2: np.ndarray, signal: float) -> np.ndarray:
    """Matern 5/2 covariances at squared distances r2, of the same shape: Rasmussen and Williams, equation 4.17."""
    root = np.sqrt(5.0 * r2)
    return np.asarray(signal * (1.0 + root + root**2 / 3.0) * np.exp(-root))


def squared_distances(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Squared Euclidean distances of points (m, D) and (n, D), (m, n)."""
    squares = (a**2).sum(axis=1)[:, None] + (b**2).sum(axis=1)[None] - 2.0 * a @ b.T
    return np.asarray(np.maximum(squares, 0.0))


def squared_differences(X: np.ndarray, hyperparameter: np.ndarray, d: int) -> np.ndarray:
    """Squared differences of all pairs of observations, summed by hyperparameter, (d, n, n)."""
    result = np.zeros((d, len(X), len(X)))
    for feature, owner in enumerate(hyperparameter):
        column = X[:, feature]
        result[owner] += (column[:, None] - column[None]) ** 2
    return result
