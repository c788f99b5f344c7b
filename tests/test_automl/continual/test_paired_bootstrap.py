"""Whether a model is better than another on the same examples, and when it follows it."""

import numpy as np
import pytest
from sklearn.metrics import f1_score

from automl.continual.paired_bootstrap import (
    Gain,
    GroundTruth,
    allowance,
    follows,
    gain,
    has_fallen,
    interval,
    score,
    without_forgetting,
)


def test_a_gain_is_sure_where_it_is_large_and_not_where_it_is_chance():
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, 400)
    sure = np.eye(2)[y] * 0.8 + 0.1
    guess = np.full((400, 2), 0.5)
    good, bad = (
        np.where(rng.random((400, 1)) < 0.9, sure, 1 - sure),
        np.where(rng.random((400, 1)) < 0.6, sure, 1 - sure),
    )
    assert gain("accuracy", GroundTruth(y), bad, good, 0.95).low > 0.2
    loss = gain("accuracy", GroundTruth(y), good, bad, 0.95)
    assert loss.low < loss.value < 0
    assert gain("log_loss", GroundTruth(y), guess, sure, 0.95).value == pytest.approx(np.log(0.9) - np.log(0.5))
    same = gain("accuracy", GroundTruth(y), good, good, 0.95)
    assert (same.value, same.low) == (0, 0)
    low, high = interval("accuracy", GroundTruth(y), good)
    assert low < score("accuracy", GroundTruth(y), good) < high


def test_all_right_is_not_certainty():
    y = GroundTruth(np.zeros(260, int))
    right, wrong = np.tile([0.9, 0.1], (260, 1)), np.tile([0.1, 0.9], (260, 1))
    low, high = interval("accuracy", y, right)
    assert (low, high) == (pytest.approx(0.025 ** (1 / 260)), 1.0)  # Clopper and Pearson
    assert interval("accuracy", y, wrong) == (0.0, pytest.approx(1 - low))

    def but(n):
        return np.concatenate([wrong[:n], right[n:]])

    assert not has_fallen("accuracy", (y, right), (y, but(3)))
    assert has_fallen("accuracy", (y, right), (y, but(8)))


def test_a_model_has_fallen_where_the_difference_is_more_than_chance():
    rng = np.random.default_rng(0)
    y = GroundTruth(np.zeros(300, int))

    def right(share):
        return np.where(rng.random((300, 1)) < share, [0.9, 0.1], [0.1, 0.9])

    assert has_fallen("accuracy", (y, right(0.9)), (y, right(0.7)))
    assert not has_fallen("accuracy", (y, right(0.7)), (y, right(0.9)))
    false = sum(has_fallen("accuracy", (y, right(0.9)), (y, right(0.9))) for _ in range(20))
    assert false <= 4  # one in twenty, by chance


def test_classes_that_a_model_does_not_know_have_no_probability():
    y = GroundTruth(np.array([0, 1, 2, 2]))
    assert score("accuracy", y, np.array([[1.0, 0.0], [0.0, 1.0], [0.5, 0.5], [1.0, 0.0]])) == 0.5


def test_models_of_two_and_of_three_classes_are_compared_by_one_f1():
    """That of the second of two classes is none of the mean over three, also on rows that lack the third."""
    rng = np.random.default_rng(0)
    y, p = rng.integers(0, 2, 200), rng.random(200)
    truth, two, three = GroundTruth(y, n_classes=3), np.column_stack([1 - p, p]), np.column_stack([1 - p, p, 0 * p])
    assert score("f1", truth, two) == score("f1", truth, three) == f1_score(y, p > 0.5, average="macro")
    assert gain("f1", truth, two, three, 0.8) == Gain(0.0, 0.0)
    assert interval("f1", truth[:100], two[:100]) == interval("f1", truth[:100], three[:100])
    assert score("f1", GroundTruth(y), two) == f1_score(y, p > 0.5)


@pytest.mark.parametrize(
    ("new", "both", "lost", "promoted"),
    [
        (Gain(0.1, 0.02), Gain(0.01, -0.01), Gain(-0.01, -0.02), True),  # likely on new data
        (Gain(0.1, -0.02), Gain(0.08, 0.01), Gain(-0.05, -0.07), True),  # likely on all together
        (Gain(0.1, -0.02), Gain(0.03, -0.01), Gain(-0.01, -0.02), False),  # chance
        (Gain(-0.01, -0.1), Gain(0.08, 0.03), Gain(-0.1, -0.12), False),  # better on old data alone
        (Gain(0.1, 0.02), Gain(0.05, 0.01), Gain(0.03, 0.02), False),  # surely too much is lost
        (Gain(0.1, 0.02), Gain(0.05, 0.01), Gain(0.03, -0.01), True),  # which may be chance
        (Gain(0.1, 0.02), Gain(0.05, 0.01), Gain(0.005, 0.002), True),  # no more than is allowed
    ],
)
def test_a_model_follows_where_it_is_likely_better_and_loses_little(new, both, lost, promoted):
    assert follows(new, both, lost, allowed=0.01) is promoted


def test_rows_count_as_much_as_they_weigh():
    rng = np.random.default_rng(0)
    y = rng.normal(size=200)
    wrong = np.arange(200) < 100
    good_on_some, good_on_others = np.where(wrong, 5.0, y), np.where(wrong, y, 5.0)
    truth = GroundTruth(y, np.where(wrong, 1e-3, 1.0))
    assert score("rmse", truth, good_on_some) < 0.2 * score("rmse", truth, good_on_others)
    assert gain("rmse", truth, good_on_others, good_on_some, 0.95).low > 3
    assert gain("rmse", GroundTruth(y), good_on_others, good_on_some, 0.95).low < 0
    assert has_fallen("rmse", (truth, good_on_some), (truth, good_on_others))
    assert not has_fallen("rmse", (truth, good_on_others), (truth, good_on_some))
    both = truth[:50] + truth[150:]
    assert (both.weights == truth.weights[[*range(50), *range(150, 200)]]).all()


def test_what_forgets_is_no_candidate_unless_all_do():
    surely, perhaps, little = Gain(0.03, 0.02), Gain(0.03, -0.01), Gain(0.005, 0.002)
    assert without_forgetting([surely, perhaps, little], allowed=0.01) == [1, 2]
    assert without_forgetting([surely, surely], allowed=0.01) == [0, 1]


def test_a_tolerance_is_a_share_of_the_scale_or_of_the_error_itself():
    assert allowance("accuracy", 0.01, 0.5) == 0.01
    assert allowance("rmse", 0.01, 50.0) == 0.5
