"""How sure a comparison is: coverage of intervals, and probabilities under equality and under a known difference."""

import baycomp
import numpy as np
import pandas as pd
import pytest
from scipy import stats

from benchmarks.scoring.certainty import MARGIN, MIN_P, PRIOR, among_best, expected, units_needed, versus


def regrets(rng, n):
    """Skewed, as mean regrets of tasks are: a deviation of 0.7 of the mean, 0.1."""
    return rng.gamma(2.0, 0.05, n)


@pytest.mark.parametrize("n", [5, 8, 12, 17, 29, 36])
def test_intervals_cover_what_they_claim(n):
    found = expected(pd.DataFrame(regrets(np.random.default_rng(n), (n, 4_000))))
    covered95 = ((found["low95"] <= 0.1) & (found["high95"] >= 0.1)).mean()
    covered80 = ((found["low80"] <= 0.1) & (found["high80"] >= 0.1)).mean()
    assert covered95 >= 0.9  # the Bayesian bootstrap has 0.88 with 12
    assert 0.75 <= covered80 <= 0.83  # and 0.73 with 17


def test_too_few_units_have_no_interval():
    found = expected(pd.DataFrame({"a": [0.1, 0.2, 0.3, 0.4]})).loc["a"]
    assert found["mean"] == pytest.approx(0.25)
    assert found.drop("mean").isna().all()


def test_a_small_interval_is_students():
    values = np.array([0.1, 0.15, 0.2, 0.3, 0.05])
    low, high = stats.t.interval(0.95, 4, values.mean(), stats.sem(values))
    found = expected(pd.DataFrame({"a": values})).loc["a"]
    assert (found["low95"], found["high95"]) == pytest.approx((low, high))


def test_with_few_units_a_probability_is_students():
    """Two strategies with the margin between their means: b is within it if the mean difference is below the margin."""
    a, difference = np.full(5, 0.1), np.array([0.03, -0.01, 0.02, 0.0, 0.01])
    found = among_best(pd.DataFrame({"a": a, "b": a + difference}))["probability"]
    below = stats.t(4, difference.mean(), stats.sem(difference)).cdf(MARGIN)
    assert found["b"] == pytest.approx(below, abs=0.02)


def test_one_unit_by_hand():
    """One difference beyond the margin, of weight w ~ Beta(1, 0.5): worse than equal if w^2 + 2 w (1 - w) > 1/2."""
    threshold = 1 - np.sqrt(0.5)  # both the difference itself and its mean with 0 lie beyond the margin
    worse = stats.beta(1.0, 0.5).sf(threshold)
    found = versus(np.array([0.5]), np.array([0.0]))
    assert found.worse == pytest.approx(worse, abs=0.01)
    assert found.better == 0.0
    assert found.equal == pytest.approx(1 - worse, abs=0.01)


@pytest.mark.parametrize("lead", [-0.03, -0.008, 0.0, 0.02])
def test_the_probabilities_are_those_of_the_authors(lead):
    """baycomp is by the authors of the paper; its first probability is that the left scores are higher."""
    rng = np.random.default_rng(5)
    b = regrets(rng, 9)
    a = b + lead + rng.normal(0, 0.03, 9)
    worse, equal, better = baycomp.SignedRankTest.probs(a, b, MARGIN, prior=PRIOR, nsamples=5_000, random_state=0)
    found = versus(a, b)
    assert (found.better, found.equal, found.worse) == pytest.approx((better, equal, worse), abs=0.02)


def test_units_seen_several_times_have_the_weight_of_their_number():
    rng = np.random.default_rng(6)
    b = regrets(rng, 6)
    a = b + rng.normal(0.01, 0.03, 6)
    found, tiled = versus(a, b, times=4), versus(np.tile(a, 4), np.tile(b, 4))
    assert (found.better, found.equal, found.worse) == pytest.approx((tiled.better, tiled.equal, tiled.worse), abs=0.02)


def test_better_equal_and_worse():
    rng = np.random.default_rng(0)
    b = regrets(rng, 15)
    assert versus(b - 0.05, b).better >= MIN_P
    assert versus(b + 0.05, b).worse >= MIN_P
    assert versus(b + rng.normal(0, 0.1 * MARGIN, 15), b).equal >= MIN_P
    assert not versus(b + rng.choice([-0.05, 0.05], 15), b).sure
    found = versus(b - 0.05, b)
    assert found.better + found.equal + found.worse == pytest.approx(1)


def test_equal_strategies_are_rarely_called_different():
    rng = np.random.default_rng(1)
    found = [versus(*(regrets(rng, 12) for _ in range(2))) for _ in range(200)]
    assert np.mean([max(each.better, each.worse) >= MIN_P for each in found]) <= 2 * (1 - MIN_P)


def test_a_weak_strategy_changes_nothing():
    rng = np.random.default_rng(2)
    table = pd.DataFrame({"a": regrets(rng, 12), "b": regrets(rng, 12)})
    both, three = among_best(table), among_best(table.assign(weak=table["a"] + 0.5))
    assert three.loc["weak", "probability"] == 0.0
    assert three.loc["weak", "loss"] == pytest.approx(0.5 + three.loc["a", "loss"])
    assert three.loc[["a", "b"]].equals(both)
    assert both["probability"].sum() >= 1.0


@pytest.mark.parametrize("n", [7, 12])
def test_a_weak_strategy_with_one_very_bad_unit_changes_little(n):
    rng = np.random.default_rng(7)
    table = pd.DataFrame({"a": regrets(rng, n), "b": regrets(rng, n) + 0.1})
    weak = table["a"] + 0.2
    weak.iloc[0] = 4.4
    before, after = among_best(table), among_best(table.assign(weak=weak))
    assert after.loc["weak", "probability"] < 0.05
    assert after.loc["a"].to_numpy() == pytest.approx(before.loc["a"].to_numpy(), abs=0.03)


def test_a_leader_is_found_among_ten_equal_strategies():
    rng = np.random.default_rng(3)
    found = 0
    for _ in range(20):
        noise = rng.normal(0, 0.02, (12, 10))
        table = pd.DataFrame(regrets(rng, 12)[:, None] + 0.1 + noise, columns=[f"s{i}" for i in range(10)])
        table["leader"] = table["s0"] - 0.06
        chances = among_best(table)["probability"]
        found += chances["leader"] >= MIN_P and chances.drop("leader").max() < MIN_P
    assert found >= 16


def test_how_many_units_would_tell():
    rng = np.random.default_rng(4)
    b = regrets(rng, 6)
    a = b + np.array([-0.05, -0.05, -0.05, 0.02, 0.02, -0.001])
    assert not versus(a, b).sure
    needed = units_needed(a, b)
    assert needed is not None
    assert needed > 6
    assert units_needed(a, b, max_units=needed - 1) is None
