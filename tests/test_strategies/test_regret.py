"""The regret bound: its width, its gradients and its coverage."""

import numpy as np
import pytest
from scipy.linalg import cho_solve

from automl.space.parse import load_space
from strategies import make_strategy
from strategies._regret import RISK, LowerBound, regret_bound, width
from strategies.base import Outcome, Proposal
from strategies.encoding import Encoding
from strategies.features import Features
from strategies.gaussian_process import GP

SPACE = load_space({"x": {"float": [0, 1]}, "y": {"float": [0, 1]}})
THETA = np.array([-0.5, -0.5, 0.0, -4.0])


def bowl(config):
    return (config["x"] - 0.3) ** 2 + (config["y"] - 0.6) ** 2


def process(n=12):
    X = np.random.default_rng(0).random((n, 2))
    y = ((X - 0.4) ** 2).sum(axis=1)
    return GP.given(X, ((y - y.mean()) / y.std())[:, None], THETA, np.arange(2))


def train(strategy, n, noise=0.0):
    """Run sequential trials; returns the lowest observed loss and its noise-free value."""
    seen = []
    for _ in range(n):
        proposal = strategy.ask()
        worth = bowl(proposal.config)
        seen.append((worth + noise * np.random.default_rng(proposal.trial).normal(), worth))
        strategy.tell(Outcome(proposal, seen[-1][:1], 1.0))
    return min(seen)


def test_the_width_is_that_of_the_paper():
    assert width(20, 3) == pytest.approx(np.sqrt(2 * np.log(3 * 400 * np.pi**2 / 0.6) / 5))


def test_samples_of_the_process_violate_the_bound_at_most_at_the_risk_level():
    """Noise-free posterior samples, jointly at the best point and on a grid."""
    model = process(6)
    grid = np.stack(np.meshgrid(np.linspace(0, 1, 21), np.linspace(0, 1, 21)), axis=-1).reshape(-1, 2)
    best = model.X[model.Y[:, 0].argmin()]
    at = np.concatenate([best[None], grid])
    k = model.covariance(at)
    prior = GP.given(at, np.zeros((len(at), 1)), model.theta, model.hyperparameter).covariance(at)
    covariance = prior - k @ cho_solve((model.L, True), k.T) + 1e-8 * np.eye(len(at))
    draws = np.random.default_rng(0).multivariate_normal((k @ model.alpha)[:, 0], covariance, 2000, method="cholesky")
    regrets = draws[:, 0] - draws.min(axis=1)
    bound = regret_bound(model, Features(Encoding(SPACE)), best, grid)
    assert np.mean(regrets > bound) <= RISK
    assert bound < 4 * np.quantile(regrets, 1 - RISK)  # and it is not uselessly wide


def test_the_bound_is_the_upper_bound_at_the_best_minus_the_lowest_lower_bound():
    model, features = process(), Features(Encoding(SPACE))
    best = model.X[3]
    grid = np.stack(np.meshgrid(np.linspace(0, 1, 201), np.linspace(0, 1, 201)), axis=-1).reshape(-1, 2)
    means, sd = model.predict(grid)
    mean, own = model.predict(best[None])
    k = width(12, 2)
    expected = mean[0, 0] + k * own[0] - (means[:, 0] - k * sd).min()
    found = regret_bound(model, features, best, np.random.default_rng(0).random((50, 2)))
    assert found == pytest.approx(expected, abs=1e-3)


def test_the_gradients_of_the_lower_bound_match_finite_differences():
    lower, at = LowerBound(process(), 2.0), np.random.default_rng(1).random((5, 2))
    values, gradients = lower.gradients(at)
    assert values == pytest.approx(lower(at))
    for i, step in enumerate(1e-6 * np.eye(2)):
        slope = (lower(at + step) - lower(at - step)) / 2e-6
        assert gradients[:, i] == pytest.approx(slope, rel=1e-4, abs=1e-6)


@pytest.mark.parametrize("noise", [0.0, 0.02])
def test_the_best_trial_is_as_good_as_the_bound_claims(noise):
    for seed in range(3):
        strategy = make_strategy("bo", SPACE, seed=seed, n_trials=40)
        early = train(strategy, 10, noise)
        assert early[1] <= strategy.regret_bound().regret
        late = min(early, train(strategy, 6, noise))
        assert late[1] <= strategy.regret_bound().regret


def test_the_bound_decreases_with_data_and_the_noise_is_estimated():
    quiet, noisy = (make_strategy("bo", SPACE, seed=0, n_trials=40) for _ in range(2))
    train(quiet, 10)
    before = quiet.regret_bound()
    train(quiet, 10)
    assert quiet.regret_bound().regret < 0.5 * before.regret
    train(noisy, 35, noise=0.05)
    assert noisy.regret_bound().noise == pytest.approx(0.05, rel=0.5)


def test_there_is_no_bound_before_the_initial_design_is_complete():
    strategy = make_strategy("bo", SPACE, seed=0, n_trials=40)
    asked = [strategy.ask() for _ in range(8)]
    for proposal in asked[:6]:
        strategy.tell(Outcome(proposal, (bowl(proposal.config),), 1.0))
    strategy.ask()  # by the model, though two trials of the design are still in training
    assert strategy.regret_bound() is None
    strategy.tell(Outcome(asked[6], (), 1.0, "out of memory"))  # a failure carries no loss
    assert strategy.regret_bound() is None
    strategy.tell(Outcome(asked[7], (bowl(asked[7].config),), 1.0))
    assert strategy.regret_bound() is None
    train(strategy, 2)
    assert strategy.regret_bound() is not None


def test_constant_losses_give_no_bound():
    strategy = make_strategy("bo", SPACE, seed=0, n_trials=40)
    for _ in range(12):
        strategy.tell(Outcome(strategy.ask(), (1.0,), 1.0))
    assert strategy.regret_bound() is None


@pytest.mark.parametrize("spec", ["bo", "bo+asha"])
def test_the_bound_changes_no_state_and_is_the_same_after_a_restore(spec):
    strategy, twin, restored = (make_strategy(spec, SPACE, seed=1, n_trials=40, max_epochs=9) for _ in range(3))
    bounds = []
    for _ in range(18):
        proposal = strategy.ask()
        assert twin.ask() == proposal
        outcome = Outcome(proposal, tuple(bowl(proposal.config) + 1 / (i + 1) for i in range(proposal.epochs)), 1.0)
        for each in (strategy, twin):
            each.tell(outcome)
        restored.restore(proposal)
        restored.tell(outcome)
        bounds.append(strategy.regret_bound())
    assert bounds[-1] is not None
    assert restored.regret_bound() == bounds[-1]
    assert strategy.ask() == twin.ask() == restored.ask()


def test_warm_starts_and_short_trainings_are_never_the_best_trial():
    strategy = make_strategy("bo", SPACE, seed=0, n_trials=40, max_epochs=9)
    for i in range(12):
        strategy.tell(Outcome(Proposal(-1 - i, {"x": i / 12, "y": 0.5}, 9), (float(i),), 1.0))
    strategy.ask()
    assert strategy.regret_bound() is None
