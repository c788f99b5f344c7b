"""Skipping the last folds of a candidate: the probability of winning is calibrated."""

import numpy as np
import pytest

from automl.integrations.fold_race import chance_to_win


def test_the_chance_to_win_is_what_it_says():
    """Of many candidates whose folds differ at random, those with a chance of p win in a share p of the cases."""
    rng = np.random.default_rng(0)
    chances, won = [], []
    for _ in range(4000):
        complete = rng.normal(size=(8, 1)) + rng.normal(size=(8, 5))
        best = complete[complete.mean(axis=1).argmax()]
        # Differences to the best, as the model has them: no knowledge beforehand of how good a candidate is.
        scores = best + rng.uniform(-6, 6) + np.sqrt(2) * rng.normal(size=5)
        chances.append(chance_to_win(scores[:2], complete))
        won.append(scores.mean() > best.mean())
    chances, won = np.array(chances), np.array(won)
    for low, high in [(0, 0.05), (0.05, 0.3), (0.3, 0.7), (0.7, 1)]:
        at = (chances >= low) & (chances < high)
        assert abs(won[at].mean() - chances[at].mean()) < 0.06


@pytest.mark.parametrize("k", [1, 2, 3])
def test_more_folds_tell_more(k):
    complete = np.random.default_rng(1).normal(size=(6, 5))
    best = complete[complete.mean(axis=1).argmax()]
    assert chance_to_win(best[: k + 1] - 0.3, complete) < chance_to_win(best[:k] - 0.3, complete) < 0.5
    assert chance_to_win(best[: k + 1] + 0.3, complete) > chance_to_win(best[:k] + 0.3, complete) > 0.5


def test_candidates_that_do_not_differ_from_fold_to_fold_stop_nobody():
    assert chance_to_win(np.array([0.1]), np.full((6, 5), 0.9)) == 1.0
