"""The model of training time, and a search with a budget in seconds."""

import numpy as np
import pytest

from automl.space.parse import load_space
from strategies import make_strategy
from strategies._cost import MIN_TOLD, log_seconds
from strategies.base import Outcome

SPACE = load_space({"x": {"float": [0.0, 1.0]}, "width": {"int": [1, 1000], "log": True}})


def test_the_logarithm_of_the_seconds_is_linear_in_the_features():
    rng = np.random.default_rng(0)
    X = rng.random((400, 3))
    seconds = np.exp(1.0 + X @ [2.0, 0.0, -1.0])
    predicted = log_seconds(X, seconds, np.eye(3))
    assert predicted - predicted.mean() == pytest.approx(np.array([2.0, 0.0, -1.0]) - 1 / 3, abs=0.1)


def test_few_trainings_and_unknown_seconds_give_no_prediction():
    X = np.random.default_rng(0).random((MIN_TOLD, 2))
    assert log_seconds(X, np.r_[0.0, np.full(MIN_TOLD - 1, 2.0)], X).tolist() == [0.0] * MIN_TOLD


def mean_seconds(seconds_limit):
    """The configs of 30 trainings of a task where width costs time without any benefit."""
    strategy = make_strategy("auto", SPACE, seed=0, n_trials=60, seconds=seconds_limit)
    found = []
    for _ in range(30):
        proposal = strategy.ask()
        found.append(0.01 * proposal.config["width"])
        strategy.tell(Outcome(proposal, ((proposal.config["x"] - 0.3) ** 2,), found[-1]))
    return np.mean(found)


def test_with_a_budget_in_seconds_cheap_configs_come_first():
    assert mean_seconds(1000.0) < 0.5 * mean_seconds(None)
