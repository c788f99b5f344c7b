"""The first table of the leaderboard: what to use, in words."""

from types import SimpleNamespace

import pandas as pd
import pytest

from benchmarks.pages.overview import CLOCK, Advised


def advised(chances: dict[str, float]) -> Advised:
    """The advice where strategies have these probabilities of being among the best."""
    comparison = SimpleNamespace(
        chances=pd.DataFrame({"probability": chances}), means=pd.Series(0.1, index=list(chances))
    )
    section = SimpleNamespace(standings={CLOCK: SimpleNamespace(comparisons={20.0: comparison})})
    return Advised("numbers only", 20.0, "auto", {"holdout": section})


@pytest.mark.parametrize(
    ("chances", "words"),
    [
        ({"auto": 0.99, "bo": 0.97, "tpe": 0.4}, "**auto** or **bo**"),
        ({"auto": 0.8, "bo": 0.97}, "**auto**, probably"),
        (
            {"auto": 0.43, "raw-nevergrad": 0.87},
            "the library nevergrad (0.87; regret 0.100); of ours, **auto**, not sure",
        ),
        ({"auto": 0.43, "raw-nevergrad": 0.2}, "**auto**, not sure"),
    ],
)
def test_the_verdict_says_who_is_among_the_best_and_how_sure_that_is(chances, words):
    assert advised(chances).verdict == words
