"""What strategies need to reach a reference: known crossings, censored runs, intervals, and the pages about it."""

import functools

import numpy as np
import pandas as pd
import pytest
from test_leaderboard import TASKS, constants
from test_leaderboard import numeric_runs as runs

from benchmarks.pages import markdown
from benchmarks.pages.efficiency import efficiencies, full_table, notes, short_table
from benchmarks.scoring.efficiency import failures, medians
from benchmarks.scoring.leaderboard import sections


def falling(strategy, reaches, *, n_seeds=3, n_trials=50, split="development", tasks=TASKS):
    """Runs whose regret is 1 before the training ``reaches(task, seed)`` and 0.1 from it on; random search stays at
    0.5."""
    table = runs(strategy, 0.5, tasks, n_seeds=n_seeds, n_trials=n_trials, split=split)
    if strategy == "random":
        return table.assign(loss=0.5, worth=0.5)
    when = [reaches(task, seed) for task, seed in zip(table["task"], table["seed"], strict=True)]
    loss = np.where(table["trial"] + 1 >= when, 0.1, 1.0)
    return table.assign(loss=loss, worth=loss)


NEVER = 10**6


@functools.cache
def known():
    table = pd.concat(
        [
            falling("random", None),
            falling("tpe", lambda task, seed: 10 + 2 * TASKS.index(task)),  # 10, 12, ..., 36
            falling("bo", lambda task, seed: NEVER if task in TASKS[:5] else 4),
            falling("ga", lambda task, seed: NEVER if seed else 5),
        ]
    )
    return {section.field.name: section for section in sections(table, constants(TASKS))}


@functools.cache
def table_of(clock="trainings"):
    table = medians(known()["all tasks"].needed)
    return table[table["clock"] == clock].set_index("strategy")


def test_the_median_over_tasks_is_that_of_the_known_crossings():
    found = table_of()
    assert set(zip(found["reference"], found["after"], strict=True)) == {("random", 50)}  # nothing ran to 100
    assert found.loc["tpe", ["median", "reached"]].tolist() == [23.0, 1.0]
    assert found.loc["random", "median"] == 1.0
    # Of 14 values, the 5th to the 10th cover the median with 82%, the 3rd to the 12th with 99%.
    assert found.loc["tpe", ["low80", "high80"]].tolist() == [18.0, 28.0]
    assert found.loc["tpe", ["low95", "high95"]].tolist() == [14.0, 32.0]


def test_runs_that_never_arrive_count_as_the_slowest():
    found = table_of()
    assert found.loc["bo", "median"] == 4.0
    assert found.loc["bo", "reached"] == pytest.approx(9 / 14)
    assert found.loc["bo", "high95"] == np.inf
    assert found.loc["ga", ["median", "low95"]].tolist() == [np.inf, np.inf]  # two of three seeds never, on each task
    assert found.loc["ga", "reached"] == pytest.approx(1 / 3)


def test_time_includes_what_the_strategy_thinks():
    needed = known()["all tasks"].needed.query("clock == 'seconds' and strategy == 'tpe' and task == 't00'")["needed"]
    assert needed.tolist() == [10.0, 10.0, 10.0]  # in trainings of 10 seconds
    slow = pd.concat([falling("random", None), falling("tpe", lambda task, seed: 10)])
    slow.loc[slow["strategy"] == "tpe", "at_seconds"] *= 2
    found = medians(sections(slow, constants(TASKS))[0].needed).set_index(["strategy", "clock"])["median"]
    assert (found["tpe", "trainings"], found["tpe", "seconds"]) == (10.0, 20.0)


def test_a_little_thinking_takes_a_little_time():
    quick = pd.concat([falling("random", None), falling("tpe", lambda task, seed: 10 + 2 * TASKS.index(task))])
    quick["at_seconds"] += 1e-4 * (quick["trial"] + 1)
    found = medians(sections(quick, constants(TASKS))[0].needed).set_index(["strategy", "clock"])
    for column in ("median", "low80", "high80", "low95", "high95"):
        assert found.loc[("tpe", "seconds"), column] == pytest.approx(found.loc[("tpe", "trainings"), column], rel=1e-4)


def test_part_of_a_training_counts_as_a_part():
    short = falling("tpe", lambda task, seed: 10).assign(epochs=1, max_epochs=4)
    short["at_epochs"] = short["trial"] + 1  # the 10th trial ends after 2.5 trainings
    long = falling("random", None).assign(epochs=4, max_epochs=4, at_epochs=lambda rows: 4 * rows["at_epochs"])
    needed = sections(pd.concat([long, short]), constants(TASKS))[0].needed
    assert set(needed.query("clock == 'trainings' and strategy == 'tpe'")["needed"]) == {2.5}


def test_the_tasks_on_which_the_fastest_fails_are_named():
    own = known()["all tasks"].needed.query("clock == 'trainings'")
    assert failures(own, "bo").index.get_level_values("task").tolist() == TASKS[:5]
    assert failures(own, "tpe").empty
    each = efficiencies([known()["numeric spaces"]])[0]
    (line,) = notes(each)
    assert line.startswith("To random search after 50, random is the fastest")
    assert "The default config is as good on s/t00, s/t01, " in line  # random search never improves on it
    rows = {name: trainings for name, trainings, _ in full_table(each)[1]}
    assert rows["`ga`"].split("; ") == ["over 50 (over 50 to over 50, over 50 to over 50)", "67% never"]


def test_the_tasks_on_which_auto_fails_are_named_too():
    auto = falling("auto", lambda task, seed: NEVER if task == "t03" else 4)
    found = sections(pd.concat([falling("random", None), auto]), constants(TASKS))
    (line,) = notes(efficiencies(found)[0])
    assert "auto gets there in at most half of its runs on s/t03 (0%)." in line


def test_few_tasks_give_no_interval():
    few = pd.concat([falling("random", None, tasks=TASKS[:4]), falling("tpe", lambda task, seed: 7, tasks=TASKS[:4])])
    found = medians(sections(few, constants(TASKS))[0].needed)
    assert found[["low80", "high80", "low95", "high95"]].isna().all(axis=None)
    assert found.set_index(["strategy", "clock"])["median"]["tpe", "trainings"] == 7.0


def test_held_out_tasks_come_first():
    seen, held = TASKS[:7], [f"h{i:02d}" for i in range(6)]
    names = ("random", "raw-optuna", "tpe")
    parts = [falling(name, lambda task, seed: 9, tasks=seen, n_seeds=2) for name in names]
    parts += [falling(name, lambda task, seed: 30, tasks=held, n_seeds=2, split="holdout") for name in names]
    found = sections(pd.concat(parts), constants([*seen, *held]))
    assert [each.title for each in efficiencies(found)] == ["numeric spaces, held-out", "numeric spaces, development"]
    header, rows = short_table(efficiencies(found))
    assert header == ["strategy", "numeric spaces, held-out"]
    assert ["`tpe`", "30 / 30"] in rows
    costs = pd.DataFrame({"strategy": ["tpe"], "n_dimensions": [8], "n_trials": [50], "seconds": [0.01]})
    made = {"crashes": [], "failed": [], "beaten": [], "versions": [], "mixed": [], "efforts": []}
    pages = markdown.pages(found, costs, {}, made, "board")
    first = pages["board.md"]
    few, row = (next(x for x in first.splitlines() if x.startswith(f"| numeric spaces | {n} ")) for n in (20, 50))
    assert few.split(" | ")[6].startswith("held-out: 6 tasks")
    assert row.split(" | ")[6] == "as above"
    assert row.split(" | ")[7].startswith(">99%"), "on development tasks"
    assert "![Trainings needed to match a reference](board-efficiency.png)" in first
    assert "## numeric spaces, held-out: 6 tasks, 2 seeds" in pages["board-efficiency.md"]
    assert {"board-s.md", "board-s-held-out.md"} <= set(pages)
