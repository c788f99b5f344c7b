"""Fields, verdicts and sentences for synthetic runs with known answers, and the files that the command writes."""

import functools
import json
import re
import subprocess
import sys
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from automl.errors import UserError
from benchmarks.pages import markdown, page, plots
from benchmarks.pages import tables as cells
from benchmarks.pages.sentences import Finding, evidence, findings, to_know
from benchmarks.report import known_constants, main, never_worked, read_runs
from benchmarks.runner.effort import listed_versions
from benchmarks.scoring import comparison
from benchmarks.scoring.cohorts import EVERY_SUITE, fields
from benchmarks.scoring.exact_budget import longest
from benchmarks.scoring.leaderboard import Section, board, sections
from benchmarks.scoring.standings import of_units
from benchmarks.suites import YOURS
from benchmarks.suites.base import CONSTANTS

EVIL = "<img src=x onerror=alert(1)>|task"


def runs(
    strategy: str,
    quality: float,
    tasks: list[str],
    *,
    n_seeds: int = 3,
    n_trials: int = 20,
    suite: str = "s",
    n_workers: int = 1,
    max_epochs: int = 1,
    kind: str = "",
    split: str = "development",
) -> pd.DataFrame:
    """Runs whose regret falls from 1 to about ``quality``, with 10% noise.

    ``kind``: of the space; without one, no field of all suites is computed as well.
    """
    rng = np.random.default_rng([*map(ord, strategy)])
    n_runs = len(tasks) * n_seeds
    regret = quality + (1 - quality) / np.arange(1, n_trials + 1) ** 2
    loss = (regret * (1 + 0.1 * rng.random((n_runs, n_trials)))).ravel()
    numbers = np.tile(np.arange(1, n_trials + 1), n_runs)
    of_tasks = np.repeat(tasks, n_seeds * n_trials)
    return pd.DataFrame(
        {
            "suite": suite, "task": of_tasks, "strategy": strategy,
            "seed": np.tile(np.repeat(np.arange(n_seeds), n_trials), len(tasks)), "n_trials": n_trials,
            "n_workers": n_workers, "kind": kind, "trial": numbers - 1, "loss": loss, "worth": loss,
            "test": np.nan, "epochs": max_epochs, "max_epochs": max_epochs,
            "at_epochs": numbers * max_epochs, "at_seconds": 10.0 * numbers / n_workers, "failed": False,
            "crash": None, "error": None, "strategy_seconds": 0.01, "unit": of_tasks, "split": split,
            "is_default": numbers == 1, "retrained": np.nan, "returned": np.nan, "repeats": np.nan,
            "commit": "abc",
        }
    )  # fmt: skip


numeric_runs = functools.partial(runs, kind="numeric")


def crashed(rows: pd.DataFrame, task: str, seed: int, error: str = "ValueError: boom") -> pd.DataFrame:
    """The same rows with one crashed run."""
    hit = (rows["task"] == task) & (rows["seed"] == seed)
    first = rows[hit].head(1)
    nothing = {"trial": -1, "loss": np.nan, "worth": np.nan, "epochs": 0, "at_epochs": 0, "at_seconds": 0.0}
    first = first.assign(**nothing, failed=True, crash=error, is_default=False)
    return pd.concat([rows[~hit], first], ignore_index=True)


def failed(rows: pd.DataFrame) -> pd.DataFrame:
    """The same rows with only failed trainings."""
    return rows.assign(failed=True, loss=np.nan, worth=np.nan, error="RuntimeError: boom")


def constants(tasks: list[str], suite: str = "s") -> pd.DataFrame:
    index = pd.MultiIndex.from_product([[suite], tasks], names=["suite", "task"])
    return pd.DataFrame({"best": 0.0, "reference": 1.0, "seconds": 10.0}, index=index)


def last(section: Section, clock: str = "trainings") -> Finding:
    return findings(section, clock)[-1]


TASKS = [f"t{i:02d}" for i in range(14)]
RANDOM = runs("random", 0.5, TASKS, n_trials=40)
QUALITIES = (("random", 0.5), ("good", 0.1))


def test_a_known_best_is_found_and_its_sentence_has_the_numbers_of_the_tables():
    table = pd.concat([RANDOM, runs("good", 0.1, TASKS), runs("bad", 0.4, TASKS)]).assign(kind="numeric")
    section, of_kind = sections(table, constants(TASKS))
    assert (section.field.name, of_kind.field.suite, of_kind.field.name) == ("all tasks", EVERY_SUITE, "numeric spaces")
    found = last(section)
    assert (found.budget, found.verdict, found.leaders) == (20.0, comparison.BEST, ("good",))
    rows = evidence([section])
    rows = rows[(rows["clock"] == "trainings") & (rows["budget"] == 20)]
    assert set(rows["a"]) == {"good"}
    assert set(rows["b"]) == {"bad", "random"}
    assert (rows["word"] == comparison.WORSE).all()
    assert rows[["better", "equal", "worse"]].sum(axis=1).tolist() == pytest.approx([1.0, 1.0])
    assert (rows["p_holm"] < 0.001).all()
    assert "Worse: all others, each with probability >99%" in found.text
    assert found.brief == "good (>99%)"
    table = board([section]).query("clock == 'trainings' and budget == 20").set_index("strategy")
    good = table.loc["good"]
    assert good["low95"] < good["low80"] < good["regret"] < good["high80"] < good["high95"]
    assert f"expected regret, {good['regret']:.3f} (80% interval {good['low80']:.3f} to" in found.text
    assert f"{good['speed_up']:.1f} times as fast" in found.text
    assert set(table.index) == {"good", "bad", "random", "random x2", "default"}
    assert table["rank"].dropna().sort_values().tolist() == [1.0, 2.0, 3.0]  # references have none
    assert "random x2" not in str(evidence([section])[["a", "b"]].to_numpy())


def test_the_interval_of_a_mean_rank_holds_ranks():
    regrets = pd.DataFrame({"a": [0.1, 0.1, 0.1, 0.1, 0.3], "b": [0.2] * 5})
    found = of_units({20.0: regrets}).loc[20.0]
    assert found["rank"].to_dict() == pytest.approx({"a": 1.2, "b": 1.8})
    assert (found.loc["a", "low_rank"], found.loc["b", "high_rank"]) == (1.0, 2.0)  # 0.64 and 2.36 by Student's t
    assert found.loc["a", "high_rank"] == pytest.approx(1.2 + 2.776 * 0.2, abs=1e-3)


def test_equal_strategies_are_practically_equal():
    table = pd.concat([runs(name, 0.3, TASKS, n_seeds=20) for name in ("random", "a", "b", "c")])
    found = [last(section) for section in sections(table, constants(TASKS))]
    assert all(finding.verdict == comparison.AMONG for finding in found)
    assert all("Practically equal: " in finding.text for finding in found)
    assert all(finding.short.startswith("among the best, practically equal: ") for finding in found)


def test_a_difference_below_the_margin_does_not_count():
    rows = {name: np.linspace(0.1, 0.2, 14) + lead for name, lead in (("a", 0.0), ("b", 0.005), ("c", 0.3))}
    found = comparison.compare(pd.DataFrame(rows))
    assert (found.verdict, found.leaders) == (comparison.AMONG, ("a", "b"))
    assert found.chances["probability"].tolist() == [1.0, 1.0, 0.0]
    assert comparison.compare(pd.DataFrame(rows), margin=0.001).verdict == comparison.BEST


def test_a_lead_due_to_one_task_is_not_known():
    base = np.linspace(0.1, 0.2, 14)
    table = pd.DataFrame({"lucky": base, "steady": base - 0.05})
    table.loc[0, "steady"] = 5.0
    found = comparison.compare(table)
    assert found.means.index[0] == "lucky"
    assert found.verdict == comparison.UNKNOWN


def test_what_it_would_take_to_know_is_estimated_for_the_undecided_with_the_lowest_means():
    base = np.linspace(0.1, 0.2, 8)
    wiggle = np.array([0.05, -0.04] * 4)
    table = pd.DataFrame(
        {"leads": base, "third": base + 2 * wiggle, "near": base + wiggle, "fourth": base + 3 * wiggle}
    )
    found = comparison.compare(table.assign(far=base + 0.5))
    assert (found.verdict, found.leaders) == (comparison.BEST, ("leads", "near", "third", "fourth"))
    assert list(found.needed) == ["near", "third", "fourth"]
    assert all(n in range(16, 201, 8) for n in found.needed.values())


@pytest.mark.parametrize(
    ("needed", "words"),
    [
        ({"ga": 36, "tpe": None}, "about 36 functions like these to decide on ga, more than 200 on tpe."),
        ({"auto": 48, "bo": 48}, "about 48 functions like these to decide on auto and bo."),
        ({"ga": None}, "more than 200 functions like these to decide on ga."),
    ],
)
def test_what_it_would_take_to_know_in_words(needed, words):
    assert to_know(SimpleNamespace(size="36 tasks of 12 functions", needed=needed)) == f"It would take {words}"


def test_a_weak_strategy_does_not_change_what_is_said_of_the_others():
    rng = np.random.default_rng(0)
    table = pd.DataFrame({"a": 0.1 + 0.02 * rng.random(8), "b": 0.11 + 0.02 * rng.random(8)})
    two, many = comparison.compare(table), comparison.compare(table.assign(**{f"w{i}": 0.9 for i in range(20)}))
    assert (
        many.pairs.set_index("b")
        .loc["b", ["better", "equal", "worse"]]
        .equals(two.pairs.set_index("b").loc["b", ["better", "equal", "worse"]])
    )
    assert many.chances.loc[["a", "b"]].equals(two.chances)


def test_four_tasks_say_nothing_of_others():
    table = pd.concat([RANDOM, runs("good", 0.1, TASKS)]).query("task < 't04'")
    section = sections(table, constants(TASKS))[0]
    assert last(section).verdict == comparison.FEW
    assert "4 tasks say little about other tasks (it takes 5)" in last(section).text
    assert "favours good on 4 of the 4 tasks" in last(section).text
    duels = evidence([section]).query("clock == 'trainings' and budget == 20")
    assert (duels["high"] < 0).all()
    assert board([section]).query("strategy == 'good'")["low95"].isna().all()


def test_slow_strategies_are_compared_on_shared_tasks_and_seeds():
    slow = runs("slow", 0.2, TASKS[:11], n_seeds=2, n_trials=10)
    table = pd.concat([RANDOM, runs("good", 0.1, TASKS), slow])
    everything, subset = (s.field for s in sections(table, constants(TASKS)) if s.field.suite == "s")
    assert (everything.name, everything.strategies, everything.n_trials) == ("all tasks", ("good", "random"), 20)
    assert len(everything.pairs) == 14 * 3
    assert (subset.name, subset.strategies, subset.n_trials) == ("subset", ("good", "random", "slow"), 10)
    assert len(subset.pairs) == 11 * 2
    assert (len(subset.tasks), subset.n_seeds) == (11, "2")


def test_five_seeds_are_enough_to_join_strategies_with_more_seeds():
    table = pd.concat([runs(name, 0.2, TASKS[:3], n_seeds=8, n_trials=4) for name in ("a", "b", "c")])
    for n_seeds, members in ((5, ("a", "b", "c", "d")), (4, ("a", "b", "c", "d")), (3, ("a", "b", "c"))):
        both = pd.concat([table, runs("d", 0.1, TASKS[:3], n_seeds=n_seeds, n_trials=4)])
        found = fields(both.drop_duplicates(["task", "strategy", "seed"]), constants(TASKS).index)
        everything = next(field for field in found if field.name == "all tasks")
        assert everything.strategies == members
        assert everything.n_seeds == (str(n_seeds) if "d" in members else "8")


def test_an_incomplete_strategy_does_not_shrink_the_field_of_the_others():
    begun = runs("begun", 0.2, ["other"], n_seeds=1)
    table = pd.concat([RANDOM, runs("good", 0.1, TASKS), runs("slow", 0.2, TASKS[:3]), begun])
    found = fields(table.drop_duplicates(["task", "strategy", "seed"]), constants([*TASKS, "other"]).index)
    subset = next(field for field in found if field.name == "subset")
    assert subset.strategies == ("good", "random", "slow")
    assert subset.left_out == ("begun",)


def test_a_strategy_with_few_seeds_does_not_reduce_the_seeds_of_the_others():
    table = pd.concat([runs(name, 0.2, TASKS, n_seeds=6) for name in ("a", "b")])
    slow = runs("slow", 0.1, TASKS[:5], n_seeds=5, n_trials=10)
    few = runs("few", 0.1, TASKS[:5], n_seeds=2, n_trials=10)
    both = pd.concat([table, slow, few])
    found = fields(both.drop_duplicates(["task", "strategy", "seed"]), constants(TASKS).index)
    subset = next(field for field in found if field.name == "subset")
    assert (subset.strategies, subset.n_seeds, subset.left_out) == (("a", "b", "slow"), "5", ("few",))


def test_a_crashed_run_counts_as_the_worst_and_removes_no_other_run():
    good = crashed(runs("good", 0.0, TASKS), "t03", 1)
    section = sections(pd.concat([RANDOM, good]), constants(TASKS))[0]
    assert section.field.strategies == ("good", "random")
    assert len(section.field.pairs) == 14 * 3
    by_task = section.standings["trainings"].by_task.set_index(["task", "strategy"])["regret"]
    worst = max(1.0, RANDOM.query("task == 't03'")["worth"].max(), good.query("task == 't03'")["worth"].max())
    assert by_task["t03", "good"] == pytest.approx(worst / 3, abs=0.01)  # one of three seeds
    assert section.reliability.loc["good", ["n_runs", "n_crashed"]].tolist() == [42, 1]
    # The default of a crashed run of random search is worth as much, and stays in.
    section = sections(pd.concat([crashed(RANDOM, "t00", 0), good]), constants(TASKS))[0]
    assert len(section.field.pairs) == 14 * 3


def test_early_stopping_is_compared_by_epochs():
    table = pd.concat([runs("random", 0.5, TASKS, n_trials=40, max_epochs=9), runs("full", 0.3, TASKS, max_epochs=9)])
    # Nine times as many trials, of one epoch each, cost the same.
    short = runs("asha", 0.1, TASKS, n_trials=180).assign(max_epochs=9, n_trials=20)
    section = sections(pd.concat([table, short]), constants(TASKS))[0]
    assert section.field.n_trials == 20
    standing = section.standings["trainings"].board.set_index(["budget", "strategy"])["regret"]
    assert standing[1.0, "asha"] == pytest.approx(0.1 + 0.9 / 81, rel=0.11)  # after 9 trials, not after 1
    assert standing[20.0, "asha"] == pytest.approx(0.1, rel=0.11)


LONG = [
    runs("random", 0.5, TASKS, n_trials=100),
    *(runs(n, q, TASKS, n_trials=50) for n, q in (("a", 0.3), ("b", 0.4))),
]


def test_runs_given_just_a_budget_are_used_at_it_and_nowhere_else():
    short = runs("b", 0.1, TASKS)
    plain = sections(pd.concat(LONG), constants(TASKS))[0]
    section = sections(pd.concat([*LONG, short]), constants(TASKS))[0]
    assert section.field == plain.field
    before, after = plain.standings["trainings"], section.standings["trainings"]
    assert (before.comparisons[20.0].means.index[0], after.comparisons[20.0].means.index[0]) == ("a", "b")
    ends = short.groupby(["task", "seed"])["loss"].min()
    assert after.comparisons[20.0].means["b"] == pytest.approx(ends.mean())
    keys = ["budget", "strategy"]
    old, new = before.board.set_index(keys), after.board.set_index(keys)
    assert new.index[new["exact_budget"]].tolist() == [(20.0, "b"), (50.0, "a"), (50.0, "b")]
    assert list(after.given[["budget", "strategy"]].itertuples(index=False, name=None)) == [(20.0, "b")]
    others = old.index.get_level_values("budget") != 20
    pd.testing.assert_frame_equal(new[others].drop(columns="exact_budget"), old[others].drop(columns="exact_budget"))
    pd.testing.assert_series_equal(new["area"], old["area"])
    assert new.index[new["speed_up"].isna() & old["speed_up"].notna()].tolist() == [(20.0, "b")]  # of longer runs only
    assert new.loc[(20.0, "a"), "regret"] == old.loc[(20.0, "a"), "regret"]
    pd.testing.assert_frame_equal(after.curves, before.curves)
    pd.testing.assert_frame_equal(after.reached, before.reached)
    pd.testing.assert_frame_equal(section.standings["seconds"].board, plain.standings["seconds"].board)
    assert before.scored == ""
    assert after.scored == (
        "Scored by runs that were given just that budget, not by the start of longer ones: after 20, b."
    )
    both = sections(pd.concat([*LONG, short, runs("a", 0.2, TASKS)]), constants(TASKS))[0]
    assert both.standings["trainings"].scored.endswith(": after 20, a, b.")


def test_strategies_that_may_plan_by_the_budget_are_flagged_where_they_are_read_off_longer_runs():
    names = ("random", "bo+asha", "raw-smac")
    table = [runs(name, 0.2, TASKS[:5], n_seeds=2, n_trials=50) for name in names]
    (scored,) = {s.standings["trainings"].scored for s in sections(pd.concat(table), constants(TASKS))}
    start = "Read off runs that were given more trainings, by which these may plan: "
    assert scored == f"{start}after 10, bo+asha, raw-smac; after 20, bo+asha, raw-smac."
    exact = runs("raw-smac", 0.2, TASKS[:5], n_seeds=2)
    section = sections(pd.concat([*table, exact]), constants(TASKS))[0]
    assert f"{start}after 10, bo+asha, raw-smac; after 20, bo+asha." in section.standings["trainings"].scored
    assert "Read off" not in section.standings["seconds"].scored


def test_runs_given_just_a_budget_for_only_some_seeds_or_tasks_are_not_used():
    short = runs("b", 0.1, TASKS)
    plain = board(sections(pd.concat(LONG), constants(TASKS)))
    for some in (short[short["seed"] > 0], short[short["task"] != "t00"]):
        pd.testing.assert_frame_equal(board(sections(pd.concat([*LONG, some]), constants(TASKS))), plain)


def test_a_strategy_with_the_smaller_budget_for_some_and_the_larger_for_others_is_compared_by_the_smaller():
    few = LONG[2].query("seed == 0")
    table = pd.concat([*LONG[:2], few, runs("b", 0.1, TASKS)])
    section = next(s for s in sections(table, constants(TASKS)) if "b" in s.field.strategies and s.field.suite == "s")
    assert (section.field.n_trials, section.field.n_seeds) == (20, "3")
    means = section.standings["trainings"].comparisons[20.0].means
    assert means["b"] < 0.12  # by all three seeds, those of the longer run too
    assert "after 20, b." in section.standings["trainings"].scored


def test_the_largest_budget_of_a_subset_is_scored_by_runs_given_it():
    slow = runs("slow", 0.2, TASKS[:11], n_seeds=2)
    short = runs("a", 0.05, TASKS)
    table = pd.concat([*LONG, slow, short], ignore_index=True).assign(test=lambda rows: rows["loss"])
    is_end = table["at_epochs"] == 20
    table.loc[is_end, "returned"] = table["strategy"].map({"a": 0.3, "slow": 0.4, "b": 0.5, "random": 0.6})
    table.loc[is_end & (table["n_trials"] == 20) & (table["strategy"] == "a"), "returned"] = 0.2
    subset = next(s for s in sections(table, constants(TASKS)) if s.field.name == "subset")
    standing = subset.standings["trainings"]
    assert standing.comparisons[20.0].means.to_dict() == pytest.approx({"a": 0.2, "slow": 0.4, "b": 0.5, "random": 0.6})
    assert standing.scored.endswith("after 20, a, slow.")


def test_each_number_of_workers_is_a_separate_field():
    table = pd.concat([RANDOM, runs("good", 0.1, TASKS), runs("good", 0.1, TASKS, n_workers=4)])
    table = pd.concat([table, runs("random", 0.5, TASKS, n_trials=40, n_workers=4)])
    found = {
        section.field.title: section for section in sections(table, constants(TASKS)) if section.field.suite == "s"
    }
    assert set(found) == {"s", "s, 4 workers"}
    by_seconds = found["s, 4 workers"].standings["seconds"].board
    assert by_seconds["budget"].max() == 20 / 4  # the same trainings in a quarter of the time
    assert last(found["s, 4 workers"], "seconds").verdict == comparison.BEST


def test_a_crash_is_no_better_than_the_worst_run_of_the_others():
    bad = runs("bad", 0.5, TASKS)  # worse than a median random config, and honest about it
    bad[["loss", "worth"]] += 3.0
    table = pd.concat([RANDOM, bad, crashed(runs("crashes", 0.1, TASKS), "t00", 0), failed(runs("fails", 0.1, TASKS))])
    section = sections(table, constants(TASKS))[0]
    by_task = section.standings["trainings"].by_task.set_index(["task", "strategy"])["regret"]
    worst = bad.groupby("task")["worth"].max()
    assert by_task.xs("fails", level="strategy").to_dict() == pytest.approx(worst.to_dict())
    assert by_task["t00", "crashes"] == pytest.approx((worst["t00"] + 2 * 0.1) / 3, abs=0.02)


def test_variants_of_one_function_are_one_unit_in_tests_and_sentences():
    tasks = [f"f{i:02d}-{d}d" for i in range(1, 5) for d in (2, 5, 10)]
    parts = [runs(name, quality, tasks, suite="synthetic") for name, quality in (("random", 0.5), ("good", 0.1))]
    table = pd.concat(parts, ignore_index=True)
    table["unit"] = table["task"].str.partition("-")[0]
    section = sections(table, constants(tasks, "synthetic"))[0]
    assert section.field.size == "12 tasks of 4 functions"
    found = section.standings["trainings"].comparisons[20.0]
    assert (found.n_units, found.verdict) == (4, comparison.FEW)
    assert "12 tasks of 4 functions say little about other tasks (it takes 5)" in last(section).text
    assert "favours good on 12 of the 12 tasks" in last(section).text
    rows = board([section])
    assert set(rows["n_tasks"]) == {12}
    assert set(rows["n_units"]) == {4}
    # 12 functions in 2 dimensions are enough.
    many = pd.concat([runs(n, q, [f"f{i:02d}-{d}d" for i in range(12) for d in (2, 5)]) for n, q in QUALITIES])
    many["unit"] = many["task"].str.partition("-")[0]
    section = sections(many, constants(list(many["task"].unique())))[0]
    assert last(section).verdict == comparison.BEST
    assert section.standings["trainings"].comparisons[20.0].size == "24 tasks of 12 units"


def test_holdout_tasks_are_separate_fields():
    held = [f"h{i:02d}" for i in range(11)]
    parts = [numeric_runs(name, quality, TASKS) for name, quality in QUALITIES]
    parts += [numeric_runs(name, quality, held, split="holdout") for name, quality in QUALITIES]
    found = sections(pd.concat(parts), constants([*TASKS, *held]))
    assert [section.field.title for section in found] == ["s", "s, held-out", EVERY_SUITE, f"{EVERY_SUITE}, held-out"]
    assert [len(section.field.tasks) for section in found] == [14, 11, 14, 11]
    assert page.anchors(found)[:2] == ["s", "s-held-out"]
    assert set(board(found)["split"]) == set(evidence(found)["split"]) == {"development", "holdout"}


def own(losses: dict[str, float], n_seeds: int) -> Section:
    parts = [runs(name, loss, [EVIL], n_seeds=n_seeds, suite="own") for name, loss in losses.items()]
    return sections(pd.concat(parts), constants(TASKS))[0]


def test_a_shorter_random_search_in_another_suite_does_not_remove_the_reference():
    other = [runs(name, 0.5, ["x"], n_trials=10, suite="other") for name in ("random", "good")]
    table = pd.concat([RANDOM, runs("good", 0.1, TASKS), *other])
    both = pd.concat([constants(TASKS), constants(["x"], "other")])
    found = {s.field.suite: set(s.standings["trainings"].board["strategy"]) for s in sections(table, both)}
    assert "random x2" in found["s"]
    assert "random x2" not in found["other"]  # its budget was no larger than that of the others there


def test_a_users_task_is_reported_by_loss_without_claims_about_other_tasks():
    section = own({"random": 0.5, "good": 0.1}, n_seeds=7)
    assert not section.field.normalised
    assert section.field.name == EVIL
    found = last(section)
    assert (found.verdict, found.leaders) == (comparison.AHEAD, ("good",))
    assert "excludes 0" in found.text
    assert "lowest mean loss (0.1" in found.text
    assert "does not carry over to others" in found.text
    assert "regret" not in found.text
    same = last(own({"random": 0.3, "same": 0.3}, n_seeds=7))
    assert same.verdict == comparison.FEW
    assert "includes 0, so no difference is shown" in same.text
    few = last(own({"random": 0.5, "good": 0.1}, n_seeds=2))
    assert few.verdict == comparison.FEW
    assert "At least 3 seeds are needed" in few.text
    assert "A single seed gives no interval" in last(own({"random": 0.5, "good": 0.1}, n_seeds=1)).text


def test_a_crash_on_a_users_task_counts_as_the_worst_loss():
    good = crashed(runs("good", 0.1, ["mine"], suite="own"), "mine", 0)
    table = pd.concat([runs("random", 0.5, ["mine"], suite="own"), good])
    section = sections(table, constants(TASKS))[0]
    found = section.standings["trainings"].board.set_index(["budget", "strategy"])["regret"]
    assert found[20.0, "good"] == pytest.approx((table["worth"].max() + 2 * 0.105) / 3, rel=0.1)


def test_test_losses_are_reported_where_they_are_known():
    table = pd.concat([RANDOM, runs("good", 0.1, TASKS)])
    assert sections(table, constants(TASKS))[0].generalisation.empty
    table = table.assign(test=table["loss"] + 0.02)
    found = sections(table, constants(TASKS))[0].generalisation
    assert found.loc["good", ["gap", "overtuning", "worse_than_default"]].tolist() == pytest.approx([0.02, 0.0, 0.0])
    twice = constants(TASKS).assign(best=-1.0)
    found = sections(table, twice)[0].generalisation
    assert found.loc["good", "gap"] == pytest.approx(0.01)  # in units of regret
    columns, _ = cells.generalisation(sections(table, twice)[0])
    assert columns == ["strategy", "gap", "overtuning", "worse than the default"]
    # Of two configs retrained on fresh seeds, the default is worth 0.8 and the returned one 0.9.
    is_last = table["trial"] == table.groupby(["strategy", "task", "seed"])["trial"].transform("max")
    table["retrained"], table["returned"] = np.where(table["is_default"], 0.8, np.nan), np.where(is_last, 0.9, np.nan)
    section = sections(table, twice)[0]
    found = section.generalisation[["retrained", "retrained_default", "worse_retrained"]]
    assert found.loc["good"].tolist() == pytest.approx([0.95, 0.9, 1.0])
    assert found.loc["random"].isna().all()  # it has a larger budget, so its choice at this one was not retrained
    assert found.loc["random x2"].tolist() == pytest.approx([0.95, 0.9, 1.0])
    columns, rows = cells.generalisation(section)
    assert columns[-1] == "retrained: returned is worse"
    assert (rows[0][-1].text, rows[0][-1].under) == ("100%", "42 runs")


def test_the_largest_budget_is_scored_with_fresh_seeds_if_all_have_them():
    table = pd.concat([runs("good", 0.1, TASKS), runs("fair", 0.2, TASKS), RANDOM]).reset_index(drop=True)
    table["test"] = table["loss"]
    is_end = table["at_epochs"] == 20
    table.loc[is_end, "returned"] = table["strategy"].map({"good": 0.5, "fair": 0.4, "random": 0.9})
    section = sections(table, constants(TASKS))[0]
    standing = section.standings["trainings"]
    board = standing.board.set_index(["budget", "strategy"])["regret"]
    assert board[20.0][["good", "fair", "random"]].tolist() == pytest.approx([0.5, 0.4, 0.9])
    assert standing.comparisons[20.0].means.index[0] == "fair"
    assert "scored on the test set" in standing.scored
    # The losses along the search are of another sort, so nothing is said of them beside the retrained configs.
    assert "Left out, as single trainings of the search are not comparable" in standing.scored
    assert [finding.budget for finding in findings(section)] == [20.0]
    assert "times as fast" not in last(section).text
    assert set(standing.board["budget"]) == {20.0}
    assert not {"area", "speed_up"} & set(standing.board)
    assert standing.fresh
    curves = standing.curves.set_index(["budget", "strategy"])["regret"]
    assert curves[20.0, "good"] < curves[20.0, "fair"]  # along the search
    assert "not by retrainings" in section.standings["seconds"].scored
    assert cells.columns(section, standing) == ["strategy", "regret after 20", "mean rank", "failed trials"]
    assert board[20.0].drop(["good", "fair", "random"]).isna().all()  # references that were not retrained
    columns, rows = cells.columns(section, standing), cells.rows(section, standing)
    assert [row[0].text for row in rows][:3] == ["fair", "good", "random"]
    assert rows[-1][columns.index("regret after 20")].text == ""

    table.loc[is_end & (table["strategy"] == "good") & (table["task"] == TASKS[0]), "returned"] = np.nan
    standing = sections(table, constants(TASKS))[0].standings["trainings"]
    assert standing.comparisons[20.0].means.index.tolist() == ["fair", "random"]  # all are judged alike
    assert standing.scored.endswith("Not compared after 20, as their returned configs were not retrained: good.")

    table.loc[is_end & (table["strategy"] == "fair"), "returned"] = np.nan
    standing = sections(table, constants(TASKS))[0].standings["trainings"]
    assert standing.comparisons[20.0].means.index[0] == "good"
    assert standing.comparisons[10.0].means.index[0] == "good"  # of the same sort, so it stays
    assert standing.scored.endswith("since some were not retrained: fair, good.")


def test_without_a_successful_training_there_is_no_leader():
    table = pd.concat([failed(runs(name, 0.5, ["mine"], suite="own")) for name in ("random", "good")])
    section = sections(table, constants(TASKS))[0]
    found = last(section)
    assert (found.verdict, found.leaders, found.short) == (comparison.NOTHING, (), comparison.NOTHING)
    assert "all 120 trials failed (100% failed). There is no leader" in found.text
    assert section.standings["trainings"].board["regret"].isna().all()
    assert board([section])["failed"].dropna().eq(1.0).all()
    assert evidence([section]).empty
    assert never_worked(table) == [("own/mine", 120, "RuntimeError: boom")]
    cell = next(row for row in cells.rows(section, section.standings["trainings"]) if row[0].text == "random")
    assert (cell[1].text, cell[-1].text) == ("", "100.0%")
    # Of a suite with constants too, and where every run crashed.
    section = sections(failed(RANDOM), constants(TASKS))[0]
    assert last(section).verdict == comparison.NOTHING
    dead = runs("random", 0.5, ["mine"], suite="own", n_seeds=1)
    section = sections(crashed(dead, "mine", 0), constants(TASKS))[0]
    assert "no training worked: 1 of 1 runs crashed. There is no leader" in last(section).text
    assert cells.rows(section, section.standings["trainings"])[-1][-1].text == "no trials"


def test_before_the_first_successful_training_there_is_no_leader():
    table = pd.concat([runs(name, 0.5, ["mine"], suite="own", n_trials=30) for name in ("random", "good")])
    early = table["trial"] < 12
    table.loc[early, ["loss", "worth"]] = np.nan
    table.loc[early, "failed"] = True
    section = sections(table, constants(TASKS))[0]
    first, *_, final = findings(section)
    assert (first.budget, first.verdict) == (10.0, comparison.NOTHING)
    assert "no strategy has a successful training yet" in first.text
    assert final.verdict != comparison.NOTHING
    # A budget within which no trial ended at all.
    slow = pd.concat(
        [table[~early].assign(n_trials=3, max_epochs=1), runs("z", 0.1, ["mine"], suite="own", n_trials=3)]
    )
    assert last(sections(slow.query("strategy != 'z'"), constants(TASKS))[0]).verdict == comparison.NOTHING
    assert len(sections(slow, constants(TASKS))) == 1


def test_the_unit_of_seconds_is_the_same_for_any_number_of_workers():
    one, four = (runs("random", 0.5, ["mine"], suite="own", n_workers=n) for n in (1, 4))
    section = sections(four, constants(TASKS))[0]
    assert section.standings["seconds"].board["budget"].max() == 20 / 4
    both = {s.field.n_workers: s.standings["seconds"].board for s in sections(pd.concat([one, four]), constants(TASKS))}
    assert {n: found["budget"].max() for n, found in both.items()} == {1: 20.0, 4: 5.0}


def test_a_loss_on_the_test_set_is_called_test_loss():
    table = pd.concat([runs(name, quality, ["mine"], suite="own") for name, quality in QUALITIES])
    section = sections(table.assign(test=table["loss"]), constants(TASKS))[0]
    assert "lowest mean test loss" in last(section).text
    assert cells.columns(section, section.standings["trainings"])[1].startswith("test loss after")


def test_a_single_strategy_is_not_a_comparison():
    section = sections(RANDOM, constants(TASKS))[0]
    assert last(section).verdict == comparison.ALONE
    assert "only random was run" in last(section).text


# --- files --------------------------------------------------------------------------------------------------------


def save(folder, *tables: pd.DataFrame):
    for table in tables:
        first = table.iloc[0]
        name = f"{first['strategy']}-{first['n_trials']}-trials-{first['n_workers']}-workers.parquet"
        (folder / first["suite"]).mkdir(parents=True, exist_ok=True)
        table.attrs = {"versions": {"python": "3.11"}, "commit": "abc"}
        table.to_parquet(folder / first["suite"] / name, index=False)


def test_older_files_are_read_and_the_run_with_the_larger_budget_is_used(tmp_path):
    old = runs("tpe", 0.1, TASKS, n_trials=10)
    save(tmp_path, old)
    file = tmp_path / "s" / "tpe-10-trials-1-workers.parquet"
    new = [
        "kind", "test", "crash", "n_trials", "unit", "split", "is_default", "retrained", "returned", "repeats",
        "commit", "error",
    ]  # fmt: skip
    old.drop(columns=new).to_parquet(file, index=False)
    save(tmp_path, runs("tpe", 0.1, TASKS[:2], n_trials=30))
    every = read_runs(tmp_path)
    assert set(every.loc[every["task"] == "t00", "n_trials"]) == {10, 30}
    table = longest(every)
    budgets = table.drop_duplicates(["task", "seed"]).set_index(["task", "seed"])["n_trials"]
    assert budgets["t00", 0] == 30
    assert budgets["t05", 0] == 10
    assert not table.duplicated(["task", "seed", "trial"]).any()
    assert table[["crash", "error", "retrained"]].isna().all(axis=None)
    assert (table["is_default"] == (table["trial"] == 0)).all()
    assert (table["unit"] == table["task"]).all()
    assert set(table["split"]) == {"development"}


def test_real_trainings_with_different_budgets_are_separate_comparisons(tmp_path):
    """They are scored by what a run returns, which no longer run tells."""
    tasks = [task for suite, task in known_constants(RANDOM).index if suite == "networks"]
    few, many = ({"n_seeds": n_seeds, "suite": "networks", "max_epochs": 9} for n_seeds in (5, 1))
    save(
        tmp_path,
        *(runs(name, 0.2, tasks, **few) for name in ("good", "fair")),
        runs("random", 0.5, tasks, n_trials=40, **few),
    )
    save(tmp_path, runs("good", 0.1, tasks, n_trials=50, **many), runs("random", 0.5, tasks, n_trials=100, **many))
    table = read_runs(tmp_path)
    found = [section.field for section in sections(table, known_constants(table))]
    assert [(field.suite, field.n_trials, field.n_seeds) for field in found] == [
        ("networks", 20, "5"), ("networks, 50 trainings", 50, "1")
    ]  # fmt: skip
    assert found[1].strategies == ("good", "random")


def test_task_facts_from_one_file_apply_to_all_files(tmp_path):
    known = runs("good", 0.1, ["f01-2d"], split="holdout").assign(unit="f01")
    save(tmp_path, known)
    file = tmp_path / "s" / "tpe-20-trials-1-workers.parquet"
    runs("tpe", 0.1, ["f01-2d"]).drop(columns=["unit", "split", "commit"]).to_parquet(file, index=False)
    table = read_runs(tmp_path)
    assert set(table["unit"]) == {"f01"}
    assert set(table["split"]) == {"holdout"}
    assert set(table.loc[table["strategy"] == "tpe", "commit"]) == {"unknown"}


def test_unreadable_input_is_reported_in_one_line(tmp_path):
    with pytest.raises(UserError, match="does not exist; make runs"):
        read_runs(tmp_path / "nothing")
    with pytest.raises(UserError, match="no runs in "):
        read_runs(tmp_path)
    file = tmp_path / "x-5-trials-1-workers.parquet"
    pd.DataFrame({"anything": [1]}).to_parquet(file)  # such as recorded trainings
    with pytest.raises(UserError, match="no runs in "):
        read_runs(tmp_path)
    pd.DataFrame({"strategy_seconds": [1.0], "suite": "s"}).to_parquet(file)
    with pytest.raises(UserError, match=r"has no runs of benchmarks\.run: it lacks at_epochs, at_seconds"):
        read_runs(tmp_path)
    for content in (b"", b"not a table"):
        file.write_bytes(content)
        with pytest.raises(UserError, match=r"x-5-trials-1-workers\.parquet' is not a readable Parquet file"):
            read_runs(tmp_path)


def test_a_user_error_prints_one_line_and_exits_with_status_2(tmp_path):
    save(tmp_path, runs("random", 0.5, ["mine"], suite="own"))
    command = [sys.executable, "-m", "benchmarks.report", str(tmp_path), "--page", str(tmp_path / "missing.md")]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 2
    assert re.fullmatch(r"benchmarks: cannot read '\S+missing\.md' as text: .*\n", done.stderr)


def test_strategies_with_rows_from_several_commits_are_listed(tmp_path):
    table = pd.concat([runs("tpe", 0.1, TASKS), runs("ga", 0.1, TASKS), runs("tpe", 0.1, TASKS, suite="other")])
    assert page.mixed_commits(table) == []
    table.loc[(table["strategy"] == "tpe") & (table["suite"] == "other"), "commit"] = "0123456789abcdef+"
    assert page.mixed_commits(table) == [("tpe", "0123456789+ (other); abc (s)")]
    # An older file does not record which of its commits a row comes from.
    old = runs("ga", 0.1, TASKS).drop(columns="commit")
    old.attrs = {"commits": ["abc", None]}
    (tmp_path / "s").mkdir()
    old.to_parquet(tmp_path / "s" / "ga-20-trials-1-workers.parquet", index=False)
    assert page.mixed_commits(read_runs(tmp_path)) == [("ga", "abc (s); unknown (s)")]
    commas = runs("ga", 0.1, TASKS).assign(commit="0123456789abcdef, 0123456789abcdef+")
    assert page.mixed_commits(commas) == [("ga", "0123456789 (s); 0123456789+ (s)")]


def test_each_set_of_versions_is_listed_once_with_its_commits(tmp_path):
    rows = pd.DataFrame({"strategy_seconds": [0.1, 0.2]})
    for name, attributes in (
        ("a", {"versions": {"python": "3.11"}, "commits": ["0123456789abcdef", "def+"]}),
        ("b", {"commit": None}),
        ("c", {"versions": {"python": "3.11"}, "commit": "abc"}),
    ):
        old = rows.copy()
        old.attrs = attributes
        old.to_parquet(tmp_path / f"{name}.parquet")
    rows.assign(versions=["python 3.11", "python 3.12"], commit=["abd", "abe"]).to_parquet(tmp_path / "d.parquet")
    assert listed_versions([tmp_path]) == [
        "python 3.11; commits: 0123456789, def+, abc, abd",
        "unknown; commits: unknown",
        "python 3.12; commits: abe",
    ]


def test_a_suite_with_constants_for_only_some_tasks_is_an_error():
    table = pd.DataFrame({"suite": "tables", "task": ["hpobench-car", "unheard-of"], "split": "development"})
    with pytest.raises(UserError, match=r"tables/unheard-of has no constants; compute them .* tables$"):
        known_constants(table)
    with pytest.raises(
        UserError, match=r"compute them with python -m benchmarks\.experiments\.constants tables --split holdout"
    ):
        known_constants(table[1:].assign(split="holdout"))
    known = known_constants(table.assign(suite="own"))  # for none of its tasks
    assert list(known.columns) == ["best", "reference", "seconds"]
    assert known.index.names == ["suite", "task"]
    written = json.loads(CONSTANTS.read_text())
    assert {f"{suite}/{task}" for suite, task in known.index} == written.keys()
    assert "own" not in known.index.get_level_values("suite")
    assert known.loc[("tables", "hpobench-car"), "best"] == written["tables/hpobench-car"]["best"]


def test_a_users_task_is_described_as_theirs_with_the_verdict_before_the_vocabulary(tmp_path):
    save(tmp_path / "runs", *(runs(name, quality, ["mine"], suite=YOURS) for name, quality in QUALITIES))
    main([tmp_path / "runs"], tmp_path / "lb", None)
    text = (tmp_path / "lb.html").read_text()
    assert "<h2>your task: mine</h2>" in text
    assert "the task that you gave; each training was run once" in text
    assert "user files" not in text
    assert 0 < text.index("good has the lowest mean loss") < text.index("median random config")
    assert "your task, mine: 1 task, 3 seeds" in (tmp_path / "lb.md").read_text()


def test_the_interval_of_a_loss_that_is_never_negative_does_not_go_below_0():
    table = pd.concat([runs(name, quality, ["mine"], suite=YOURS) for name, quality in QUALITIES])
    spread = table.assign(worth=table["worth"] * 9.0 ** table["seed"])
    for shift, is_cut in ((0.0, True), (-1.0, False)):
        section = sections(spread.assign(worth=spread["worth"] + shift), constants(TASKS))[0]
        low = section.standings["trainings"].board["low_tasks"]
        assert (low.min() == 0.0, low.min() < 0.0) == (is_cut, not is_cut)


def test_the_command_writes_page_markdown_plots_and_tables(tmp_path):
    tables = [runs(name, quality, [EVIL], suite="own", n_seeds=4) for name, quality in (("tpe", 0.1), ("ga", 0.2))]
    random = crashed(runs("random", 0.5, [EVIL], suite="own", n_seeds=4, n_trials=40), EVIL, 2, "E: " + EVIL)
    save(tmp_path / "runs", *tables, random)
    summary = tmp_path / "page.md"
    summary.write_text("before\n<!-- leaderboard -->\nold\n<!-- /leaderboard -->\nafter\n")
    main([tmp_path / "runs"], tmp_path / "new" / "leaderboard", summary)
    written = {file.name for file in (tmp_path / "new").iterdir()}
    suffixes = (".html", ".md", ".csv", "-efficiency.csv", "-tests.csv", "-tasks.csv")
    picture = "leaderboard-own-img-src-x-onerror-alert-1-task.png"
    assert written == {page.PLOTLY, picture, *(f"leaderboard{suffix}" for suffix in suffixes)}
    for name in ("leaderboard.html", "leaderboard.md"):
        text = (tmp_path / "new" / name).read_text()
        assert EVIL not in text
        assert "&lt;img src=x" in text
    text = summary.read_text()
    assert re.fullmatch(
        r"before\n<!-- leaderboard -->\n.*ahead on this task: tpe.*\n<!-- /leaderboard -->\nafter\n", text, re.S
    )
    assert "](new/leaderboard-own" in text
    assert "old" not in text


def test_no_text_of_the_picture_of_intervals_is_cut_off(tmp_path, monkeypatch):
    drawn = []
    monkeypatch.setattr(plots, "_save", lambda figure, file: drawn.append(figure))
    tables = [runs(name, quality, TASKS) for name, quality in (("raw-optuna-hyperband", 0.1), ("random", 0.5))]
    standing = sections(pd.concat(tables), constants(TASKS))[0].standings["trainings"]
    size = "60 tasks of 12 functions"
    standing = replace(standing, comparisons={n: replace(c, size=size) for n, c in standing.comparisons.items()})
    plots.intervals(standing, tmp_path / "a.png", f"synthetic, held-out, subset: {size}, 20 seeds, after 100 trainings")
    [figure] = drawn
    figure.draw_without_rendering()
    box = figure.get_tightbbox()
    assert box.x0 >= 0.0
    assert box.x1 <= figure.get_figwidth()


def test_a_dot_in_the_output_name_is_kept(tmp_path):
    save(tmp_path / "runs", runs("random", 0.5, ["mine"], suite="own"), failed(runs("tpe", 0.5, ["mine"], suite="own")))
    main([tmp_path / "runs"], tmp_path / "lb.v2", None)
    written = {file.name for file in tmp_path.iterdir() if file.is_file()}
    ends = (".html", ".md", ".csv", "-efficiency.csv", "-tests.csv", "-tasks.csv", "-own-mine.png")
    assert written == {page.PLOTLY, *(f"lb.v2{end}" for end in ends)}
    assert "lb.v2.html shows the same results" in (tmp_path / "lb.v2.md").read_text()


def test_failed_tasks_and_beaten_constants_are_listed(tmp_path):
    found = [runs("random", 0.5, ["hpobench-car", "hpobench-vehicle"], suite="tables")]
    found[0].loc[found[0]["task"] == "hpobench-car", ["loss", "worth"]] -= 9.0
    found += [failed(runs("random", 0.5, ["mine"], suite="own").assign(error=f"E: {EVIL}"))]
    save(tmp_path / "runs", *found)
    main([tmp_path / "runs"], tmp_path / "lb", None)
    for name in ("lb.html", "lb.md"):
        text = re.sub(r"<script.*", "", (tmp_path / name).read_text(), flags=re.S)
        assert "Tasks on which all trainings failed" in text
        assert "own/mine: 60 trials, 100% failed. RuntimeError: boom" in text
        assert "all 60 trials failed" in text
        assert re.search(r"tables/hpobench-car: -\d+\.\d+, random", text)
        assert "tables/hpobench-vehicle: -" not in text
        assert EVIL not in text


def test_a_page_without_markers_is_an_error_before_anything_is_written(tmp_path):
    save(tmp_path / "runs", runs("random", 0.5, ["mine"], suite="own"))
    summary = tmp_path / "page.md"
    summary.write_text("no place")
    with pytest.raises(UserError, match="has no block for the leaderboard; add the lines <!-- leaderboard -->"):
        main([tmp_path / "runs"], tmp_path / "leaderboard", summary)
    assert not (tmp_path / "leaderboard.html").exists()
    with pytest.raises(UserError, match="has no block"):
        markdown.with_block("<!-- /leaderboard --> <!-- leaderboard -->", "x", summary)


def test_names_for_links_and_files_are_unique():
    odd = [own({"random": 0.5}, 1), own({"random": 0.5}, 1)]
    names = page.anchors([*odd, *sections(RANDOM, constants(TASKS))])
    assert len(set(names)) == len(names)
    assert all(re.fullmatch(r"[a-z0-9-]+", name) for name in names)
