"""Beliefs about the optimum: distributions, gradients, and that they guide without limiting."""

import numpy as np
import pytest
from scipy import stats
from scipy.optimize import approx_fprime

from automl.space.parse import load_space
from strategies import make_strategy
from strategies._acquisition import BeliefWeighted, LogEI
from strategies._beliefs import Beliefs, power_of
from strategies.base import Outcome
from strategies.encoding import Encoding
from strategies.features import Features
from strategies.gaussian_process import fit

FORM = {
    "lr": {"float": [1e-4, 1.0], "log": True, "prior": {"around": 1e-3, "sure": 0.6}},
    "n": {"int": [1, 50]},
    "c": {"choice": ["a", "b", "d"], "prior": {"around": "b", "sure": 0.4}},
}
ENCODING = Encoding(load_space(FORM))


def test_points_are_distributed_as_believed():
    beliefs, rng = Beliefs(ENCODING.dimensions), np.random.default_rng(0)
    points = np.array([beliefs.drawn(u) for u in rng.random((4000, 3))])
    normal = stats.truncnorm(-0.25 / 0.2, 0.75 / 0.2, loc=0.25, scale=0.2)  # 1e-3 is a quarter of the way; (1 - 0.6)/2
    assert stats.kstest(points[:, 0], normal.cdf).pvalue > 0.01
    assert stats.kstest(points[:, 1], "uniform").pvalue > 0.01
    shares = np.bincount((points[:, 2] * 3).astype(int), minlength=3) / 4000
    assert shares == pytest.approx([0.2, 0.6, 0.2], abs=0.03)


def test_without_a_belief_nothing_moves():
    beliefs = Beliefs(Encoding(load_space({"x": {"float": [0, 1]}})).dimensions)
    assert not beliefs
    assert beliefs.drawn(np.array([0.3])).tolist() == [0.3]


def test_the_gradient_is_that_of_the_acquisition_times_the_density():
    rng = np.random.default_rng(1)
    features = Features(ENCODING)
    X = features.features(rng.random((12, 3)))
    gp = fit(X, rng.standard_normal(12), features.hyperparameter, None)
    believed = BeliefWeighted(LogEI(gp, np.array([-1.0])), Beliefs(ENCODING.dimensions), features, 0.7)
    at = features.features(rng.random((1, 3)))
    value, gradient = believed.gradients(at)
    assert value == pytest.approx(believed(at))
    slope = approx_fprime(at[0], lambda x: believed(x[None])[0], 1e-7)
    assert gradient[0, :2] == pytest.approx(slope[:2], abs=1e-4)  # choices are not searched with gradients


def test_a_belief_counts_only_where_its_hyperparameter_is_active():
    form = {
        "optimizer": {"choice": ["sgd", "adam"]},
        "momentum": {"float": [0, 1], "when": {"optimizer": "sgd"}, "prior": {"around": 0.9, "sure": 0.6}},
        "nesterov": {"choice": [True, False], "when": {"optimizer": "sgd"}, "prior": {"around": True, "sure": 0.5}},
    }
    encoding = Encoding(load_space(form))
    features, beliefs = Features(encoding), Beliefs(encoding.dimensions)
    grid = np.array([[0.25, u, v] for u in np.linspace(0, 1, 401) for v in (0.25, 0.75)])
    active = features.features(grid)
    assert np.exp(beliefs.log_density(features, active)).mean() == pytest.approx(1.0, abs=0.01)
    assert beliefs.gradient(features, active).any()
    grid[:, 0] = 0.75
    inactive = features.features(grid)
    assert not beliefs.log_density(features, inactive).any()
    assert not beliefs.gradient(features, inactive).any()


def test_the_power_decays():
    assert power_of(50, 10) == pytest.approx(0.5)
    assert power_of(50, 50) == pytest.approx(0.1)
    assert power_of(None, 10) == pytest.approx(0.5)


def best_after(form, n, seed):
    strategy = make_strategy("bo", load_space(form), seed=seed, n_trials=n)
    losses = []
    for _ in range(n):
        proposal = strategy.ask()
        x = [proposal.config[name] for name in ("x", "y", "z")]
        losses.append(sum((a - b) ** 2 for a, b in zip(x, (0.9, 0.1, 0.8), strict=True)))
        strategy.tell(Outcome(proposal, (losses[-1],), 0.0))
    return min(losses)


def test_a_belief_guides_and_a_wrong_one_does_not_limit():
    def form(*around):
        priors = [{"prior": {"around": a, "sure": 0.8}} for a in around] or [{}] * 3
        return {name: {"float": [0.0, 1.0], "default": 0.5, **prior} for name, prior in zip("xyz", priors, strict=True)}

    def median(form, n):
        return np.median([best_after(form, n, seed) for seed in range(5)])

    assert median(form(0.9, 0.1, 0.8), 8) < 0.5 * median(form(), 8)
    assert median(form(0.1, 0.9, 0.2), 30) < 0.01
