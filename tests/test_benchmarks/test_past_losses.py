"""The process whose mean past studies predict: its predictions, its gradients, and searches with it."""

import numpy as np
import pytest

from automl.space.parse import load_space
from benchmarks.opponents.past_losses import MAX_TRIALS, GPWithMean, WithPastLosses, combined, rank_correlations
from strategies._acquisition import LogEI
from strategies.base import Outcome
from strategies.encoding import Encoding
from strategies.gaussian_process import GP
from strategies.portfolio import PastStudy

OWNER = np.arange(2)
SPACE = load_space({"x": {"float": [0, 1], "default": 0.1}, "y": {"float": [0, 1], "default": 0.1}})


def loss(config, lowest=0.7):
    return (config["x"] - lowest) ** 2 + (config["y"] - 0.8) ** 2


def studies(sign=1.0):
    rng, encoding = np.random.default_rng(0), Encoding(SPACE)
    configs = [encoding.decode(point) for point in rng.random((40, 2))]
    return [PastStudy(f"bowl-{at}", SPACE, configs, [sign * loss(c, at) for c in configs]) for at in (0.75, 0.8)]


def process():
    """A process with a mean, and its observations."""
    rng = np.random.default_rng(0)
    past = GP.given(rng.random((9, 2)), rng.normal(size=(9, 3)), np.array([-0.5, 0.2, 0.0, -4.0]), OWNER)
    mean = combined(past, np.array([0.5, 0.2, 0.0]))
    X, y = rng.random((6, 2)), rng.normal(size=(6, 1))
    residuals = GP.given(X, y - mean.means(X), np.array([-0.3, 0.1, 0.2, -12.0]), OWNER)
    return GPWithMean.of(residuals, mean), X, y


def test_it_follows_the_studies_far_from_its_observations_and_the_losses_at_them():
    gp, X, y = process()
    far = np.array([[30.0, 30.0]])
    assert gp.predict(far)[0] == pytest.approx(gp.mean.means(far))
    assert gp.means(X) == pytest.approx(y, abs=0.05)
    assert gp.predict(X)[0] == pytest.approx(gp.means(X))
    assert gp.sample(X, 4000, np.random.default_rng(0)).mean(axis=1) == pytest.approx(gp.means(X)[:, 0], abs=0.02)


def test_further_observations_equal_a_new_process():
    gp, X, y = process()
    new, losses = np.array([[0.4, 0.9], [0.1, 0.2]]), np.array([[0.3, 1.0], [-0.2, 0.5]])
    more = gp.with_more(new, losses)
    everything = np.concatenate([np.repeat(y, 2, axis=1), losses])
    at = np.concatenate([X, new])
    again = GP.given(at, everything - gp.mean.means(at), gp.theta, OWNER)
    assert more.means(new + 0.05) == pytest.approx(again.means(new + 0.05) + gp.mean.means(new + 0.05), abs=1e-5)


def test_gradients_of_the_acquisition_match_finite_differences():
    acquisition = LogEI(process()[0], np.array([-0.5]))
    X, step = np.random.default_rng(3).random((5, 2)), 1e-6
    value, gradients = acquisition.gradients(X)
    assert value == pytest.approx(acquisition(X))
    for i, move in enumerate(step * np.eye(2)):
        difference = (acquisition(X + move) - acquisition(X - move)) / (2 * step)
        assert gradients[:, i] == pytest.approx(difference, rel=1e-4, abs=1e-6)


def test_rank_correlations_are_shrunk_towards_zero():
    y = np.array([1.0, 2.0, 3.0, 4.0])
    assert rank_correlations(np.stack([y, -y], axis=1), y) == pytest.approx([6 / 9, -6 / 9])


def searched(strategy, n):
    configs = []
    for _ in range(n):
        proposal = strategy.ask()
        strategy.tell(Outcome(proposal, (loss(proposal.config),), 0.0))
        configs.append(proposal.config)
    return configs


def test_it_searches_where_the_studies_and_the_losses_point_to_and_a_prefix_is_restored():
    first, other = (WithPastLosses(SPACE, studies=studies(), task="new", seed=0) for _ in range(2))
    configs = searched(first, 11)
    assert loss(configs[8]) < 0.02  # the first one after the initial design
    for outcome in [*first.outcomes.values()]:
        other.restore(outcome.proposal)
        other.tell(outcome)
    assert other.ask() == first.ask()


def test_misleading_studies_are_not_used_and_after_a_while_no_studies_are():
    strategy = WithPastLosses(SPACE, studies=studies(sign=-1.0), task="new", seed=0)
    plain = WithPastLosses(SPACE, studies=[], task="new", seed=0)
    assert searched(strategy, 11) == searched(plain, 11)
    helped = WithPastLosses(SPACE, studies=studies(), task="new", seed=0)
    searched(helped, 9)
    assert helped._mean is not None
    X, y = np.random.default_rng(0).random((MAX_TRIALS, 2)), np.arange(MAX_TRIALS, dtype=float)
    helped._fitted(X, y, MAX_TRIALS)
    assert helped._mean is None
