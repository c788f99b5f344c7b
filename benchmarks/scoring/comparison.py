"""A verdict on several strategies from a table of regrets, units x strategies, based on statistical tests."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from benchmarks.scoring.cohorts import counted
from benchmarks.scoring.regret import ranks
from benchmarks.scoring.statistics import LEVEL, MIN_UNITS, cliques, friedman, pairwise, symmetric

MARGIN = 0.01  # smaller differences in mean normalised regret do not matter in practice

WINNER, OPEN, SAME = "winner", "no clear winner", "no difference shown"
UNDECIDED, ALONE = "undecided", "nothing to compare"  # without a test
NOTHING = "no training worked"  # for any strategy within the budget
AHEAD = "ahead on this task"  # on a single task, by its seeds
NOT_SHOWN, DISAGREE = "not shown", "means and ranks disagree"  # of a pair


@dataclass(frozen=True)
class Comparison:
    """The test results at one budget.

    ``pairs``: see ``statistics.pairwise``, with a ``verdict`` for each; empty without a test. ``leaders``: the strategy
    with the lowest mean, and those not shown to be worse by at least the margin.
    """

    means: pd.Series  # ascending
    mean_ranks: pd.Series
    n_units: int
    size: str  # as text: 36 tasks of 12 functions
    verdict: str
    reason: str
    leaders: tuple[str, ...]
    friedman_p: float | None
    pairs: pd.DataFrame
    groups: tuple[tuple[str, ...], ...]  # cliques of the mean ranks

    @property
    def tested(self) -> bool:
        """Whether the verdict is based on tests."""
        return self.verdict in (WINNER, OPEN, SAME)


def compare(table: pd.DataFrame, size: str = "", margin: float = MARGIN) -> Comparison:
    """Friedman's test if there are three or more strategies, then Wilcoxon's with Holm's correction over all pairs.

    ``size``: the number of tasks, as text.
    """
    size = size or counted(len(table), "task")
    means, mean_ranks = table.mean().sort_values(kind="stable"), ranks(table).mean()
    names = tuple(map(str, means.index))
    reason = _no_test(len(table), size, len(names))
    if len(names) < 2 or reason:
        verdict = ALONE if len(names) < 2 else UNDECIDED
        return Comparison(means, mean_ranks, len(table), size, verdict, reason, names, None, _no_pairs(), ())
    p = friedman(table) if len(names) > 2 else None
    pairs = pairwise(table)
    any_difference = p is None or p <= LEVEL
    pairs["verdict"] = [_verdict(row, any_difference, margin) for row in pairs.to_dict("records")]
    of_first = pairs[pairs["a"] == names[0]]
    leaders = (names[0], *of_first.loc[~of_first["verdict"].str.endswith("is better"), "b"])
    verdict = SAME if not any_difference else WINNER if len(leaders) == 1 else OPEN
    p_values = symmetric(pairs) if any_difference else symmetric(pairs.assign(p_holm=1.0))
    groups = tuple(tuple(group) for group in cliques(mean_ranks, p_values))
    return Comparison(means, mean_ranks, len(table), size, verdict, "", leaders, p, pairs, groups)


def nothing(table: pd.DataFrame, size: str) -> Comparison:
    """The comparison if no strategy has a successful training: there is no leader."""
    none = pd.Series(float("nan"), index=table.columns)
    return Comparison(none, none, len(table), size, NOTHING, NOTHING, (), None, _no_pairs(), ())


def _no_pairs() -> pd.DataFrame:
    return pd.DataFrame(columns=["a", "b", "difference", "p", "agrees", "p_holm", "verdict"])


def smallest_p(n_units: int, n_strategies: int) -> float:
    """The lowest corrected p-value of the signed-rank test: all units agree, times the number of pairs."""
    return 2.0 ** (1 - n_units) * (n_strategies * (n_strategies - 1) / 2)


def _no_test(n_units: int, size: str, n_strategies: int) -> str:
    if n_units < MIN_UNITS:
        return f"{size} {'is' if size == '1 task' else 'are'} too few for a test (it takes {MIN_UNITS})"
    p = smallest_p(n_units, n_strategies)
    if p > LEVEL:
        return (
            f"{size} are too few for a test of {n_strategies} strategies (were one better on every one, the corrected "
            f"p would still be {p:.2g})"
        )
    return ""


def _verdict(row: Mapping[Hashable, Any], any_difference: bool, margin: float) -> str:
    if not any_difference or row["p_holm"] > LEVEL:
        return NOT_SHOWN
    if not row["agrees"]:
        return DISAGREE
    return f"{row['a']} is better" if -row["difference"] >= margin else f"by less than {margin:g}, which does not count"
