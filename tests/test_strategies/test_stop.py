"""Stopping by extrapolated curves: what is stopped, what is not, and the error rate."""

import numpy as np
import pytest

import automl
from automl.space.parse import load_space
from strategies import make_strategy
from strategies.base import Outcome
from strategies.stop import MIN_COMPLETE, MIN_PROBABILITY, N_CONSECUTIVE, chances

SPACE = load_space({"x": {"float": [0, 1]}})
N_EPOCHS = 20


def curves(n, rng):
    """Noisy power laws with different levels, ranges and rates."""
    epochs = np.arange(1, N_EPOCHS + 1)
    level, span, speed = rng.gamma(2.0, 0.1, (n, 1)), rng.uniform(0.2, 1.0, (n, 1)), rng.uniform(0.5, 1.5, (n, 1))
    return level + span * epochs**-speed + rng.normal(0, 0.01, (n, N_EPOCHS))


def stopped_at(known, curve):
    below = chances(known, curve[:-1]) < MIN_PROBABILITY
    in_a_row = [n for n in range(N_CONSECUTIVE, N_EPOCHS) if below[n - N_CONSECUTIVE : n].all()]
    return min(in_a_row, default=N_EPOCHS)


def test_half_of_the_epochs_are_saved_with_few_wrong_stops():
    rng = np.random.default_rng(0)
    n_epochs, n_wrong, n = 0, 0, 2000
    for _ in range(n):
        known, curve = curves(8, rng), curves(1, rng)[0]
        end = stopped_at(known, curve)
        n_epochs += end
        n_wrong += end < N_EPOCHS and curve[-1] < known[:, -1].min()
    assert n_epochs / (n * N_EPOCHS) < 0.6
    assert n_wrong / n < 0.02


def test_the_probability_follows_the_t_distribution():
    """With drops that do not depend on the loss, only their mean and deviation matter."""
    from scipy.stats import t

    known = np.array([[1.0, 0.5], [1.0, 0.7], [1.0, 0.3], [1.0, 0.6], [1.0, 0.4]])
    drops = known[:, 1] - known[:, 0]
    mean, sd = 1.0 + drops.mean(), drops.std(ddof=1) * np.sqrt(1 + 1 / 5)
    assert chances(known, np.array([1.0])) == pytest.approx([t.cdf((0.3 - mean) / sd, 4)], rel=1e-6)


def test_nothing_is_stopped_until_enough_trials_are_complete():
    strategy = make_strategy("random+stop", SPACE, seed=0, n_trials=20, max_epochs=N_EPOCHS)
    rng = np.random.default_rng(1)
    hopeless = tuple(50.0 - epoch for epoch in range(N_EPOCHS - 1))
    for curve in curves(MIN_COMPLETE, rng):
        proposal = strategy.ask()
        assert not any(strategy.should_stop(proposal, hopeless[:n]) for n in range(1, N_EPOCHS))
        strategy.tell(Outcome(proposal, tuple(curve), 1.0))
    proposal = strategy.ask()
    assert any(strategy.should_stop(proposal, hopeless[:n]) for n in range(1, N_EPOCHS))


def test_a_single_bad_or_nan_epoch_stops_nothing():
    strategy = make_strategy("random+stop", SPACE, seed=0, n_trials=20, max_epochs=N_EPOCHS)
    for curve in curves(8, np.random.default_rng(2)):
        strategy.tell(Outcome(strategy.ask(), tuple(curve), 1.0))
    proposal = strategy.ask()
    best = min(strategy._complete, key=lambda curve: curve[-1])
    assert not any(strategy.should_stop(proposal, (*best[:n], 9.0)) for n in range(2, N_EPOCHS - 1))
    assert not any(strategy.should_stop(proposal, (float("nan"),) * n) for n in range(1, N_EPOCHS))


@pytest.mark.parametrize("wild", [1.0, 1e6, 1e200])
def test_equal_and_huge_losses_are_handled(wild):
    """A diverged trial neither prevents others from being stopped nor counts as good."""
    strategy = make_strategy("random+stop", SPACE, seed=0, n_trials=20, max_epochs=N_EPOCHS)
    for curve in [np.full(N_EPOCHS, wild), *(np.linspace(1, 0.5 + 0.01 * i, N_EPOCHS) for i in range(6))]:
        strategy.tell(Outcome(strategy.ask(), tuple(curve), 1.0))
    proposal = strategy.ask()
    for loss in (2.0, 1e200):
        assert any(strategy.should_stop(proposal, (loss,) * n) for n in range(1, N_EPOCHS))


def test_a_generator_is_stopped_and_the_epochs_go_to_more_configs():
    def training(config):
        for epoch in range(1, N_EPOCHS + 1):
            yield config["x"] + 1 / epoch

    result = automl.tune(training, SPACE, strategy="random+stop", n_trials=15, max_epochs=N_EPOCHS)
    stopped = [trial for trial in result.trials if trial.state == "stopped"]
    assert len(result.trials) > 20
    assert len(stopped) > 10
    assert all(trial.config["x"] > result.best.config["x"] for trial in stopped)
    assert result.best.epochs == N_EPOCHS
