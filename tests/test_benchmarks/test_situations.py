"""The first table of the leaderboard: what to use, in words."""

from dataclasses import replace
from types import SimpleNamespace

import pandas as pd
import pytest

from benchmarks.pages.situations import CLOCK, Advised, in_short


def section(chances: dict[str, float], budget: float = 20.0, extent: str = "") -> SimpleNamespace:
    """The results where strategies have these probabilities of being among the best."""
    means = pd.Series([0.1 + i / 1e6 for i in range(len(chances))], index=list(chances))
    comparison = SimpleNamespace(chances=pd.DataFrame({"probability": chances}), means=means, decided=True)
    standings = {CLOCK: SimpleNamespace(comparisons={budget: comparison})}
    return SimpleNamespace(standings=standings, field=SimpleNamespace(extent=extent))


def advised(chances: dict[str, float]) -> Advised:
    return Advised("numeric spaces", 20.0, "auto", {"holdout": section(chances)})


@pytest.mark.parametrize(
    ("chances", "ours", "likelier"),
    [
        ({"auto": 0.99, "bo": 0.97, "tpe": 0.4}, "**auto** or **bo**", ""),
        ({"auto": 0.96, "raw-nevergrad": 0.99}, "**auto**", ""),
        ({"auto": 0.8, "bo": 0.97}, "**auto**", "`bo` (0.97): 0.100"),
        ({"auto": 0.43, "raw-nevergrad": 0.87}, "**auto**", "`raw-nevergrad` (0.87): 0.100"),
        ({"auto": 0.43, "raw-nevergrad": 0.2}, "**auto**", ""),
        ({"auto": 0.48, "raw-optuna-gp": 0.52}, "**auto**", ""),
    ],
)
def test_a_row_names_the_best_of_ours_and_one_that_is_likelier_the_best(chances, ours, likelier):
    found = advised(chances)
    assert (found.ours, found.about_likelier) == (ours, likelier)


def test_strategies_with_the_same_results_are_named_together():
    found = advised({"auto": 0.43, "bo": 0.43, "raw-nevergrad": 0.87})
    found.first.means["bo"] = found.first.means["auto"]
    assert found.ours == "**auto** or **bo**"


def test_a_library_that_is_likelier_on_a_part_of_the_tasks_is_named_with_both_probabilities():
    part = section({"auto": 0.49, "raw-optuna-gp": 0.992}, extent="15 tasks, 5 seeds")
    found = replace(advised({"auto": 0.999, "tpe": 0.1}), part=part)
    assert found.about_likelier == "on 15 tasks, 5 seeds: `raw-optuna-gp` (over 0.99): 0.100; `auto` (0.49): 0.100"
    assert in_short([found]) == (
        "Use `auto`. Exceptions, with a higher P(best): "
        "`raw-optuna-gp` for numeric spaces (over 0.99 against 0.49 on 15 tasks, 5 seeds)."
    )
    later = Advised("numeric spaces", 50.0, "auto", {"holdout": section({"auto": 1.0}, 50.0)})
    assert in_short([found, later]).endswith("on 15 tasks, 5 seeds, after 20 trainings).")
    also = section(
        {"auto": 0.49, "tpe": 0.992}, extent="15 tasks, 5 seeds"
    )  # is known on all tasks, where it is behind
    assert replace(found, part=also).about_likelier == ""


def test_the_advice_in_a_sentence_gives_probabilities_and_names_what_is_likelier():
    usual = advised({"auto": 0.43, "raw-nevergrad": 0.87})
    more = Advised("numeric spaces", 50.0, "auto", {"holdout": section({"auto": 0.35, "raw-nevergrad": 0.8}, 50.0)})
    sure = replace(advised({"auto": 0.999}), situation="choices")
    assert in_short([sure, sure]) == "Use `auto` (P(best) over 0.99)."
    crew = replace(advised({"auto": 0.5, "bo+hyperband": 0.8}), situation="4 workers")
    assert in_short([usual, more, sure, crew]) == (
        "Use `auto` (P(best) over 0.99). Exceptions, with a higher P(best): "
        "`raw-nevergrad` for numeric spaces (0.80 to 0.87 against 0.35 to 0.43, after 20 and 50 trainings); "
        "`bo+hyperband` for 4 workers (0.80 against 0.50)."
    )
    assert in_short([sure, usual, replace(crew, strategy="bo+hyperband")]) == (
        "Use `auto` (P(best) over 0.99), but `bo+hyperband` for 4 workers (P(best) 0.80 against 0.50). "
        "Exceptions, with a higher P(best): `raw-nevergrad` for numeric spaces (0.87 against 0.43)."
    )
