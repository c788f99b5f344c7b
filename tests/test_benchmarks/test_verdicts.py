"""Verdicts: what ``compare`` says under equality and under a known difference, by simulation, and how it is worded."""

import numpy as np
import pandas as pd
import pytest
from test_leaderboard import constants, runs

from automl.tuning.recommend import P_BEST
from benchmarks.pages.sentences import findings
from benchmarks.scoring import comparison
from benchmarks.scoring.certainty import MIN_P, among_best, one_among_best
from benchmarks.scoring.comparison import AMONG, BEST, N_GROUP, UNKNOWN, WORSE, compare
from benchmarks.scoring.leaderboard import sections

BETTER = {"s0", "s1"}


def regrets(rng, n_units, means, noise=0.35, spread=0.5):
    """Mean regrets of units, some harder than others, by strategies with these expected regrets."""
    units = np.exp(rng.normal(0, spread, (n_units, 1)) - spread**2 / 2)
    own = np.exp(rng.normal(0, noise, (n_units, len(means))) - noise**2 / 2)
    return pd.DataFrame(units * own * means, columns=[f"s{i}" for i in range(len(means))])


@pytest.fixture(autouse=True)
def few_draws(monkeypatch):
    """Fewer draws of the signed-rank test: a simulation makes thousands of them."""
    versus = comparison.versus
    monkeypatch.setattr(comparison, "versus", lambda a, b, margin: versus(a, b, margin, n_draws=1_000))


@pytest.mark.parametrize("n_units", [8, 12])
def test_equal_strategies_are_rarely_called_best(n_units):
    rng = np.random.default_rng(n_units)
    found = [compare(regrets(rng, n_units, np.full(12, 0.15))) for _ in range(60)]
    best = [each for each in found if each.verdict == BEST]
    assert len(best) <= 0.15 * len(found)  # as compare says
    assert sum(len(each.leaders) == 1 for each in best) <= 0.05 * len(found)
    assert max(each.chances["probability"].iloc[0] for each in found) < P_BEST


@pytest.mark.parametrize("n_units", [12, 17])
def test_two_strategies_that_are_twice_as_good_are_isolated(n_units):
    rng = np.random.default_rng(n_units)
    means = np.where(np.arange(12) < 2, 0.075, 0.15)
    found = [compare(regrets(rng, n_units, means)) for _ in range(25)]
    named = [{*each.leaders} for each in found if each.verdict in (BEST, AMONG)]
    assert len(named) == 25
    assert sum(names <= BETTER for names in named) >= 24
    assert all(names & BETTER for names in named)
    assert min(each.probability for each in found) >= MIN_P


def test_one_that_is_twice_as_good_is_best_by_itself():
    rng = np.random.default_rng(0)
    means = np.where(np.arange(12) < 1, 0.075, 0.15)
    found = [compare(regrets(rng, 12, means)) for _ in range(20)]
    assert sum((each.verdict, each.leaders) == (BEST, ("s0",)) for each in found) >= 18


def test_what_is_said_of_equal_and_of_better_strategies_holds_as_often_as_it_says():
    """One of those called best is among the best in at least the share of cases that its probability claims."""
    rng = np.random.default_rng(1)
    hits, claims = [], []
    for _ in range(60):
        means = rng.uniform(0.1, 0.2, 8)
        found = compare(regrets(rng, 12, means))
        if found.verdict in (BEST, AMONG):
            hits.append(min(means[int(name[1:])] for name in found.leaders) <= means.min() + 0.01)
            claims.append(found.probability)
    assert len(hits) > 20
    assert np.mean(hits) >= np.mean(claims) - 0.07


# --- the rule, case by case ---------------------------------------------------------------------------------------


def table(n=12, **columns):
    """Columns of a base plus what each strategy adds to it: one number or a repeated pattern."""
    base = np.linspace(0.1, 0.2, n)
    return pd.DataFrame({name: base + np.resize(extra, n) for name, extra in columns.items()})


WIGGLE = np.array([0.06, -0.05])  # 0.005 worse on average, but by the margin on half of the units


def test_a_likely_best_is_best_whatever_is_not_known_of_others():
    """More often worse by a little than the margin, it is not known whether ``near`` is as good."""
    found = compare(table(a=0.0, near=[0.05, 0.0, 0.0], far=0.3))
    assert found.chances["probability"]["a"] >= P_BEST
    assert found.pairs.set_index("b")["word"].to_dict() == {"near": UNKNOWN, "far": WORSE}
    assert (found.verdict, found.leaders) == (BEST, ("a",))
    assert found.probability == found.chances["probability"]["a"]


def test_some_may_be_best_and_the_others_are_worse():
    found = compare(table(a=0.0, b=WIGGLE, far=0.3, farther=0.4))
    assert found.chances["probability"]["a"] < P_BEST
    assert (found.verdict, found.leaders, found.undecided) == (BEST, ("a", "b"), ("b",))
    assert found.probability >= MIN_P
    assert found.probability >= found.chances["probability"].max()


def test_nothing_is_known_if_no_strategy_is_worse_or_too_many_are_not():
    assert compare(table(a=0.0, b=WIGGLE)).verdict == UNKNOWN
    many = {f"s{i}": WIGGLE for i in range(N_GROUP)}
    found = compare(table(a=0.0, **many, far=0.3))
    assert found.verdict == UNKNOWN
    assert len(found.leaders) == 1 + N_GROUP
    assert "far" not in found.leaders


def test_several_likely_ones_are_among_the_best():
    found = compare(table(a=0.0, b=0.0, c=0.001, far=0.3))
    assert (found.verdict, found.leaders) == (AMONG, ("a", "b", "c"))


def test_the_probability_of_a_group():
    rng = np.random.default_rng(2)
    for n_units in (8, 20):
        found = regrets(rng, n_units, np.full(4, 0.15))
        chances = among_best(found)["probability"]
        assert one_among_best(found, ["s1"]) == chances["s1"]
        assert max(chances[["s0", "s1"]]) <= one_among_best(found, ["s0", "s1"]) <= sum(chances[["s0", "s1"]])
        assert one_among_best(found, [*found]) == 1.0


# --- in words -----------------------------------------------------------------------------------------------------

TASKS = [f"t{i:02d}" for i in range(12)]


def last(*tables):
    """The finding at the largest budget."""
    return findings(sections(pd.concat(tables), constants(TASKS))[0])[-1]


def test_the_sentence_decides_as_far_as_the_data_do():
    mixed = [runs("b", 0.16, TASKS[::2]), runs("b", 0.05, TASKS[1::2])]  # better and worse than a on half of the tasks
    found = last(runs("a", 0.1, TASKS), *mixed, runs("random", 0.5, TASKS), runs("c", 0.4, TASKS))
    assert (found.verdict, {*found.leaders}) == (BEST, {"a", "b"})
    first, second = found.leaders
    named = f"{first} or {second} (P >99%)"
    assert found.headline.startswith(f"{named}; which of them is not known yet (it would take ")
    assert found.headline.endswith(" tasks).")
    assert found.short == f"best: {named}"
    assert "Worse: 2 of the 3 others" in found.text
    assert found.text.count("It would take") == 0  # once is enough


def test_one_best_is_named_with_its_probability():
    found = last(runs("a", 0.1, TASKS), runs("random", 0.5, TASKS), runs("c", 0.4, TASKS))
    assert found.headline == "a (P >99%)."
    assert found.short == "best: a (P >99%)"


def test_the_sentence_says_how_many_may_be_as_good():
    found = last(runs("a", 0.1, TASKS), runs("b", 0.16, TASKS[::2]), runs("b", 0.05, TASKS[1::2]))
    assert found.verdict == UNKNOWN
    assert found.headline.endswith("1 of the 1 other may be as good.")
