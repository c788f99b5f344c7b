"""The first table of the leaderboard: what to use, in words."""

from dataclasses import replace
from types import SimpleNamespace

import pandas as pd
import pytest

from benchmarks.pages.situations import SituationAdvice, sentences
from benchmarks.scoring.cohorts import CLOCK


def section(chances: dict[str, float], budget: float = 20.0, extent: str = "") -> SimpleNamespace:
    """The results where strategies have these probabilities of being among the best."""
    means = pd.Series([0.1 + i / 1e6 for i in range(len(chances))], index=list(chances))
    table = pd.DataFrame([means, means])
    comparison = SimpleNamespace(chances=pd.DataFrame({"probability": chances}), means=means, table=table, decided=True)
    standings = {CLOCK: SimpleNamespace(comparisons={budget: comparison})}
    return SimpleNamespace(standings=standings, field=SimpleNamespace(extent=extent))


def advised(chances: dict[str, float]) -> SituationAdvice:
    return SituationAdvice("numeric spaces", 20.0, "auto", {"holdout": section(chances)})


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
    assert sentences([found]) == [
        "**numeric spaces** (floats alone; BBOB test functions): `raw-nevergrad`, 87% after 20; recommended in automl: "
        "`auto` (= `bo`), 43% after 20"
    ]


def test_a_library_that_is_likelier_on_a_part_of_the_tasks_is_named_with_both_probabilities():
    part = section({"auto": 0.49, "raw-optuna-gp": 0.992}, extent="15 tasks, 5 seeds")
    found = replace(advised({"auto": 0.999, "tpe": 0.1}), part=part)
    assert found.about_likelier == "on 15 tasks, 5 seeds: `raw-optuna-gp` (>99%), `auto` (49%)"
    assert sentences([found]) == [
        "**numeric spaces** (floats alone; BBOB test functions): `auto`, >99% after 20; with slow strategies too "
        "(15 tasks, 5 seeds): `raw-optuna-gp`, >99% after 20; `auto`, 49% after 20"
    ]
    also = section(
        {"auto": 0.49, "tpe": 0.992}, extent="15 tasks, 5 seeds"
    )  # is known on all tasks, where it is behind
    assert replace(found, part=also).about_likelier == ""
    as_good = section({"auto": 0.96, "raw-optuna-gp": 0.84}, extent="15 tasks, 5 seeds")
    assert replace(found, part=as_good).about_likelier == "on 15 tasks, 5 seeds: `raw-optuna-gp` (84%), `auto` (96%)"
    assert sentences([replace(found, part=as_good)])[0].endswith(
        "; with slow strategies too (15 tasks, 5 seeds): `auto`, 96% after 20; `raw-optuna-gp`, 84% after 20"
    )


def test_what_is_likelier_on_development_tasks_alone_is_named_too():
    found = advised({"auto": 0.95, "raw-nevergrad": 0.1})
    found = replace(found, measured=found.measured | {"development": section({"auto": 0.52, "raw-nevergrad": 0.77})})
    assert found.about_development == "52% (`raw-nevergrad` 77%)"
    assert sentences([found])[0].endswith("`auto`, 95% after 20; on development tasks: `raw-nevergrad`, 77% after 20")
    named = replace(found, measured=found.measured | {"holdout": section({"auto": 0.4, "raw-nevergrad": 0.87})})
    assert named.about_development == "52%"
    agreeing = replace(found, measured=found.measured | {"development": section({"auto": 0.9, "raw-nevergrad": 0.77})})
    assert agreeing.about_development == "90%"


def test_a_sentence_per_situation_gives_probabilities_and_names_what_is_likelier():
    usual = advised({"auto": 0.43, "raw-nevergrad": 0.87})
    more = SituationAdvice(
        "numeric spaces", 50.0, "auto", {"holdout": section({"auto": 0.43, "raw-nevergrad": 0.8}, 50.0)}
    )
    sure = replace(advised({"auto": 0.999, "bo": 0.98}), situation="choices")
    later = SituationAdvice("choices", 50.0, "bo", {"holdout": section({"auto": 0.4, "bo": 0.9}, 50.0)})
    assert sentences([usual, more, sure, later]) == [
        "**numeric spaces** (floats alone; BBOB test functions): `raw-nevergrad`, 87% after 20, 80% after 50; "
        "recommended in automl: `auto`, 43% after 20 and 50",
        "**choices**: `auto` or `bo`, >99% after 20; `bo`, 90% after 50",
    ]
    crew = replace(advised({"auto": 0.5, "bo+asha": 0.9}), situation="4 workers")
    assert sentences([crew]) == ["**4 workers**: `bo+asha`, 90% after 20; recommended: `auto`, 50% after 20"]
    sure.measured["holdout"].field.extent = "7 tasks, 20 seeds"
    assert sentences([sure], extents=True) == [
        "**choices** (held-out: 7 tasks, 20 seeds): `auto` or `bo`, >99% after 20"
    ]
