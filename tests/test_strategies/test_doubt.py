"""Corrections to the fitted process: tied losses and a stalled search."""

import numpy as np
import pytest

from automl.space.parse import load_space
from strategies import gaussian_process, make_strategy
from strategies._doubt import MIN_FACTOR, STUCK_AFTER, doubted, noise_ceiling, shrinkage
from strategies.base import Outcome
from strategies.gaussian_process import GP, fit

NONE = gaussian_process.BOUNDS["noise"][1]
SPACE = {"x": {"float": [0, 1]}, "y": {"float": [0, 1]}}


def standardised(losses: np.ndarray) -> np.ndarray:
    return (losses - losses.mean()) / losses.std()


def test_exact_ties_rule_out_noise():
    rng = np.random.default_rng(0)
    losses = np.concatenate([np.full(5, 0.619627), rng.normal(0.65, 0.02, 15), rng.normal(0.8, 0.02, 10)])
    assert noise_ceiling(standardised(losses)) < -4


@pytest.mark.parametrize("n_valid", [100, 400, 1000])
def test_ties_by_chance_do_not_rule_out_noise(n_valid):
    """Accuracies on few examples often tie: the actual noise must stay allowed."""
    for seed in range(20):
        rng = np.random.default_rng(seed)
        accuracy = np.round(rng.normal(0.8, 0.05, 40) * n_valid) / n_valid
        assert noise_ceiling(standardised(1 - accuracy)) > -2


def test_failures_and_plateaus_at_the_worst_loss_do_not_bound_noise():
    rng = np.random.default_rng(0)
    losses = np.concatenate([np.full(25, 0.9), rng.normal(0.5, 0.1, 10)])
    assert noise_ceiling(standardised(losses)) == NONE
    assert noise_ceiling(np.zeros(12)) == NONE


def test_a_fit_stays_below_the_noise_ceiling():
    rng = np.random.default_rng(0)
    X = rng.random((30, 2))
    y = standardised(rng.normal(size=30))
    owner = np.arange(2)
    free = fit(X, y, owner, None)
    assert free.theta[-1] > -2
    assert fit(X, y, owner, free.theta, max_noise=-7.0).theta[-1] <= -7.0


def test_lengthscales_shrink_without_improvement_and_recover_after_one():
    stuck = np.array([1.0, 0.5] + [0.7] * 40)
    factors = [shrinkage(stuck[:n]) for n in range(1, 43)]
    assert factors[: STUCK_AFTER + 2] == [1.0] * (STUCK_AFTER + 2)
    assert (np.diff(factors) <= 0).all()
    assert factors[-1] == MIN_FACTOR
    assert shrinkage(np.append(stuck, 0.4)) == 1.0


def test_a_stalled_search_is_reported():
    def told(losses):
        strategy = make_strategy("bo", load_space(SPACE), seed=0, n_trials=40)
        for loss in losses:
            strategy.tell(Outcome(strategy.ask(), (loss,), 1.0))
        return strategy.findings

    assert told([1.0, 0.5, 0.7, 0.6]) == []
    assert "in the last 9 trials" in told([1.0, 0.5] + [0.7 + 0.01 * n for n in range(9)])[0]


def test_shorter_lengthscales_increase_uncertainty_away_from_observations():
    rng = np.random.default_rng(0)
    X = rng.random((12, 2))
    gp = GP.given(X, rng.normal(size=(12, 1)), np.array([-0.7, 0.3, 0.0, -8.0]), np.arange(2))
    other = doubted(gp, 0.5, 2)
    assert other.theta == pytest.approx(gp.theta + np.log([0.5, 0.5, 1, 1]))
    away = rng.random((50, 2))
    assert (other.predict(away)[1] > gp.predict(away)[1]).all()
    assert other.predict(X)[0] == pytest.approx(gp.Y, abs=0.05)
    assert doubted(gp, 1.0, 2) is gp


def test_the_search_uses_both_corrections():
    """Noisy losses, then a plateau: the noise is bounded, and every second ask shortens the lengthscales."""
    strategy, rng = make_strategy("bo", load_space(SPACE), seed=0, n_trials=30), np.random.default_rng(0)
    proposals = []
    for trial in range(30):
        proposals.append(strategy.ask())
        loss = [0.1, 0.2][trial % 2] if trial >= 14 else round(0.1 + rng.random(), 6)
        strategy.tell(Outcome(proposals[-1], (loss,), 0.0))
    factors = [proposal.info.get("lengthscales", 1.0) for proposal in proposals]
    assert factors[14] == factors[15] == 1.0  # a new best
    assert all(factor == 1.0 for factor in factors[1::2])
    assert all(0 < later < earlier < 1 for earlier, later in zip(factors[22:26:2], factors[24:28:2], strict=True))
    assert proposals[12].info["theta"][-1] > -9
    assert proposals[-1].info["theta"][-1] < -4
