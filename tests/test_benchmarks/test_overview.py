"""The first table of the leaderboard: what to use, in words."""

from dataclasses import replace
from types import SimpleNamespace

import pandas as pd
import pytest

from benchmarks.pages.overview import CLOCK, Advised, in_short


def advised(chances: dict[str, float]) -> Advised:
    """The advice where strategies have these probabilities of being among the best."""
    comparison = SimpleNamespace(
        chances=pd.DataFrame({"probability": chances}), means=pd.Series(0.1, index=list(chances))
    )
    section = SimpleNamespace(standings={CLOCK: SimpleNamespace(comparisons={20.0: comparison})})
    return Advised("numbers only", 20.0, "auto", {"holdout": section})


@pytest.mark.parametrize(
    ("chances", "ours", "library"),
    [
        ({"auto": 0.99, "bo": 0.97, "tpe": 0.4}, "**auto** or **bo**", ""),
        ({"auto": 0.96, "raw-nevergrad": 0.99}, "**auto**", ""),
        ({"auto": 0.8, "bo": 0.97}, "**auto**", ""),
        ({"auto": 0.43, "raw-nevergrad": 0.87}, "**auto**", "nevergrad (0.87): 0.100"),
        ({"auto": 0.43, "raw-nevergrad": 0.2}, "**auto**", ""),
    ],
)
def test_a_row_names_the_best_of_ours_and_a_library_that_is_likelier_the_best(chances, ours, library):
    found = advised(chances)
    assert (found.ours, found.about_library) == (ours, library)


def test_the_advice_in_a_sentence_names_the_situations_in_which_it_is_another():
    usual, sure = advised({"auto": 0.43, "raw-nevergrad": 0.87}), advised({"auto": 0.99})
    assert in_short([sure, sure]) == "Use `auto`."
    crew = replace(sure, situation="4 workers", strategy="bo+hyperband")
    crew.first.chances.loc["bo+hyperband"] = 0.8
    assert in_short([usual, usual, sure, crew]) == (
        "Use `auto`, with these exceptions: numbers only: the library nevergrad is more likely the best; "
        "4 workers: `bo+hyperband`."
    )
