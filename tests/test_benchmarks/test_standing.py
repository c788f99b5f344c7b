"""The data behind automl select agree with the leaderboard."""

import itertools
import json
import re
from pathlib import Path

import pandas as pd
import pytest
from test_leaderboard import constants
from test_leaderboard import numeric_runs as runs

from automl.errors import UserError
from automl.tuning.recommend import LIKE, Advice, Record, as_records, probability, recommend, standing
from benchmarks.pages.sentences import number
from benchmarks.pages.situations import ADVICE, LIKELIER, SITUATIONS, advice_rows, advised
from benchmarks.scoring.cohorts import EVERY_SUITE
from benchmarks.scoring.leaderboard import board, sections
from benchmarks.scoring.verdicts import WITH_CURVES, records, standing_json
from benchmarks.suites import CONDITIONAL, NUMERIC_WITHOUT_INTEGERS, SUITES, load_suite
from strategies.encoding import Encoding

LEADERBOARD = Path(__file__).parents[2] / "results" / "leaderboard.md"
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
    [advice] = recommend(as_records(content), "numeric", 20).advice
    assert advice.strategy == "bo"
    assert advice.basis.others == ("raw-optuna",)


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
    [four] = recommend(as_records({"margin": 0.01, "records": found}), "numeric", 20, curves=True, n_workers=4).advice
    assert four.basis.tasks == "14 tasks with surrogate learning curves of 9 epochs, development (yahpo 14), 4 workers"


def test_real_trainings_are_a_kind_of_their_own_with_their_epochs_and_conditions():
    qualities = (("random", 0.5), ("bo", 0.1))
    tables = [runs(name, quality, TASKS[:7], suite="networks", max_epochs=10) for name, quality in qualities]
    tables += [runs(name, quality, TASKS[7:], suite="networks", max_epochs=18) for name, quality in qualities]
    found = records(sections(pd.concat(tables, ignore_index=True), constants(TASKS, "networks")))
    assert [(each["kind"], each["budget"], each["epochs"], each["conditional"]) for each in found] == [
        ("trainings", 10, [10, 18], True),
        ("trainings", 20, [10, 18], True),
    ]
    assert not any(each["conditional"] for each in records(sections(table(), constants(TASKS))))


def test_the_suites_with_conditional_hyperparameters_are_known():
    for suite in set(SUITES) - {"own", "quick"}:
        try:
            tasks = load_suite(suite)
        except UserError:  # its data are not on this machine
            continue
        assert {bool(task.space.conditions) for task in tasks} == {suite in CONDITIONAL}


def test_the_suites_whose_numeric_spaces_have_no_integers_are_known():
    for suite in NUMERIC_WITHOUT_INTEGERS:
        encodings = [Encoding(task.space) for task in load_suite(suite)]
        numeric = [encoding for encoding in encodings if encoding.kind == "numeric"]
        assert numeric
        assert not any(dimension.kind == "int" for encoding in numeric for dimension in encoding.dimensions)


def advice_for(known: list[Record], situation: str, n_trials: int) -> Advice:
    """What automl select answers in a situation of the leaderboard."""
    (suite, field, n_workers) = next(key for key, words in SITUATIONS.items() if words == situation)
    kind = field.partition(" ")[0] if suite == EVERY_SUITE else WITH_CURVES[suite]
    found = recommend(known, kind, n_trials, curves=kind in LIKE, n_workers=n_workers)
    return next(advice for advice in found.advice if advice.basis.kind == kind)


def assert_agree(known: list[Record], rows: list[list[str]]) -> None:
    """The rows of the leaderboard's first table and automl select say the same."""
    for row in rows:
        cells = dict(zip(ADVICE, row, strict=True))
        found = advice_for(known, cells["setting"], int(cells["trainings"]))
        assert cells["recommended in automl"].startswith(f"**{found.strategy}**"), row
        assert found.basis.budget == int(cells["trainings"])
        assert found.basis.size in cells["measured on"]
        assert cells["P(best)"] == probability(found.basis.chances[found.strategy])
        assert cells["regret (80% interval)"].split(" ")[0] == number(found.basis.regrets[found.strategy])
        likelier = re.findall(r"`([^`]+)`", cells[LIKELIER])
        assert likelier[:1] == ([found.likelier[0]] if found.likelier else []), row
        if found.likelier:
            name, record = found.likelier
            assert f"({probability(record.chances[name])})" in cells[LIKELIER]


def test_select_and_the_first_table_of_the_leaderboard_agree():
    held, few = [f"h{i:02d}" for i in range(14)], TASKS[:6]
    qualities = (("random", 0.5), ("auto", 0.2), ("bo", 0.195), ("raw-nevergrad", 0.15))
    parts = [runs(name, quality, TASKS) for name, quality in qualities]
    parts += [runs(name, quality, held, split="holdout") for name, quality in qualities]
    parts += [runs(name, quality, TASKS, kind="mixed", suite="m", n_trials=50) for name, quality in qualities[:3]]
    parts.append(runs("raw-slow", 0.1, few, kind="mixed", suite="m", n_trials=50))
    for n in (1, 4):
        parts += [
            runs(name, q, TASKS, suite="yahpo", n_workers=n, max_epochs=52, n_trials=50) for name, q in qualities[:3]
        ]
    parts.append(runs("raw-slow", 0.1, few, suite="yahpo", max_epochs=52, n_trials=20))
    parts += [
        runs(name, q, TASKS, suite="networks", max_epochs=10)
        for name, q in (("random", 0.5), ("auto", 0.2), ("bo", 0.1))
    ]
    facts = pd.concat([constants([*TASKS, *held]), *(constants(TASKS, suite) for suite in ("m", "yahpo", "networks"))])
    found = sections(pd.concat(parts, ignore_index=True), facts)
    rows = advice_rows(advised(found))
    assert {row[0] for row in rows} == set(SITUATIONS.values()) - {"discrete spaces"}
    assert {row[2].partition(" ")[0] for row in rows} == {"**auto**", "**bo**"}
    likelier = ADVICE.index(LIKELIER)
    assert any(row[likelier].startswith("`raw-nevergrad`") for row in rows)
    assert any(row[likelier].startswith("on 6 tasks, 3 seeds: `raw-slow`") for row in rows)
    assert_agree(as_records(json.loads(standing_json(found))), rows)


def test_the_file_of_the_package_agrees_with_the_committed_leaderboard():
    lines = [line.strip("| \n").split(" | ") for line in LEADERBOARD.read_text().splitlines() if line.startswith("| ")]
    rows = [[cell.strip() for cell in line] for line in lines if line[0] in SITUATIONS.values()]
    assert len(rows) >= len(SITUATIONS)
    measured = ADVICE.index("measured on")
    for above, row in itertools.pairwise(rows):
        row[measured] = above[measured] if row[measured] == "as above" else row[measured]
    assert_agree(standing(), [[*row, *[""] * (len(ADVICE) - len(row))] for row in rows])


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
