"""Measures and tests against hand-computed tables, and their false positive rates."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from benchmarks.scoring import statistics
from benchmarks.scoring.generalisation import generalisation, shared
from benchmarks.scoring.regret import (
    area_under_curve,
    at_budgets,
    at_end,
    beaten,
    before_any,
    by_unit,
    filled,
    normalised,
    over_tasks,
    ranks,
)
from benchmarks.scoring.targets import budget_to_target, ecdf, random_targets, speed_up, speed_up_intervals


def runs(losses: dict[tuple[str, str, int], list[float]], max_epochs: int = 1) -> pd.DataFrame:
    """One row per trial: sequential full trainings."""
    rows = [
        {
            "suite": "s", "task": task, "strategy": strategy, "seed": seed, "trial": i, "loss": loss, "worth": loss,
            "epochs": max_epochs, "max_epochs": max_epochs, "at_epochs": (i + 1) * max_epochs,
            "at_seconds": 10.0 * (i + 1), "failed": np.isnan(loss), "is_default": i == 0, "retrained": np.nan,
            "repeats": np.nan, "returned": np.nan, "n_trials": len(values),
        }
        for (task, strategy, seed), values in losses.items()
        for i, loss in enumerate(values)
    ]  # fmt: skip
    return pd.DataFrame(rows)


CONSTANTS = pd.DataFrame(
    {"best": [0.0, 1.0], "reference": [1.0, 3.0], "seconds": [10.0, 10.0], "floor": [1.0, 1.0]},
    index=pd.MultiIndex.from_tuples([("s", "a"), ("s", "b")], names=["suite", "task"]),
)


def test_regret_is_zero_at_the_best_and_one_at_the_reference():
    assert normalised(1.0, 1.0, 3.0) == 0.0
    assert normalised(3.0, 1.0, 3.0) == 1.0
    assert normalised(5.0, 1.0, 3.0) == 2.0


def incumbents(run: pd.DataFrame) -> list[float]:
    """The incumbent's worth after each row, by a simple implementation."""
    best, worths = None, []
    for row in run.to_dict("records"):
        if not row["failed"] and (best is None or (-row["epochs"], row["loss"]) < (-best["epochs"], best["loss"])):
            best = row
        worths.append(np.nan if best is None else best["worth"])
    return worths


def test_the_incumbent_is_chosen_by_observed_loss_and_scored_by_worth():
    run = pd.DataFrame(
        {
            "suite": "s", "task": "a", "strategy": "x", "seed": 0, "max_epochs": 1, "at_epochs": range(1, 6),
            "loss": [0.5, 0.2, 0.4, np.nan, 0.3],
            "worth": [0.6, 0.7, 0.1, 0.0, 0.2],
            "epochs": [3, 1, 3, 0, 3],
            "failed": [False, False, False, True, False], "trial": range(5), "repeats": np.nan,
        }
    )  # fmt: skip
    # The second has the lowest loss after one epoch only; the third beats the first, the fifth the third.
    assert at_budgets(run, CONSTANTS, [1, 2, 3, 4, 5]).iloc[0].tolist() == incumbents(run) == [0.6, 0.6, 0.1, 0.1, 0.2]
    assert at_budgets(run.assign(failed=True), CONSTANTS, [5]).isna().all(axis=None)


def test_regret_at_budgets_by_epochs_and_by_seconds():
    table = runs({("a", "x", 0): [0.8, 0.4, 0.6], ("b", "x", 0): [np.nan, 2.0, 1.0]}, max_epochs=5)
    by_epochs = at_budgets(table, CONSTANTS, [1, 2, 3])
    assert by_epochs.loc[("s", "a", "x", 0)].tolist() == pytest.approx([0.8, 0.4, 0.4])
    assert by_epochs.loc[("s", "b", "x", 0)].tolist() == pytest.approx([np.nan, 0.5, 0.0], nan_ok=True)
    by_seconds = at_budgets(table, CONSTANTS, [0.5, 2.5], clock="at_seconds")
    assert by_seconds.loc[("s", "a", "x", 0)].tolist() == pytest.approx([np.nan, 0.4], nan_ok=True)


def test_means_ranks_and_areas():
    table = runs({("a", "x", 0): [0.8], ("a", "x", 1): [0.4], ("a", "y", 0): [0.6], ("a", "y", 1): [0.6]})
    regrets = at_budgets(table, CONSTANTS, [1])
    assert by_unit(regrets)[1].loc[("s", "a")].to_dict() == pytest.approx({"x": 0.6, "y": 0.6})
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


def test_the_first_is_compared_with_each_other_by_scipys_test_corrected_for_their_number():
    rng = np.random.default_rng(0)
    table = pd.DataFrame({"a": rng.random(15), "b": rng.random(15) + 0.3, "c": rng.random(15)})
    found = statistics.against(table, "a").set_index("b")
    for b in ("b", "c"):
        assert found.loc[b, "p"] == pytest.approx(stats.wilcoxon(table["a"] - table[b]).pvalue)
        assert found.loc[b, "difference"] == pytest.approx(table["a"].mean() - table[b].mean())
    assert list(found["p_holm"]) == pytest.approx(statistics.holm(list(found["p"])))
    assert statistics.against(pd.DataFrame({"a": [1.0, 2.0], "b": [1.0, 2.0]}), "a").loc[0, "p_holm"] == 1.0


@pytest.mark.parametrize("n", [1, 2, 5, 8, 14])
@pytest.mark.parametrize("ties", [False, True])
def test_the_signed_rank_test_is_scipys_with_ties_and_zeros_too(n, ties):
    differences = np.random.default_rng(n).normal(0.3, 1, size=n)
    differences = differences.round(0) if ties else differences
    known = differences[differences != 0]
    expected = stats.wilcoxon(known).pvalue if len(known) else 1.0
    assert statistics.signed_rank(pd.Series(differences)) == pytest.approx(expected)


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


def own_units(index: pd.MultiIndex) -> pd.Series:
    tasks = index.droplevel(list(range(2, index.nlevels))).unique()
    return pd.Series(tasks.get_level_values(1), index=tasks)


def test_intervals_for_these_tasks_contain_their_mean():
    rng = np.random.default_rng(0)
    index = pd.MultiIndex.from_product([["s"], list("abcdefgh"), range(10)], names=["suite", "task", "seed"])
    regret = pd.DataFrame({"x": np.repeat(rng.random(8), 10) + 0.1 * rng.normal(size=80)}, index=index)
    low, high = statistics.of_these(regret)
    assert low["x"] < regret["x"].mean() < high["x"]
    assert (low["x"] + high["x"]) / 2 == pytest.approx(regret["x"].mean())


def test_the_interval_of_a_single_task_is_students_t():
    index = pd.MultiIndex.from_product([["s"], ["a"], range(4)], names=["suite", "task", "seed"])
    values = np.array([1.0, 2.0, 4.0, 7.0])
    low, high = statistics.of_these(pd.DataFrame({"x": values, "same": 3.0}, index=index))
    expected = stats.t.interval(0.95, 3, loc=values.mean(), scale=values.std(ddof=1) / 2)
    assert (low["x"], high["x"]) == pytest.approx(expected)
    assert (low["same"], high["same"]) == (3.0, 3.0)
    low, high = statistics.of_these(pd.DataFrame({"x": [1.0]}, index=index[:1]))
    assert np.isnan([low["x"], high["x"]]).all()  # one seed has no interval


def test_the_intervals_of_each_task_are_those_of_it_alone():
    index = pd.MultiIndex.from_product([["s"], ["b", "a"], range(4)], names=["suite", "task", "seed"])
    rng = np.random.default_rng(0)
    values = pd.DataFrame({"x": rng.random(8), "same": 3.0, "missing": np.nan}, index=index).rename_axis(columns="name")
    found = statistics.of_each(values)
    assert list(found.index) == [("s", task, name) for task in "ab" for name in ("x", "same", "missing")]
    for task in "ab":
        part = values.xs(task, level="task", drop_level=False)
        low, high = statistics.of_these(part)
        alone = np.array([part.mean(), low, high]).T
        assert found.loc[("s", task)].to_numpy() == pytest.approx(alone, nan_ok=True)
    assert np.isnan(statistics.of_each(values.iloc[[0]])[["low", "high"]]).all(axis=None)  # one seed


def test_variants_of_a_unit_are_not_independent_evidence():
    tasks = [("s", f"f{i}-{d}d") for i in range(12) for d in (2, 5, 10)]
    index = pd.MultiIndex.from_tuples([(*task, seed) for task in tasks for seed in range(4)])
    units = pd.Series([task.partition("-")[0] for _, task in tasks], index=pd.MultiIndex.from_tuples(tasks))
    draws = statistics.resamples(index, n_draws=20, units=units)
    by_unit_weight = pd.DataFrame(draws.T, index=index).groupby(units.reindex(index.droplevel(2)).to_numpy()).sum()
    assert np.allclose(by_unit_weight * 12, np.round(by_unit_weight * 12))  # units are drawn as a whole


def test_means_are_over_the_tasks_of_a_unit_first():
    index = pd.MultiIndex.from_tuples(
        [("s", task, "x", seed) for task in ("f1-2d", "f1-5d", "f2") for seed in (0, 1)],
        names=["suite", "task", "strategy", "seed"],
    )
    regrets = pd.DataFrame({1: [0.1, 0.3, 0.3, 0.5, 0.8, 1.0]}, index=index)
    units = pd.Series(["f1", "f1", "f2"], index=pd.MultiIndex.from_tuples([("s", t) for t in ("f1-2d", "f1-5d", "f2")]))
    assert by_unit(regrets, units)[1]["x"].to_dict() == pytest.approx({("s", "f1"): 0.3, ("s", "f2"): 0.9})
    assert over_tasks(regrets, units).loc["x", 1] == pytest.approx(0.6)
    assert over_tasks(regrets).loc["x", 1] == pytest.approx(0.5)
    wide = pd.DataFrame(regrets[1].unstack("strategy"))
    assert sum(end["x"] for end in statistics.of_these(wide, units)) / 2 == pytest.approx(0.6)


def test_the_regrets_of_units_are_averaged_by_budget_and_strategy():
    names = ["suite", "task", "strategy", "seed"]
    index = pd.MultiIndex.from_product([["s"], ["a", "b"], ["x", "y"], [0, 1]], names=names)
    regrets = pd.DataFrame({1: np.arange(8.0), 2: [np.nan, 1, np.nan, np.nan, 2, 4, 3, 3]}, index=index)
    found = by_unit(regrets)
    assert list(found.columns) == [(1, "x"), (1, "y"), (2, "x"), (2, "y")]
    assert found.to_numpy() == pytest.approx(np.array([[0.5, 2.5, 1, np.nan], [4.5, 6.5, 3, 3]]), nan_ok=True)


def test_a_resample_averages_drawn_seeds_within_tasks():
    index = pd.MultiIndex.from_tuples([("s", "a", 0), ("s", "a", 1), ("s", "b", 0)], names=["suite", "task", "seed"])
    these = statistics.resamples(index, n_draws=50)
    # Task b has one seed, so it weighs a half in every draw; the two of a share the other half.
    assert these[:, 2] == pytest.approx(np.full(50, 0.5))
    assert these[:, :2].sum(axis=1) == pytest.approx(np.full(50, 0.5))
    assert {tuple(row) for row in these[:, :2]} == {(0.5, 0.0), (0.25, 0.25), (0.0, 0.5)}
    others = statistics.resamples(index, n_draws=50, units=own_units(index))
    assert others.sum(axis=1) == pytest.approx(np.ones(50))
    assert set(others[:, 2]) == {0.0, 0.5, 1.0}


def test_paired_intervals_need_the_same_seeds():
    a, b = pd.Series([1.0, 2.0, 3.0], index=[0, 1, 2]), pd.Series([1.5, 2.5, 3.5], index=[0, 1, 2])
    interval = statistics.paired_interval(a, b)
    assert (interval.mean, interval.low, interval.high) == (-0.5, -0.5, -0.5)
    single = statistics.paired_interval(a[:1], b)
    assert (single.mean, single.low, single.high) == (-0.5, -np.inf, np.inf)


@pytest.mark.parametrize("n_seeds", [3, 5, 10])
@pytest.mark.parametrize("draw", ["normal", "skewed", "coarse"])
def test_equal_strategies_rarely_appear_different_with_few_seeds(n_seeds, draw):
    rng = np.random.default_rng(n_seeds)
    losses = {
        "normal": lambda: rng.normal(size=n_seeds),
        "skewed": lambda: rng.lognormal(size=n_seeds),
        "coarse": lambda: rng.binomial(100, 0.1, size=n_seeds) / 100,  # an error rate on a hundred examples
    }[draw]
    n = 1500
    found = (statistics.paired_interval(pd.Series(losses()), pd.Series(losses())) for _ in range(n))
    alarms = sum(interval.low > 0 or interval.high < 0 for interval in found)
    assert alarms / n <= 0.06


def test_the_false_positive_rate_is_at_most_five_percent():
    rng = np.random.default_rng(0)
    n = 600
    alarms = 0
    for _ in range(n):
        table = pd.DataFrame(rng.random((15, 2)), columns=["a", "b"])
        alarms += statistics.against(table, "a").loc[0, "p_holm"] <= statistics.LEVEL
    assert stats.binomtest(alarms, n, statistics.LEVEL, alternative="greater").pvalue > 0.01
    assert alarms > 0


def test_the_interval_of_the_speed_up_contains_it_and_is_a_point_without_noise():
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
    assert found.loc[("s", "a", "x", 0)].tolist()[:3] == pytest.approx([0.45, 0.3, 1.0])
    assert found.loc[("s", "a", "x", 1)].tolist()[:3] == pytest.approx([-0.1, 0.0, 0.0])
    assert len(found) == 2
    assert generalisation(table, budget=3).loc[("s", "a", "x", 0)].tolist()[:3] == pytest.approx([0.05, 0.0, 0.0])


def overshot(table, key, by):
    """The same rows, with the last training of a run exceeding its budget by some epochs."""
    own = (table[["task", "strategy", "seed"]] == list(key)).all(axis=1)
    return table.assign(at_epochs=table["at_epochs"] + by * (table.index == table.index[own][-1]))


def test_a_run_whose_last_training_exceeds_its_budget_counts_fully():
    table = runs({("a", "x", 0): [0.5, 0.3], ("a", "y", 0): [0.5, 0.4]}, max_epochs=4)
    table = table.assign(test=table["loss"], retrained=[0.55, 0.6, 0.55, 0.35], returned=[np.nan, 0.6, np.nan, 0.35])
    table = overshot(table, ("a", "x", 0), 3)
    found = generalisation(table, budget=2)
    assert found.loc[("s", "a", "x", 0), ["retrained", "retrained_default"]].tolist() == [0.6, 0.55]
    assert found.loc[("s", "a", "x", 0), "overtuning"] == 0.0
    table["returned"] = [np.nan, 0.7, np.nan, 0.2]
    assert generalisation(table, budget=2)["retrained"].tolist() == [0.7, 0.2]
    before = pd.Series(1.0, index=CONSTANTS.index)
    assert at_end(table, CONSTANTS, 2, before).tolist() == [0.7, 0.2]
    assert at_end(table, CONSTANTS, 1, before).isna().all()  # no run has so small a budget


def test_a_budget_within_a_run_has_the_config_returned_by_then():
    table = runs({("b", "x", 0): [2.0, 1.5, 1.2], ("b", "y", 0): [np.nan, 1.5, 1.2], ("b", "z", 0): [2.0, 1.5, 1.2]})
    table["returned"] = [2.0, np.nan, 1.4, np.nan, np.nan, 1.6, np.nan, np.nan, np.inf]
    before = pd.Series(1.5, index=CONSTANTS.index)
    keys = [("s", "b", name, 0) for name in "xyz"]
    assert at_end(table, CONSTANTS, 1, before)[keys[:2]].tolist() == pytest.approx([0.5, 1.5])
    assert at_end(table, CONSTANTS, 3, before)[keys].tolist() == pytest.approx([0.2, 0.3, 1.5])


def test_means_of_test_losses_are_over_shared_runs():
    keys = [("s", "a", name, seed) for name in "xyz" for seed in range(3)]
    values = pd.DataFrame({"retrained": [1.0, 2.0, 3.0, np.nan, 5.0, 6.0, *[np.nan] * 3]})
    values.index = pd.MultiIndex.from_tuples(keys, names=["suite", "task", "strategy", "seed"])
    found = shared(values, ["retrained"])["retrained"]
    assert found.unstack("seed").loc[("s", "a")].to_dict("index") == {
        "x": {0: pytest.approx(np.nan, nan_ok=True), 1: 2.0, 2: 3.0},
        "y": {0: pytest.approx(np.nan, nan_ok=True), 1: 5.0, 2: 6.0},
        "z": {i: pytest.approx(np.nan, nan_ok=True) for i in range(3)},  # has none and does not affect the others
    }


def test_retrained_configs_are_compared_if_the_run_ended_at_the_budget():
    table = runs({("a", "x", 0): [0.5, 0.3], ("a", "x", 1): [0.5, 0.4], ("a", "twice", 0): [0.5, 0.3, 0.4, 0.2]})
    table["test"] = table["loss"]
    table["retrained"] = [0.55, 0.6, 0.55, 0.35, 0.55, np.nan, np.nan, 0.5]
    table["returned"] = [np.nan, 0.6, np.nan, 0.35, np.nan, np.nan, np.nan, 0.5]
    found = generalisation(table, budget=2)[["retrained", "retrained_default", "worse_retrained"]]
    assert found.loc[("s", "a", "x", 0)].tolist() == [0.6, 0.55, 1.0]
    assert found.loc[("s", "a", "x", 1)].tolist() == [0.35, 0.55, 0.0]
    assert found.loc[("s", "a", "twice", 0)].isna().all()  # its choice at twice the budget was retrained
    assert generalisation(table, budget=4)["retrained"].loc[("s", "a", "twice", 0)] == 0.5


def test_the_default_is_identified_by_its_config_not_by_its_number():
    table = runs({("a", "x", 0): [0.5, 0.4, 0.3]}).assign(test=[0.1, 0.2, 0.3], retrained=[np.nan, 0.3, 0.4])
    table["is_default"], table["returned"] = [False, True, False], [np.nan, np.nan, 0.4]
    found = generalisation(table, budget=3).loc[("s", "a", "x", 0)]
    assert found["worse_than_default"] == 1.0
    assert (found["retrained"], found["retrained_default"], found["worse_retrained"]) == (0.4, 0.3, 1.0)


def test_a_run_without_outcomes_is_never_better_than_one_with_outcomes():
    table = runs(
        {("a", "x", 0): [np.nan], ("a", "x", 1): [0.4], ("b", "x", 0): [np.nan, 2.0], ("b", "y", 0): [5.0, 1.0]}
    )
    before = before_any(table, CONSTANTS)
    assert before.to_dict() == {("s", "a"): 1.0, ("s", "b"): 2.0}  # at least 1; b: of y's first incumbent, the default
    found = filled(at_budgets(table, CONSTANTS, [1, 2]), before)
    assert found.loc[("s", "a", "x", 0)].tolist() == [1.0, 1.0]
    assert found.loc[("s", "b", "x", 0)].tolist() == [2.0, 0.5]
    # A default that was never the incumbent counts as well.
    late = runs({("a", "x", 0): [0.2, 3.0]}).assign(is_default=[False, True])
    assert before_any(late, CONSTANTS)[("s", "a")] == 3.0
    # If regret is the loss itself there is no floor, and no value is invented.
    own = CONSTANTS.assign(floor=np.nan)
    assert before_any(table, own)[("s", "a")] == 0.4
    failed = table[table["failed"]]
    assert before_any(failed, own).isna().all()
    assert filled(at_budgets(failed, own, [1]), before_any(failed, own)).isna().all(axis=None)


def test_tasks_on_which_a_run_beats_the_best_known_loss():
    table = runs({("a", "x", 0): [0.1, -0.2], ("a", "y", 0): [-0.3, np.nan], ("b", "x", 0): [1.0]})
    found = beaten(table, CONSTANTS)
    assert found[["task", "strategy"]].to_numpy().tolist() == [["a", "y"]]
    assert found["regret"].tolist() == pytest.approx([-0.3])


@pytest.mark.parametrize("clock", ["at_epochs", "at_seconds"])
def test_many_runs_give_the_same_results_as_single_ones(clock):
    rng = np.random.default_rng(0)
    n = 400
    table = pd.DataFrame(
        {
            "suite": "s", "task": rng.choice(["a", "b"], n), "strategy": rng.choice(["x", "y"], n), "trial": range(n),
            "seed": rng.integers(3, size=n), "loss": rng.random(n).round(1), "worth": rng.random(n),
            "epochs": rng.integers(1, 4, size=n), "max_epochs": 3, "failed": rng.random(n) < 0.2,
            "at_epochs": rng.integers(1, 90, size=n), "at_seconds": rng.integers(1, 90, size=n), "repeats": np.nan,
        }
    )  # fmt: skip
    together = at_budgets(table, CONSTANTS, [1, 5, 9, 30], clock)
    for key, run in table.groupby(["suite", "task", "strategy", "seed"]):
        run = run.sort_values(clock, kind="stable")
        facts, unit = CONSTANTS.loc[key[:2]], 3 if clock == "at_epochs" else 10.0
        for budget in (1, 5, 9, 30):
            spent = run[run[clock] <= budget * unit]
            worth = incumbents(spent)[-1] if len(spent) else np.nan
            expected = normalised(worth, facts["best"], facts["reference"])
            assert together.loc[key, budget] == pytest.approx(expected, nan_ok=True)


def test_a_repeated_config_is_scored_by_its_mean_loss():
    """Trial 1 is repeated as 3, and trial 2 as 4: means .3 and .25. The lucky, unrepeated trial 0 loses to them."""
    table = runs({("a", "x", 0): [0.1, 0.2, 0.25, 0.4, 0.25]}).assign(repeats=[np.nan, np.nan, np.nan, 1, 2])
    table["worth"] = [1.0, 2.0, 3.0, 2.0, 3.0]
    regrets = at_budgets(table, CONSTANTS, [1, 2, 3, 4, 5])
    assert regrets.iloc[0].tolist() == [1.0, 1.0, 1.0, 2.0, 3.0]
