"""Measures and tests against tables worked out by hand, and the rate of false alarms."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from benchmarks import statistics
from benchmarks.regret import (
    area_under_curve,
    at_budgets,
    budget_to_target,
    by_task,
    ecdf,
    generalisation,
    incumbents,
    normalised,
    random_targets,
    ranks,
    speed_up,
    speed_up_intervals,
)


def runs(losses: dict[tuple[str, str, int], list[float]], max_epochs: int = 1) -> pd.DataFrame:
    """One row a trial, full trainings, one after the other."""
    rows = [
        {
            "suite": "s", "task": task, "strategy": strategy, "seed": seed, "trial": i, "loss": loss, "worth": loss,
            "epochs": max_epochs, "max_epochs": max_epochs, "at_epochs": (i + 1) * max_epochs,
            "at_seconds": 10.0 * (i + 1), "failed": np.isnan(loss),
        }
        for (task, strategy, seed), values in losses.items()
        for i, loss in enumerate(values)
    ]  # fmt: skip
    return pd.DataFrame(rows)


CONSTANTS = pd.DataFrame(
    {"best": [0.0, 1.0], "reference": [1.0, 3.0], "seconds": [10.0, 10.0]},
    index=pd.MultiIndex.from_tuples([("s", "a"), ("s", "b")], names=["suite", "task"]),
)


def test_regret_is_zero_at_the_best_and_one_at_the_reference():
    assert normalised(1.0, 1.0, 3.0) == 0.0
    assert normalised(3.0, 1.0, 3.0) == 1.0
    assert normalised(5.0, 1.0, 3.0) == 2.0


def test_the_incumbent_is_chosen_by_what_was_observed_and_scored_by_what_it_is_worth():
    run = pd.DataFrame(
        {
            "loss": [0.5, 0.2, 0.4, np.nan, 0.3],
            "worth": [0.6, 0.7, 0.1, 0.0, 0.2],
            "epochs": [3, 1, 3, 0, 3],
            "failed": [False, False, False, True, False],
        }
    )
    # The second has the lowest loss after one epoch only; the third beats the first, the fifth the third.
    assert list(incumbents(run)) == [0.6, 0.6, 0.1, 0.1, 0.2]
    assert np.isnan(incumbents(pd.DataFrame({"loss": [np.nan], "worth": [1], "epochs": [0], "failed": [True]}))[0])


def test_regret_at_budgets_by_epochs_and_by_seconds():
    table = runs({("a", "x", 0): [0.8, 0.4, 0.6], ("b", "x", 0): [np.nan, 2.0, 1.0]}, max_epochs=5)
    by_epochs = at_budgets(table, CONSTANTS, [1, 2, 3])
    assert by_epochs.loc[("s", "a", "x", 0)].tolist() == pytest.approx([0.8, 0.4, 0.4])
    assert by_epochs.loc[("s", "b", "x", 0)].tolist() == pytest.approx([1.0, 0.5, 0.0])  # 1 before a first success
    by_seconds = at_budgets(table, CONSTANTS, [0.5, 2.5], clock="at_seconds")
    assert by_seconds.loc[("s", "a", "x", 0)].tolist() == pytest.approx([1.0, 0.4])


def test_means_ranks_and_areas():
    table = runs({("a", "x", 0): [0.8], ("a", "x", 1): [0.4], ("a", "y", 0): [0.6], ("a", "y", 1): [0.6]})
    regrets = at_budgets(table, CONSTANTS, [1])
    assert by_task(regrets, 1).loc[("s", "a")].to_dict() == pytest.approx({"x": 0.6, "y": 0.6})
    assert ranks(pd.DataFrame({"x": [1.0, 2.0], "y": [2.0, 2.0]})).values.tolist() == [[1.0, 2.0], [1.5, 1.5]]
    curve = pd.DataFrame([[1.0, 0.5, 0.0]], columns=[1, 10, 100])
    assert area_under_curve(curve)[0] == pytest.approx((0.75 + 0.25) / 2)


def test_budget_to_target_and_speed_up():
    table = runs(
        {
            ("a", "random", 0): [0.9, 0.8, 0.7, 0.6],
            ("a", "fast", 0): [0.9, 0.6, 0.5, 0.5],
            ("a", "slow", 0): [0.9, 0.9, 0.9, 0.9],
        }
    )
    regrets = at_budgets(table, CONSTANTS, [1, 2, 3, 4])
    target = pd.Series({("s", "a"): 0.6})
    needed = budget_to_target(regrets, target)
    assert needed[("s", "a", "random", 0)] == 4
    assert needed[("s", "a", "fast", 0)] == 2
    assert np.isinf(needed[("s", "a", "slow", 0)])
    assert speed_up(regrets, "random", 4).to_dict() == {"fast": 2.0, "random": 1.0, "slow": 0.0}


def test_holm_against_a_worked_example():
    # Sorted: .005 x 4, .01 x 3, .03 x 2, .04 x 1, and none below the one before.
    assert statistics.holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert statistics.holm([0.5, 0.6]) == [1.0, 1.0]


def test_pairwise_is_scipys_test_corrected_and_the_better_comes_first():
    rng = np.random.default_rng(0)
    table = pd.DataFrame({"a": rng.random(15), "b": rng.random(15) + 0.3, "c": rng.random(15)})
    raw = {(x, y): stats.wilcoxon(table[x] - table[y]).pvalue for x, y in (("a", "b"), ("a", "c"), ("b", "c"))}
    found = statistics.pairwise(table)
    assert list(found["p"]) == pytest.approx(
        [raw[tuple(sorted((a, b)))] for a, b in zip(found["a"], found["b"], strict=True)]
    )
    assert list(found["p_holm"]) == pytest.approx(statistics.holm(list(found["p"])))
    assert (found["difference"] <= 0).all()
    p_values = statistics.symmetric(found)
    assert p_values.loc["a", "b"] == p_values.loc["b", "a"] == found.set_index(["a", "b"])["p_holm"].get(("a", "b"))
    assert p_values.loc["c", "c"] == 1.0
    same = statistics.pairwise(pd.DataFrame({"a": [1.0, 2.0], "b": [1.0, 2.0]}))
    assert same.loc[0, "p_holm"] == 1.0


def test_means_that_one_task_decides_do_not_agree_with_the_ranks():
    # a is better on the first task by far, and worse on the nine others.
    table = pd.DataFrame({"a": [0.0, *np.linspace(0.51, 0.59, 9)], "b": [9.0, *np.linspace(0.1, 0.2, 9)]})
    found = statistics.pairwise(table).iloc[0]
    assert (found["a"], found["agrees"]) == ("a", False)


def test_friedman_against_a_published_example():
    """M. Hollander and D. Wolfe, Nonparametric Statistical Methods, rounding first base: 22 players, 3 methods."""
    times = [
        [5.40, 5.50, 5.55], [5.85, 5.70, 5.75], [5.20, 5.60, 5.50], [5.55, 5.50, 5.40], [5.90, 5.85, 5.70],
        [5.45, 5.55, 5.60], [5.40, 5.40, 5.35], [5.45, 5.50, 5.35], [5.25, 5.15, 5.00], [5.85, 5.80, 5.70],
        [5.25, 5.20, 5.10], [5.65, 5.55, 5.45], [5.60, 5.35, 5.45], [5.05, 5.00, 4.95], [5.50, 5.50, 5.40],
        [5.45, 5.55, 5.50], [5.55, 5.55, 5.35], [5.45, 5.50, 5.55], [5.50, 5.45, 5.25], [5.65, 5.60, 5.40],
        [5.70, 5.65, 5.55], [6.30, 6.30, 6.25],
    ]  # fmt: skip
    assert statistics.friedman(pd.DataFrame(times, columns=list("abc"))) == pytest.approx(0.003805, abs=1e-5)


def test_cliques_are_the_largest_groups_without_a_difference():
    names = list("abcd")
    p = pd.DataFrame(1.0, index=names, columns=names)
    for x, y in (("a", "c"), ("a", "d"), ("b", "d")):
        p.loc[x, y] = p.loc[y, x] = 0.01
    mean_ranks = pd.Series({"a": 1.0, "b": 2.0, "c": 3.0, "d": 4.0})
    assert statistics.cliques(mean_ranks, p) == [["a", "b"], ["b", "c"], ["c", "d"]]
    assert statistics.cliques(pd.Series({"a": 1.0, "d": 4.0}), p) == []


def test_intervals_hold_their_mean_and_the_one_for_new_tasks_is_wider():
    rng = np.random.default_rng(0)
    index = pd.MultiIndex.from_product([["s"], list("abcdefgh"), range(10)], names=["suite", "task", "seed"])
    regret = pd.Series(np.repeat(rng.random(8), 10) + 0.1 * rng.normal(size=80), index=index)
    these, others = statistics.stratified_interval(regret), statistics.two_level_interval(regret)
    assert these.low < these.mean < these.high
    assert others.mean == these.mean == pytest.approx(regret.mean())
    assert others.high - others.low > 2 * (these.high - these.low)


def test_a_resample_is_the_mean_over_tasks_of_the_mean_over_drawn_seeds():
    index = pd.MultiIndex.from_tuples([("s", "a", 0), ("s", "a", 1), ("s", "b", 0)], names=["suite", "task", "seed"])
    these = statistics.resamples(index, tasks=False, n_draws=50)
    # Task b has one seed, so it weighs a half in every draw; the two of a share the other half.
    assert these[:, 2] == pytest.approx(np.full(50, 0.5))
    assert these[:, :2].sum(axis=1) == pytest.approx(np.full(50, 0.5))
    assert {tuple(row) for row in these[:, :2]} == {(0.5, 0.0), (0.25, 0.25), (0.0, 0.5)}
    others = statistics.resamples(index, tasks=True, n_draws=50)
    assert others.sum(axis=1) == pytest.approx(np.ones(50))
    assert set(others[:, 2]) == {0.0, 0.5, 1.0}


def test_an_interval_covers_the_truth_about_as_often_as_it_says():
    index = pd.MultiIndex.from_product([["s"], range(12), range(10)], names=["suite", "task", "seed"])
    rng = np.random.default_rng(0)
    hits = 0
    for _ in range(100):
        regret = pd.Series(np.repeat(rng.normal(size=12), 10) + 0.5 * rng.normal(size=120), index=index)
        interval = statistics.two_level_interval(regret)
        hits += interval.low <= 0 <= interval.high
    assert 85 <= hits <= 99


def test_paired_intervals_need_the_same_seeds():
    a, b = pd.Series([1.0, 2.0, 3.0], index=[0, 1, 2]), pd.Series([1.5, 2.5, 3.5], index=[0, 1, 2])
    interval = statistics.paired_interval(a, b)
    assert (interval.mean, interval.low, interval.high) == (-0.5, -0.5, -0.5)


def test_two_equal_strategies_come_out_different_in_five_of_a_hundred_comparisons_at_most():
    rng = np.random.default_rng(0)
    n = 600
    alarms = 0
    for _ in range(n):
        table = pd.DataFrame(rng.random((15, 2)), columns=["a", "b"])
        alarms += statistics.pairwise(table).loc[0, "p_holm"] <= statistics.LEVEL
    assert stats.binomtest(alarms, n, statistics.LEVEL, alternative="greater").pvalue > 0.01
    assert alarms > 0


def test_the_speed_ups_interval_holds_it_and_is_a_point_without_chance():
    rng = np.random.default_rng(0)
    losses = {}
    for task in ("a", "b"):
        for seed in range(4):
            slow = np.sort(rng.random(12))[::-1]
            losses[(task, "random", seed)] = list(slow)
            losses[(task, "fast", seed)] = [*slow[1::2], *[slow[-1]] * 6]  # the same in half the budget
    regrets = at_budgets(runs(losses), CONSTANTS, list(range(1, 13)))
    found = speed_up_intervals(regrets, "random", [6, 12]).loc[12]
    assert found.loc["fast", "low"] <= speed_up(regrets, "random", 12)["fast"] <= found.loc["fast", "high"]
    assert found.loc["fast"].tolist() == [2.0, 2.0]
    assert found.loc["random"].tolist() == [1.0, 1.0]


def test_targets_are_the_quantiles_of_random_configs_without_the_default():
    table = runs({("a", "random", 0): [99.0, *np.linspace(0.0, 1.0, 101)]})
    targets = random_targets(table, CONSTANTS)
    assert targets.loc[("s", "a"), 2] == pytest.approx(0.5)
    assert targets.loc[("s", "a"), 10] == pytest.approx(0.1)
    assert list(targets.columns) == [2, 5, 10, 20, 50, 100, 200]


def test_ecdf_is_the_share_of_targets_reached():
    table = runs({("a", "x", 0): [0.5, 0.2, 0.3], ("a", "x", 1): [0.9, 0.9, 0.1], ("b", "x", 0): [3.0, 1.0, 1.0]})
    regrets = at_budgets(table, CONSTANTS, [1, 2, 3])
    targets = pd.DataFrame({10: [0.1, 0.0], 2: [0.5, 0.0]}, index=CONSTANTS.index)
    # Task a: of two targets the first seed reaches one at once, the second none until the third training, then both:
    # a mean of 1/4, 1/4, 3/4. Task b reaches both with its second training.
    assert ecdf(regrets, targets).loc["x"].tolist() == pytest.approx([0.125, 0.625, 0.875])


def test_test_losses_show_the_gap_overtuning_and_runs_worse_than_the_default():
    table = runs({("a", "x", 0): [0.5, 0.3, 0.4, 0.2], ("a", "x", 1): [0.5, 0.6, 0.7, 0.8], ("b", "x", 0): [0.5, 0.1]})
    table["test"] = [0.6, 0.35, 0.0, 0.65, 0.4, 0.1, 0.1, 0.1, np.nan, np.nan]
    found = generalisation(table, budget=4)
    # Incumbents of the first run: 0.5, 0.3, 0.2 with test losses 0.6, 0.35, 0.65. The second keeps its default.
    assert found.loc[("s", "a", "x", 0)].tolist() == pytest.approx([0.45, 0.3, 1.0])
    assert found.loc[("s", "a", "x", 1)].tolist() == pytest.approx([-0.1, 0.0, 0.0])
    assert len(found) == 2
    assert generalisation(table, budget=3).loc[("s", "a", "x", 0)].tolist() == pytest.approx([0.05, 0.0, 0.0])


def test_a_run_that_crashed_is_worth_one_at_every_budget():
    table = runs({("a", "x", 0): [np.nan], ("a", "x", 1): [0.4]}).assign(at_epochs=[0, 1], epochs=[0, 1])
    assert at_budgets(table, CONSTANTS, [1, 2]).loc[("s", "a", "x", 0)].tolist() == [1.0, 1.0]
    elsewhere = CONSTANTS.assign(before=7.0)
    assert at_budgets(table, elsewhere, [1, 2]).loc[("s", "a", "x", 0)].tolist() == [7.0, 7.0]


@pytest.mark.parametrize("clock", ["at_epochs", "at_seconds"])
def test_many_runs_at_once_are_each_as_one_alone(clock):
    rng = np.random.default_rng(0)
    n = 400
    table = pd.DataFrame(
        {
            "suite": "s", "task": rng.choice(["a", "b"], n), "strategy": rng.choice(["x", "y"], n), "trial": range(n),
            "seed": rng.integers(3, size=n), "loss": rng.random(n).round(1), "worth": rng.random(n),
            "epochs": rng.integers(1, 4, size=n), "max_epochs": 3, "failed": rng.random(n) < 0.2,
            "at_epochs": rng.integers(1, 90, size=n), "at_seconds": rng.integers(1, 90, size=n),
        }
    )  # fmt: skip
    together = at_budgets(table, CONSTANTS, [1, 5, 9, 30], clock)
    for key, run in table.groupby(["suite", "task", "strategy", "seed"]):
        run = run.sort_values(clock, kind="stable")
        facts, unit = CONSTANTS.loc[key[:2]], 3 if clock == "at_epochs" else 10.0
        for budget in (1, 5, 9, 30):
            spent = run[run[clock] <= budget * unit]
            worth = incumbents(spent).iloc[-1] if len(spent) else np.nan
            expected = 1.0 if np.isnan(worth) else normalised(worth, facts["best"], facts["reference"])
            assert together.loc[key, budget] == pytest.approx(expected)
