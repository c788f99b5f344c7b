"""Calibration of probabilities and of quantiles."""

import numpy as np
import pytest
from hypothesis import given as drawn
from hypothesis import strategies as st

from automl.deployment.calibration import (
    LabelledProbabilities,
    below_quantiles,
    fit_shifts,
    fit_temperature,
    log_losses,
    shifted_quantiles,
    temperature_that_helps,
    tempered,
)

LEVELS = (0.05, 0.5, 0.95)


def overconfident(n, seed, factor):
    """Probabilities of three classes whose logits are ``factor`` times too large, and labels."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=(n, 3)) * 1.5
    true = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    labels = np.array([rng.choice(3, p=row) for row in true])
    given = np.exp(factor * logits) / np.exp(factor * logits).sum(1, keepdims=True)
    return given, labels


def test_a_temperature_divides_the_logarithms():
    probabilities = np.array([[0.8, 0.2], [0.5, 0.5]])
    assert tempered(probabilities, 1.0) is probabilities
    assert tempered(probabilities, 2.0)[0] == pytest.approx([2 / 3, 1 / 3])  # the square roots of 4 and 1, scaled
    assert tempered(probabilities, 2.0)[1] == pytest.approx([0.5, 0.5])
    assert tempered(np.array([[1.0, 0.0]]), 3.0).sum() == pytest.approx(1)
    assert log_losses(probabilities, np.array([1, 0])) == pytest.approx([-np.log(0.2), np.log(2)])


def test_being_right_on_a_few_examples_does_not_make_a_model_certain():
    probabilities = np.full((40, 2), [0.9, 0.1])
    assert 0.4 < fit_temperature(probabilities, np.zeros(40, int)) < 0.8


def test_overconfidence_is_undone_and_calibrated_probabilities_are_left_alone():
    given, labels = overconfident(4_000, 0, 3.0)
    assert fit_temperature(given, labels) == pytest.approx(3.0, rel=0.1)
    other = overconfident(2_000, 1, 3.0)
    temperature = temperature_that_helps(LabelledProbabilities(given, labels), LabelledProbabilities(*other))
    assert temperature == pytest.approx(3.0, rel=0.1)
    assert log_losses(tempered(other[0], temperature), other[1]).mean() < log_losses(*other).mean()
    kept = [
        temperature_that_helps(*(LabelledProbabilities(*overconfident(60, at, 1.0)) for at in (seed, seed + 100)))
        for seed in range(40)
    ]
    assert np.mean([temperature == 1.0 for temperature in kept]) > 0.7  # where there is nothing to gain, most stay
    few = LabelledProbabilities(*overconfident(19, 0, 3.0))
    assert (
        temperature_that_helps(few, LabelledProbabilities(*other))
        == temperature_that_helps(LabelledProbabilities(given, labels), few)
        == 1.0
    )


@pytest.mark.parametrize("n", [20, 60, 500])
def test_shifts_give_each_quantile_its_share_of_new_rows(n):
    rng = np.random.default_rng(0)
    shares = []
    for _ in range(300):
        y, new = rng.exponential(size=n), rng.exponential(size=500)
        shifts = fit_shifts(y, np.tile([0.5, 0.6, 0.7], (n, 1)), LEVELS)  # much too narrow
        predicted = shifted_quantiles(np.tile([0.5, 0.6, 0.7], (500, 1)), shifts)
        shares.append(list(below_quantiles(new, predicted, LEVELS).values()))
    ranks = np.array([np.floor(0.05 * (n + 1)), np.ceil(0.5 * (n + 1)), np.ceil(0.95 * (n + 1))])
    # The expected share below the k-th of n is k / (n + 1). One is chosen that is no further inside than the level.
    assert np.mean(shares, axis=0) == pytest.approx(ranks / (n + 1), abs=0.01)


@pytest.mark.parametrize("n", [2, 7, 19, 20, 99, 499])
@pytest.mark.parametrize("level", [0.02, 0.05, 0.1, 0.3])
def test_outer_quantiles_mirror_each_other_and_equal_weights_change_nothing(n, level):
    rng = np.random.default_rng(n)
    y, quantiles = rng.normal(size=n), rng.normal(size=(n, 1))
    (low,) = fit_shifts(y, quantiles, (level,))
    assert fit_shifts(-y, -quantiles, (1 - level,)) == [-low]
    for weight in (0.1, 1 / 3, 7.0):
        assert fit_shifts(y, quantiles, (level,), np.full(n, weight)) == [low]
    assert low == np.sort(y - quantiles[:, 0])[max(0, int((n + 1) * level + 1e-9) - 1)]


@drawn(st.integers(2, 40), st.integers(0, 2**31))
def test_shifts_move_with_the_targets(n, seed):
    rng = np.random.default_rng(seed)
    y, quantiles = rng.normal(size=n), np.sort(rng.normal(size=(n, 3)), axis=1)
    found = np.array(fit_shifts(y, quantiles, LEVELS))
    assert fit_shifts(y + 5.0, quantiles, LEVELS) == pytest.approx(found + 5.0)
    assert fit_shifts(y + 5.0, quantiles + 5.0, LEVELS) == pytest.approx(found)


def test_rows_with_more_weight_decide_more():
    y, quantiles = np.arange(5.0), np.zeros((5, 1))
    assert fit_shifts(y, quantiles, (0.5,)) == [2.0]
    assert fit_shifts(y, quantiles, (0.5,), [1, 1, 1, 1, 100]) == [4.0]


def test_shifted_quantiles_stay_in_order():
    found = shifted_quantiles(np.array([[0.0, 1.0, 2.0], [0.0, 5.0, 9.0]]), [2.5, 0.0, -1.5])
    assert found.tolist() == [[0.5, 1.0, 2.5], [2.5, 5.0, 7.5]]
    quantiles = np.array([[0.0, 1.0]])
    assert shifted_quantiles(quantiles, ()) is quantiles


def test_shares_below_quantiles_count_ties_and_weights():
    y, predicted = np.array([1.0, 2.0, 3.0]), np.array([[1.0, 2.5]] * 3)
    assert below_quantiles(y, predicted, (0.1, 0.9)) == pytest.approx({0.1: 1 / 3, 0.9: 2 / 3})
    assert below_quantiles(y, predicted, (0.1, 0.9), np.array([1, 1, 2])) == pytest.approx({0.1: 1 / 4, 0.9: 2 / 4})
    assert below_quantiles(y[:0], predicted[:0], (0.1, 0.9)) == {}
    assert below_quantiles(y, y, None) == {}
