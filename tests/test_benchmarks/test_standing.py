"""The data behind automl select agree with the leaderboard."""

import json

import pandas as pd
import pytest
from test_leaderboard import constants, runs

from automl.tuning.recommend import as_records, recommend
from benchmarks.scoring.leaderboard import board, sections
from benchmarks.scoring.verdicts import records, standing_json

TASKS = [f"t{i:02d}" for i in range(14)]


def table(*extra: pd.DataFrame) -> pd.DataFrame:
    ours = [runs(name, quality, TASKS) for name, quality in (("random", 0.5), ("bo", 0.1), ("tpe", 0.3), ("ga", 0.4))]
    return pd.concat([*ours, runs("raw-optuna", 0.05, TASKS), *extra], ignore_index=True)


def test_the_numbers_are_those_of_the_leaderboard():
    found = sections(table(), constants(TASKS))
    first, last = records(found)
    assert (first["budget"], last["budget"]) == (10, 20)
    rows = board(found).query("suite == 'every suite' and clock == 'trainings' and budget == 20").set_index("strategy")
    for name, regret in last["regrets"].items():
        assert regret == pytest.approx(rows.loc[name, "regret"], rel=1e-5)
    assert (last["kind"], last["size"], last["n_seeds"], last["suites"]) == ("numeric", "14 tasks", "3", {"s": 14})
    chances = found[-1].standings["trainings"].comparisons[20].chances
    for name in chances.index:
        assert last["chances"][name] == pytest.approx(chances.loc[name, "probability"], rel=1e-5)
        assert last["losses"][name] == pytest.approx(chances.loc[name, "loss"], rel=1e-5)


def test_our_best_strategy_is_recommended_even_if_a_raw_library_wins():
    found = sections(table(), constants(TASKS))
    assert found[-1].standings["trainings"].comparisons[20].leaders == ("raw-optuna",)
    content = json.loads(standing_json(found))
    recommended = recommend(as_records(content), "numeric", 20)
    assert recommended.strategy == "bo"
    assert recommended.basis.others == ("raw-optuna",)


def test_holdout_tasks_have_records_of_their_own_and_parallel_runs_have_none():
    other = [f"h{i:02d}" for i in range(14)]
    more = [runs(name, 0.2, other, split="holdout") for name in ("random", "bo")]
    more += [runs(name, 0.2, TASKS, n_workers=4) for name in ("random", "bo")]
    found = records(sections(table(*more), constants([*TASKS, *other])))
    assert [record for record in found if record["split"] == "development"] == records(
        sections(table(), constants(TASKS))
    )
    assert {record["split"] for record in found} == {"development", "holdout"}


def test_tasks_with_learning_curves_have_records_for_each_number_of_workers():
    tables = [
        runs(name, quality, TASKS, suite="yahpo", n_workers=n, max_epochs=9)
        for name, quality in (("random", 0.5), ("auto", 0.1))
        for n in (1, 4)
    ]
    found = records(sections(pd.concat(tables, ignore_index=True), constants(TASKS, "yahpo")))
    assert [(each["kind"], each["field"], each["n_workers"], each["budget"]) for each in found] == [
        ("curves", "all tasks", 1, 10), ("curves", "all tasks", 1, 20),
        ("curves", "all tasks", 4, 10), ("curves", "all tasks", 4, 20),
    ]  # fmt: skip
    four = recommend(as_records({"margin": 0.01, "records": found}), "numeric", 20, curves=True, n_workers=4)
    assert four.basis.tasks == "14 tasks with learning curves, development (yahpo 14), 4 workers"


def test_runs_given_just_a_budget_decide_at_it():
    short = runs("tpe", 0.01, TASKS, n_trials=10)
    first, last = records(sections(table(short), constants(TASKS)))
    before, same = records(sections(table(), constants(TASKS)))
    assert first["regrets"]["tpe"] < before["regrets"]["tpe"]
    assert last == same
    assert recommend(as_records({"margin": 0.01, "records": [first, last]}), "numeric", 10).strategy == "tpe"


def test_a_single_strategy_of_ours_is_not_a_comparison():
    alone = pd.concat([runs("random", 0.5, TASKS), runs("raw-optuna", 0.1, TASKS)])
    assert records(sections(alone, constants(TASKS))) == []
