"""The first table of the leaderboard: what to use, in words."""

from dataclasses import replace
from types import SimpleNamespace

import pandas as pd
import pytest

from benchmarks.pages.situations import SituationAdvice, answers
from benchmarks.scoring.cohorts import CLOCK


def section(chances: dict[str, float], budget: float = 20.0, extent: str = "") -> SimpleNamespace:
    """The results where strategies have these probabilities of being among the best."""
    means = pd.Series([0.1 + i / 1e6 for i in range(len(chances))], index=list(chances))
    table = pd.DataFrame([means, means])
    comparison = SimpleNamespace(chances=pd.DataFrame({"probability": chances}), means=means, table=table, decided=True)
    standings = {CLOCK: SimpleNamespace(comparisons={budget: comparison})}
    return SimpleNamespace(standings=standings, field=SimpleNamespace(extent=extent, epochs=(10, 18)))


def advised(chances: dict[str, float]) -> SituationAdvice:
    return SituationAdvice("numeric spaces", 20.0, "auto", {"holdout": section(chances)})


def answer(advice: SituationAdvice) -> str:
    """What to use after the budget, as the first table has it."""
    _, [row] = answers([advice])
    return row[1]


@pytest.mark.parametrize(
    ("chances", "ours", "likelier"),
    [
        ({"auto": 0.99, "bo": 0.97, "tpe": 0.4}, "**auto** or **bo**", ""),
        ({"auto": 0.96, "raw-nevergrad": 0.99}, "**auto**", ""),
        ({"auto": 0.8, "bo": 0.97}, "**auto**", "`bo` (97%): 0.100"),
        ({"auto": 0.43, "raw-nevergrad": 0.87}, "**auto**", "`raw-nevergrad` (87%): 0.100"),
        ({"auto": 0.43, "raw-nevergrad": 0.2}, "**auto**", ""),
        ({"auto": 0.48, "raw-optuna-gp": 0.52}, "**auto**", ""),
    ],
)
def test_a_row_names_the_best_of_ours_and_one_that_is_likelier_the_best(chances, ours, likelier):
    found = advised(chances)
    assert (found.ours, found.about_likelier) == (ours, likelier)


def test_strategies_with_the_same_results_are_named_together():
    found = advised({"auto": 0.43, "bo": 0.43, "raw-nevergrad": 0.87})
    assert found.ours == "**auto** or **bo**"
    found.first.table["bo"] = found.first.table["auto"] + [0.01, -0.01]
    assert found.ours == "**auto** or **bo**", "the same mean, but not the same results"
    found.first.table["bo"] = found.first.table["auto"]
    assert found.ours == "**auto** (= **bo**)"


def test_a_library_that_is_likelier_on_a_part_of_the_tasks_is_named_with_both_probabilities():
    part = section({"auto": 0.49, "raw-optuna-gp": 0.992}, extent="15 tasks, 5 seeds")
    found = replace(advised({"auto": 0.999, "tpe": 0.1}), part=part)
    assert found.about_likelier == "on 15 tasks, 5 seeds: `raw-optuna-gp` (>99%), `auto` (49%)"
    against = "**auto**: very likely (>99%); against slow strategies (15 tasks, 5 seeds), "
    assert answer(found) == f"{against}`raw-optuna-gp` has >99%, auto 49%"
    also = section(
        {"auto": 0.49, "tpe": 0.992}, extent="15 tasks, 5 seeds"
    )  # is known on all tasks, where it is behind
    assert replace(found, part=also).about_likelier == ""
    as_good = section({"auto": 0.96, "raw-optuna-gp": 0.84}, extent="15 tasks, 5 seeds")
    assert replace(found, part=as_good).about_likelier == "on 15 tasks, 5 seeds: `raw-optuna-gp` (84%), `auto` (96%)"
    assert (
        answer(replace(found, part=as_good))
        == "**auto**: very likely (>99%); against slow strategies (15 tasks, 5 seeds), auto has 96%"
    )


def test_what_is_likelier_on_development_tasks_alone_is_named_too():
    found = advised({"auto": 0.95, "raw-nevergrad": 0.1})
    found = replace(found, measured=found.measured | {"development": section({"auto": 0.52, "raw-nevergrad": 0.77})})
    assert found.about_development == "52% (`raw-nevergrad` 77%)"
    named = replace(found, measured=found.measured | {"holdout": section({"auto": 0.4, "raw-nevergrad": 0.87})})
    assert named.about_development == "52%"
    agreeing = replace(found, measured=found.measured | {"development": section({"auto": 0.9, "raw-nevergrad": 0.77})})
    assert agreeing.about_development == "90%"


def test_a_row_per_situation_says_what_to_use_after_each_budget_and_how_sure_that_is():
    usual = advised({"auto": 0.43, "raw-nevergrad": 0.87})
    usual.first.means["raw-nevergrad"] = 0.083
    more = SituationAdvice(
        "numeric spaces", 50.0, "auto", {"holdout": section({"auto": 0.7, "raw-nevergrad": 0.72}, 50.0)}
    )
    crew = replace(
        advised({"auto": 0.9, "bo+asha": 0.97}),
        situation="networks, short trainings",
        measured={"development": section({"auto": 0.9, "bo+asha": 0.97}, extent="7 tasks, 20 seeds")},
    )
    crew.first.means["bo+asha"] = 0.105
    header, rows = answers([usual, more, crew], extents=True)
    assert header == ["what you tune", "20 trainings", "50 trainings", "measured on"]
    assert [row[:3] for row in rows] == [
        ["**numeric spaces**: floats alone; BBOB test functions",
         "**auto**: uncertain (43%); `raw-nevergrad` has 87%, regret lower by 0.017", "**auto**: likely (70%)"],
        ["**networks, short trainings**: 10 to 18 epochs, can be stopped early; trained for real",
         "**auto**: very likely (90%); `bo+asha` has 97%, regret higher by 0.0050 (practically equal)", "not run"],
    ]  # fmt: skip
    assert rows[1][3] == "development: 7 tasks, 20 seeds"
    header, [row] = answers([crew])
    assert header == ["what you tune", "20 trainings"]
    assert row[0].endswith("; trained for real; development tasks")
    sooner = replace(crew, strategy="bo+asha")
    assert (
        answer(sooner) == "**bo+asha**: very likely (97%); `auto` has 90%, regret lower by 0.0050 (practically equal)"
    )
