"""The Gaussian process against closed forms, finite differences and Monte Carlo."""

import numpy as np
import pytest
from scipy import stats

from strategies import gaussian_process
from strategies.gaussian_process import GP, fit, negative_log_posterior

OWNER = np.array([0, 1, 1, 2])  # the second hyperparameter has two features
THETA = np.array([0.1, -0.3, 0.5, 0.2, -2.0])


def data(n: int = 25, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    X = rng.random((n, 4))
    y = np.sin(4 * X[:, 0]) + X[:, 1] ** 2 + 0.1 * rng.normal(size=n)
    return X, (y - y.mean()) / y.std()


def kernel(a: np.ndarray, b: np.ndarray, theta: np.ndarray) -> float:
    r = np.sqrt((((a - b) / np.exp(theta[:-2])[OWNER]) ** 2).sum())
    return np.exp(theta[-2]) * (1 + np.sqrt(5) * r + 5 * r**2 / 3) * np.exp(-np.sqrt(5) * r)


def test_prediction_is_the_conditional_normal():
    X, y = data(8)
    new = np.random.default_rng(1).random((3, 4))
    K = np.array([[kernel(a, b, THETA) for b in X] for a in X]) + (np.exp(-2.0) + gaussian_process.JITTER) * np.eye(8)
    k = np.array([[kernel(a, b, THETA) for b in X] for a in new])
    means, sd = GP.given(X, y[:, None], THETA, OWNER).predict(new)
    assert means[:, 0] == pytest.approx(k @ np.linalg.solve(K, y))
    assert sd**2 == pytest.approx(np.exp(0.2) - np.diag(k @ np.linalg.solve(K, k.T)))


def test_the_posterior_of_theta_is_the_normal_density_and_the_prior():
    X, y = data(8)
    K = np.array([[kernel(a, b, THETA) for b in X] for a in X]) + (np.exp(-2.0) + gaussian_process.JITTER) * np.eye(8)

    def log_prior(theta):
        x = np.exp(-2 * theta[:3])
        normal = (
            stats.norm(gaussian_process.SIGNAL_MEAN, gaussian_process.SIGNAL_SD),
            stats.norm(gaussian_process.NOISE_MEAN, gaussian_process.NOISE_SD),
        )
        return -gaussian_process.BARRIER * (1 / x + x).sum() + normal[0].logpdf(theta[3]) + normal[1].logpdf(theta[4])

    expected = stats.multivariate_normal(np.zeros(8), K).logpdf(y) + log_prior(THETA)
    other = THETA + np.array([0.2, -0.1, 0.3, 0.1, -0.5])
    K2 = np.array([[kernel(a, b, other) for b in X] for a in X]) + (np.exp(-2.5) + gaussian_process.JITTER) * np.eye(8)
    expected2 = stats.multivariate_normal(np.zeros(8), K2).logpdf(y) + log_prior(other)
    differences = gaussian_process.squared_differences(X, OWNER, 3)
    found = [negative_log_posterior(theta, differences, y)[0] for theta in (THETA, other)]
    assert found[1] - found[0] == pytest.approx(expected - expected2)


def in_pairs(n):
    """Noise with a correlation of one half between two neighbouring observations."""
    S = np.zeros((n, n))
    for i in range(0, n - 1, 2):
        S[i, i + 1] = S[i + 1, i] = 0.5
    return S


def test_correlated_noise_is_included_in_the_covariance():
    X, y = data()
    S, v = in_pairs(len(y)), np.exp(THETA[-1])
    K = np.array([[kernel(a, b, THETA) for b in X] for a in X]) + v * S + (v + gaussian_process.JITTER) * np.eye(len(y))
    new = X[:3] + 0.1
    k = np.array([[kernel(a, b, THETA) for b in X] for a in new])
    means, _ = GP.given(X, y[:, None], THETA, OWNER, S).predict(new)
    assert means[:, 0] == pytest.approx(k @ np.linalg.solve(K, y))


@pytest.mark.parametrize("correlated", [False, True])
def test_the_gradient_of_the_posterior_matches_finite_differences(correlated):
    X, y = data()
    S = in_pairs(len(y)) if correlated else None
    differences = gaussian_process.squared_differences(X, OWNER, 3)
    _, gradient = negative_log_posterior(THETA, differences, y, S)
    for i, step in enumerate(1e-5 * np.eye(5)):
        up, down = (negative_log_posterior(THETA + sign * step, differences, y, S)[0] for sign in (1, -1))
        assert gradient[i] == pytest.approx((up - down) / 2e-5, rel=1e-6)


def test_the_gradients_of_the_prediction_match_finite_differences():
    X, y = data()
    process = GP.given(X, np.column_stack([y, -y]), THETA, OWNER)
    new = np.random.default_rng(1).random((3, 4))
    means, sd, mean_gradients, sd_gradient = process.gradients(new)
    assert means == pytest.approx(process.predict(new)[0])
    assert sd == pytest.approx(process.predict(new)[1])
    for i, step in enumerate(1e-6 * np.eye(4)):
        up, down = process.predict(new + step), process.predict(new - step)
        assert mean_gradients[:, :, i] == pytest.approx((up[0] - down[0]) / 2e-6, rel=1e-5, abs=1e-8)
        assert sd_gradient[:, i] == pytest.approx((up[1] - down[1]) / 2e-6, rel=1e-5, abs=1e-8)


def test_adding_observations_equals_refitting_with_them():
    X, y = data(20)
    whole = GP.given(X, y[:, None], THETA, OWNER)
    grown = GP.given(X[:15], y[:15, None], THETA, OWNER).with_more(X[15:], y[15:, None])
    new = np.random.default_rng(1).random((5, 4))
    for a, b in zip(whole.predict(new), grown.predict(new), strict=True):
        assert a == pytest.approx(b, abs=1e-6)


def test_samples_have_the_mean_and_the_covariance_of_the_process():
    X, y = data(10)
    process = GP.given(X, y[:, None], THETA, OWNER)
    new = np.random.default_rng(1).random((2, 4))
    samples = process.sample(new, 20_000, np.random.default_rng(2))
    means, sd = process.predict(new)
    assert samples.mean(axis=1) == pytest.approx(means[:, 0], abs=0.03)
    assert samples.std(axis=1) == pytest.approx(np.sqrt(sd**2 + np.exp(-2.0)), abs=0.03)


def test_a_fit_finds_the_important_hyperparameter():
    X, y = data(60)
    process = fit(X, y, OWNER, None)
    lengths = np.exp(process.theta[:3])
    assert lengths[0] < lengths[2]  # the last hyperparameter has no effect
    assert np.exp(process.theta[-1]) < 0.1
    assert negative_log_posterior(process.theta, gaussian_process.squared_differences(X, OWNER, 3), y)[
        1
    ] == pytest.approx(0, abs=0.1)


def test_equal_losses_and_repeated_points_are_handled():
    X = np.repeat(np.random.default_rng(0).random((3, 4)), 5, axis=0)
    process = fit(X, np.zeros(15), OWNER, None)
    assert np.isfinite(process.predict(X)[0]).all()
    again = process.with_more(X, np.zeros((15, 1)))
    assert np.isfinite(again.predict(X)[1]).all()
