"""Pairwise comparison on common runs, checked against hand-computed numbers."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from automl.errors import UserError
from benchmarks.experiments.duels import all_duels, as_table, duels
from benchmarks.scoring.cohorts import DEVELOPMENT, EVERY_SUITE


def runs(worths):
    """A table with one training per run; ``worths``: by suite, task, strategy and seed."""
    same = {
        "n_trials": 20, "n_workers": 1, "trial": 0, "epochs": 1, "max_epochs": 1, "at_epochs": 1, "at_seconds": 1.0,
        "failed": False, "is_default": False, "repeats": np.nan, "retrained": np.nan, "test": np.nan,
        "returned": np.nan, "kind": "",
    }  # fmt: skip
    rows = [
        {"suite": suite, "task": task, "strategy": strategy, "seed": seed, "unit": task, "loss": x, "worth": x} | same
        for (suite, task, strategy, seed), x in worths.items()
    ]
    return pd.DataFrame(rows)


def test_a_duel_uses_only_shared_runs_and_weights_tasks_equally():
    worths = {
        ("s", "a", "bo", 0): 0.2, ("s", "a", "tpe", 0): 0.4,
        ("s", "b", "bo", 0): 0.3, ("s", "b", "tpe", 0): 0.3,
        ("s", "b", "bo", 1): 0.1, ("s", "b", "tpe", 1): 0.5,
        ("r", "c", "bo", 0): 0.6, ("r", "c", "tpe", 0): 0.2,
        ("s", "a", "bo", 1): 9.0,  # the rival has no such run
    }  # fmt: skip
    tasks = pd.MultiIndex.from_tuples([("s", "a"), ("s", "b"), ("r", "c")], names=["suite", "task"])
    facts = pd.DataFrame({"best": 0.0, "reference": 1.0, "seconds": 1.0, "floor": 1.0}, index=tasks)
    found = {row["suite"]: row for row in duels(runs(worths), facts, "bo", 20)}
    assert set(found) == {EVERY_SUITE, "r", "s"}
    every = found[EVERY_SUITE]
    assert every["n_tasks"] == 3
    assert (every["min_seeds"], every["max_seeds"]) == (1, 2)
    assert every["regret"] == pytest.approx((0.2 + 0.2 + 0.6) / 3)
    assert every["rival_regret"] == pytest.approx((0.4 + 0.4 + 0.2) / 3)
    assert found["s"]["difference"] == pytest.approx(-0.2)
    assert np.isnan([every["low"], every["high"]]).all()  # three tasks say little about others
    assert duels(runs(worths), facts, "bo", 50) == []
    # Trained again on fresh seeds, both on two runs of suite s: these alone count there.
    table = runs(worths)
    again = {(0, "bo"): 0.5, (0, "tpe"): 0.4, (1, "bo"): 0.7}
    values = [again.get((seed, name)) for seed, name in zip(table["seed"], table["strategy"], strict=True)]
    table["returned"] = np.where(table["suite"] == "s", np.array(values, dtype=float), np.nan)
    found = {row["suite"]: row for row in duels(table, facts, "bo", 20)}
    assert found["s"]["regret"] == pytest.approx(0.5)
    assert found["s"]["rival_regret"] == pytest.approx(0.4)
    assert (found["s"]["fresh_tasks"], found["r"]["fresh_tasks"], found[EVERY_SUITE]["fresh_tasks"]) == (2, 0, 2)
    assert found["r"]["difference"] == pytest.approx(0.4)


def test_a_row_uses_runs_given_just_the_budget_if_it_has_one_for_all():
    tasks = [("s", "a"), ("s", "b"), ("r", "c")]
    names = {"bo": 0.3, "tpe": 0.4}
    long = runs({(*task, name, 0): loss for task in tasks for name, loss in names.items()}).assign(n_trials=50)
    short = runs({("s", "a", "tpe", 0): 0.1, ("s", "b", "tpe", 0): 0.1, ("s", "a", "bo", 0): 0.1})
    index = pd.MultiIndex.from_tuples(tasks, names=["suite", "task"])
    facts = pd.DataFrame({"best": 0.0, "reference": 1.0, "seconds": 1.0, "floor": 1.0}, index=index)
    found = {row["suite"]: row for row in duels(pd.concat([long, short]), facts, "bo", 20)}
    assert (found["s"]["regret"], found["s"]["rival_regret"]) == pytest.approx((0.3, 0.1))
    assert found["s"]["told"] == "tpe"
    for suite in ("r", EVERY_SUITE):  # not all of these were run with the smaller budget
        assert (found[suite]["regret"], found[suite]["rival_regret"]) == pytest.approx((0.3, 0.4))
        assert found[suite]["told"] == ""
    for row in duels(pd.concat([long, short]), facts, "bo", 50):
        assert (row["regret"], row["rival_regret"]) == pytest.approx((0.3, 0.4))


def test_the_table_of_a_page_has_a_row_for_each_rival_and_suite_and_no_interval_of_few_units():
    worths = {("s", "a", "bo", 0): 0.2, ("s", "a", "tpe", 0): 0.4}
    tasks = pd.MultiIndex.from_tuples([("s", "a")], names=["suite", "task"])
    facts = pd.DataFrame({"best": 0.0, "reference": 1.0, "seconds": 1.0, "floor": 1.0}, index=tasks)
    lines = as_table(pd.DataFrame(duels(runs(worths), facts, "bo", 20)))
    assert lines[-1] == "| `tpe` | s, 1 task, 1 seed | 20 | 0.200 | 0.400 | -0.200 |"


def test_duels_on_some_tasks():
    found = all_duels(Path("results/peers"), "auto", 5, DEVELOPMENT, ["mnist1d-cnn"])
    assert set(found["n_tasks"]) <= {1, 2}  # recorded, and in networks
    with pytest.raises(UserError, match="no runs on development task 'moon-cnn'"):
        all_duels(Path("results/peers"), "auto", 5, DEVELOPMENT, ["mnist1d-cnn", "moon-cnn"])
