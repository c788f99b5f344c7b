"""Algorithm selection, checked against hand-computed tables."""

import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from test_leaderboard import constants, runs

from automl.errors import UserError
from benchmarks.experiments.selector import (
    best_per_task,
    closed_gap,
    evaluate,
    missing,
    selector_regrets,
    shared,
    single_best,
)

UNITS = pd.Series({("s", "s1"): "s1", ("s", "s2"): "s2", ("t", "t1"): "t1", ("t", "t2"): "t1"})
REGRETS = pd.DataFrame(
    {  # two seeds of each of s1, s2, t1, t2
        "auto": [0.2, 0.2, 0.3, 0.3, 0.1, 0.1, 0.5, 0.5],
        "bo": [0.1, 0.4, 0.3, 0.3, 0.2, 0.2, 0.4, 0.8],
        "tpe": [0.3, 0.3, 0.2, 0.2, 0.6, 0.6, 0.6, 0.6],
    },
    index=pd.MultiIndex.from_tuples(
        [(name[0], name, seed) for name in ("s1", "s2", "t1", "t2") for seed in (0, 1)], names=["suite", "task", "seed"]
    ),
)


def test_the_single_best_strategy_is_chosen_on_the_other_suites():
    # On t, a single unit: bo (0.2 + 0.6) / 2, tpe 0.6. On s: bo (0.25 + 0.3) / 2 = 0.275, tpe (0.3 + 0.2) / 2 = 0.25.
    assert single_best(REGRETS[["bo", "tpe"]], UNITS).to_dict() == {"s": "bo", "t": "tpe"}


def test_variants_of_a_unit_count_once_for_the_single_best():
    units = pd.Series({("a", "x"): "f", ("a", "y"): "f", ("a", "z"): "g", ("b", "q"): "q"})
    index = pd.MultiIndex.from_tuples([(*task, 0) for task in units.index], names=["suite", "task", "seed"])
    regrets = pd.DataFrame({"bo": [0.0, 0.0, 1.0, 0.0], "tpe": [0.5, 0.5, 0.4, 1.0]}, index=index)
    # By units bo is worth (0 + 1) / 2, tpe (0.5 + 0.4) / 2; over the three tasks bo would be ahead.
    assert single_best(regrets, units)["b"] == "tpe"


def test_the_best_per_task_is_chosen_on_other_seeds_than_it_is_scored_on():
    found = best_per_task(REGRETS[["bo", "tpe"]])
    assert found["s", "s1", 0] == "tpe"  # by seed 1, although bo is better on seed 0
    assert found["s", "s1", 1] == "bo"
    assert found["t", "t2", 0] == "tpe"
    assert found["t", "t2", 1] == "bo"


def test_the_four_and_the_closed_gap_by_hand():
    regrets = selector_regrets(REGRETS, ["bo", "tpe"], pd.Series({"s": "bo", "t": "tpe"}))
    assert regrets["sbs"].tolist() == [0.1, 0.4, 0.3, 0.3, 0.6, 0.6, 0.6, 0.6]
    assert regrets["vbs"].tolist() == [0.3, 0.4, 0.2, 0.2, 0.2, 0.2, 0.6, 0.8]
    assert regrets["random_choice"].tolist() == pytest.approx([0.2, 0.35, 0.25, 0.25, 0.4, 0.4, 0.5, 0.7])
    found = closed_gap(regrets, UNITS)
    # Units s1, s2, and t1 of two tasks:
    # sbs (0.25 + 0.3 + 0.6) / 3, vbs (0.35 + 0.2 + 0.45) / 3, auto (0.2 + 0.3 + 0.3) / 3.
    assert (found["sbs"], found["vbs"], found["auto"]) == pytest.approx((1.15 / 3, 1.0 / 3, 0.8 / 3))
    assert found["closed_gap"] == pytest.approx(0.35 / 0.15)
    assert found["lead"] == pytest.approx(0.35 / 3)
    assert found["low"] == -np.inf  # in many draws there is no gap


def test_the_interval_contains_the_closed_gap_if_the_gap_is_clear():
    tasks = [("s", f"t{i}", seed) for i in range(12) for seed in range(4)]
    index = pd.MultiIndex.from_tuples(tasks, names=["suite", "task", "seed"])
    noise = np.random.default_rng(0).normal(0, 0.02, (len(index), 4))
    regrets = pd.DataFrame(
        noise + np.array([0.3, 0.5, 0.6, 0.1]), index=index, columns=["auto", "sbs", "random_choice", "vbs"]
    )
    found = closed_gap(regrets, pd.Series({task[:2]: task[1] for task in tasks}))
    assert found["low"] < 0.5 < found["high"]
    assert found["high"] - found["low"] < 0.1
    assert 0.15 < found["lead_low"] < 0.2 < found["lead_high"] < 0.25


def test_without_a_gap_nothing_can_be_closed():
    regrets = selector_regrets(REGRETS, ["bo", "tpe"], pd.Series({"s": "bo", "t": "tpe"})).assign(vbs=0.9)
    found = closed_gap(regrets, UNITS)
    assert np.isnan([found["closed_gap"], found["low"], found["high"]]).all()
    assert found["lead"] == pytest.approx(0.35 / 3)


def two_suites(*strategies: tuple[str, float], **options) -> pd.DataFrame:
    parts = [runs(name, quality, ["x", "y"], suite=suite, **options) for name, quality in strategies for suite in "st"]
    return pd.concat(parts, ignore_index=True)


FACTS = pd.concat([constants(["x", "y"], suite) for suite in "st"]).assign(floor=1.0)
THREE = [("auto", 0.1), ("bo", 0.2), ("random", 0.5)]


def test_runs_are_compared_after_equal_epochs():
    table = two_suites(*THREE, n_trials=20)
    table["at_epochs"] *= np.where(table["strategy"] == "auto", 2, 1)  # auto has outcomes of 10 of 20 trainings
    table["n_trials"] = 20
    every, s, t = evaluate(table, FACTS, 20).to_dict("records")
    expected = table[(table["strategy"] == "auto") & (table["at_epochs"] <= 20)]
    expected = expected.groupby(["suite", "task", "seed"])["loss"].min().groupby("suite").mean()
    assert (s["auto"], t["auto"]) == pytest.approx((expected["s"], expected["t"]))
    assert every["sbs_is"] == "bo"
    assert (every["n_tasks"], every["min_seeds"], every["strategies"]) == (4, 3, "bo random")


def test_auto_is_judged_at_a_budget_by_runs_given_just_this_one():
    long, short = two_suites(*THREE, n_trials=50), two_suites(("auto", 0.01), n_trials=20)
    before, after = evaluate(long, FACTS, 20), evaluate(pd.concat([long, short]), FACTS, 20)
    assert (after["auto"] < before["auto"]).all()
    assert after["sbs"].tolist() == before["sbs"].tolist()
    few = pd.concat([long, short[short["seed"] == 0]])
    assert evaluate(few, FACTS, 20).equals(before)
    assert evaluate(pd.concat([long, short]), FACTS, 50).equals(evaluate(long, FACTS, 50))


def test_strategies_with_few_or_shorter_runs_are_dropped():
    table = pd.concat([two_suites(*THREE), runs("skopt", 0.01, ["x"], suite="s")])
    names, pairs = shared(table.drop_duplicates(["strategy", "suite", "task", "seed"]))
    assert (names, len(pairs)) == (["bo", "random"], 12)
    longer = pd.concat([two_suites(*THREE, n_trials=50), two_suites(("tpe", 0.01), n_trials=20)])
    assert evaluate(longer, FACTS, 50)["strategies"].iloc[0] == "bo random"


def test_missing_runs_are_reported():
    with pytest.raises(UserError, match=r"auto needs runs in two suites, found 0; make some with"):
        missing(two_suites(*THREE[1:]))
    table = pd.concat([two_suites(*THREE, n_trials=50), runs("bo", 0.2, ["x"], suite="u", n_trials=50)])
    assert missing(table) == [
        "missing: runs of auto on u",
        "missing: runs of auto in two suites with 100 trainings",
    ]
    with pytest.raises(UserError, match="no strategy shares runs of 20 trainings, two seeds and two suites with auto"):
        evaluate(two_suites(*THREE, n_seeds=1), FACTS, 20)


def test_the_command_without_runs_of_auto_fails_in_one_line(tmp_path):
    rows = runs("random", 0.5, ["f01-5d"], suite="synthetic")
    rows.to_parquet(tmp_path / "random-20-trials-1-workers.parquet")
    command = [
        sys.executable,
        "-m",
        "benchmarks.experiments.selector",
        str(tmp_path),
        "--out",
        str(tmp_path / "selector.csv"),
    ]
    process = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert process.returncode == 2
    assert process.stderr.startswith("benchmarks: the single best strategy is chosen on other suites")
    assert process.stderr.count("\n") == 1
    assert not (tmp_path / "selector.csv").exists()
