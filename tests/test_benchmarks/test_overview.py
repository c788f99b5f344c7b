"""The first screen of the leaderboard below the advice."""

import pandas as pd
from test_leaderboard import TASKS, constants
from test_leaderboard import numeric_runs as runs

from benchmarks.pages.overview import WHERE_HOW, losses, strategy_table, terms, where_how
from benchmarks.pages.sentences import about_zero
from benchmarks.pages.situations import advised
from benchmarks.scoring.cohorts import EVERY_SUITE
from benchmarks.scoring.leaderboard import sections

NO_COSTS = pd.DataFrame(columns=["strategy", "n_dimensions", "n_trials", "seconds"])


def test_where_a_library_is_likelier_the_best_held_out_tasks_of_all_suites_come_first():
    held = [f"h{i:02d}" for i in range(11)]
    qualities = (("random", 0.5), ("auto", 0.3), ("raw-nevergrad", 0.1))
    parts = [runs(name, quality, TASKS) for name, quality in qualities]
    parts += [runs(name, quality, held, split="holdout") for name, quality in qualities]
    found = losses(sections(pd.concat(parts), constants([*TASKS, *held])))
    assert [line.partition(": ")[0] for line in found] == ["numeric spaces, held-out", "s, held-out", "s"]
    assert ": after 20: raw-nevergrad 0.1" in found[0]


def test_one_strategy_of_ours_is_compared_with_the_library_the_likeliest():
    """The lowest mean is not always the likeliest: one bad task can hide that a strategy is mostly better."""
    tasks = [f"t{i:02d}" for i in range(20)]
    parts = [runs(name, quality, tasks) for name, quality in (("raw-nevergrad", 0.1), ("bo", 0.2), ("tpe", 0.3))]
    (section,) = (each for each in sections(pd.concat(parts), constants(tasks)) if each.field.suite != EVERY_SUITE)
    comparison = section.standings["trainings"].comparisons[20.0]
    comparison.chances["probability"] = pd.Series({"raw-nevergrad": 0.8, "bo": 0.1, "tpe": 0.3})
    (line,) = losses([section])
    assert line.endswith(f"tpe {comparison.means['tpe']:.3f} (30%)")


def test_strategies_are_compared_by_kind_of_space_and_suite_with_a_blank_where_runs_are_missing():
    suites = {
        suite: [runs(name, 0.3, TASKS, suite=suite) for name in ("random", "auto")] for suite in ("yahpo", "networks")
    }
    table = pd.concat([*suites["yahpo"], *suites["networks"], runs("ga", 0.2, TASKS, suite="yahpo")])
    both = pd.concat([constants(TASKS, suite) for suite in suites])
    header, rows = strategy_table(sections(table, both), NO_COSTS)
    assert header[1:] == [
        "numeric, after 20",
        "long trainings, after 20",
        "short trainings, after 20",
        "time per suggestion",
    ]
    assert [cell != "" for cell in next(row for row in rows if row[0] == "`ga`")[1:]] == [False, True, False, False]


def test_only_the_suites_that_appear_are_explained():
    assert where_how(["numeric spaces, held-out: after 20: raw-nevergrad 0.1 (0.90)"]) == WHERE_HOW
    lines = ["synthetic: after 20: raw-nevergrad 0.1 (0.90)", "tables, subset: after 20: raw-optuna-gp 0.1 (0.64)"]
    assert where_how(lines) == f"{WHERE_HOW} Suites: synthetic (test functions); tables (discrete spaces)."


def test_the_page_says_that_runs_of_networks_can_be_better_than_regret_0():
    table = pd.concat([runs(name, 0.3, TASKS[:5], suite=suite) for suite in ("yahpo", "networks") for name in "ab"])
    facts = pd.concat([constants(TASKS[:5], suite) for suite in ("yahpo", "networks")])
    found = {each.field.suite: about_zero(each.field) for each in sections(table, facts)}
    assert found["networks"].startswith("Regret 0 is the lowest test loss of 100 reference configurations")
    assert found["networks"].endswith("runs can be better.")
    assert found["yahpo"] == ""


def test_two_names_for_the_same_results_are_explained_where_they_appear():
    auto, random = runs("auto", 0.1, TASKS), runs("random", 0.5, TASKS)
    for bo, shown in ((auto.assign(strategy="bo"), True), (runs("bo", 0.1, TASKS), False)):
        found = advised(sections(pd.concat([random, auto, bo]), constants(TASKS)))
        assert ("=" in dict(terms(found)[1])) == shown


def test_strategies_that_plan_by_the_budget_are_named_where_they_are_read_off_longer_runs():
    def trainings(*more):
        table = pd.concat([runs("random", 0.5, TASKS, n_trials=140), runs("auto", 0.1, TASKS, n_trials=70), *more])
        return dict(terms(advised(sections(table, constants(TASKS))))[1])["Trainings"]

    assert "do not plan by it, and auto on numeric spaces, are scored at that point" in trainings()
    given = [runs("auto", 0.1, TASKS, n_trials=budget) for budget in (20, 50)]
    assert "and auto" in trainings(given[0])
    assert "auto" not in trainings(*given)
