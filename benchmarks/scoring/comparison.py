"""Statements about several strategies, from a table of regrets, units x strategies."""

from __future__ import annotations

import functools
from dataclasses import dataclass

import pandas as pd

from benchmarks.scoring.certainty import FEWEST, MARGIN, SURE, Versus, among_best, units_needed, versus
from benchmarks.scoring.statistics import against, friedman

BEST, AMONG, UNKNOWN = "best", "among the best, practically equal", "not known yet"
FEW, ALONE = "too few tasks", "nothing to compare"
NOTHING = "no training worked"  # for any strategy within the budget
AHEAD = "ahead on this task"  # on a single task, by its seeds
WORSE, EQUAL = "worse", "practically equal"  # of a strategy, compared with the leader
N_ASKED = 2  # undecided rivals for which the number of units is estimated


@dataclass(frozen=True)
class Comparison:
    """The results at one budget.

    ``table``: mean regrets, units x strategies. ``chances``: of each strategy, as ``certainty.among_best``. ``pairs``:
    the leader ``a`` against each other strategy ``b``, empty with too few units: the probabilities that ``b`` is
    ``better``, ``equal`` or ``worse``, the ``word`` for it, and Wilcoxon's signed-rank test with Holm's correction.
    ``leaders``: the strategy with the lowest mean, then those that may be as good.
    """

    table: pd.DataFrame
    means: pd.Series  # ascending
    n_units: int
    size: str  # as text: 36 tasks of 12 functions
    verdict: str
    leaders: tuple[str, ...]
    chances: pd.DataFrame
    pairs: pd.DataFrame
    friedman_p: float | None = None

    @property
    def decided(self) -> bool:
        """Whether there are enough units to say something of tasks like these."""
        return self.verdict in (BEST, AMONG, UNKNOWN)

    @functools.cached_property
    def needed(self) -> dict[str, int | None]:
        """For the undecided rivals with the lowest means, about how many units like these would decide; None if too
        many. See ``certainty.units_needed``."""
        undecided = self.pairs.loc[self.pairs["word"] == UNKNOWN, ["a", "b"]].head(N_ASKED)
        return {
            str(b): units_needed(self.table[b].to_numpy(), self.table[a].to_numpy())
            for a, b in undecided.itertuples(index=False, name=None)
        }


def compare(table: pd.DataFrame, size: str = "", margin: float = MARGIN) -> Comparison:
    """Compare the strategy with the lowest mean with each of the others. ``size``: the number of tasks, as text."""
    size = size or f"{len(table)} task{'s' * (len(table) != 1)}"
    means = table.mean().sort_values(kind="stable")
    first, *others = map(str, means.index)
    if not others or len(table) < FEWEST:
        verdict = ALONE if not others else FEW
        leaders = (first, *others)
        return Comparison(table, means, len(table), size, verdict, leaders, no_chances(), no_pairs())
    pairs = against(table, first)
    found = [versus(table[b].to_numpy(), table[first].to_numpy(), margin) for b in pairs["b"]]
    for name in ("better", "equal", "worse"):
        pairs[name] = [getattr(each, name) for each in found]
    pairs["word"] = [_word(each) for each in found]
    verdict = UNKNOWN if (pairs["word"] == UNKNOWN).any() else BEST if (pairs["word"] == WORSE).all() else AMONG
    leaders = (first, *pairs.loc[pairs["word"] != WORSE, "b"])
    p = friedman(table) if others[1:] else None
    chances = among_best(table, margin)
    return Comparison(table, means, len(table), size, verdict, leaders, chances, pairs, p)


def nothing(table: pd.DataFrame, size: str) -> Comparison:
    """The comparison if no strategy has a successful training: there is no leader."""
    none = pd.Series(float("nan"), index=table.columns)
    return Comparison(table, none, len(table), size, NOTHING, (), no_chances(), no_pairs())


def no_chances() -> pd.DataFrame:
    """Empty ``chances``."""
    return pd.DataFrame(columns=["probability", "loss"], dtype=float)


def no_pairs() -> pd.DataFrame:
    """Empty ``pairs``."""
    return pd.DataFrame(columns=["a", "b", "difference", "p", "p_holm", "better", "equal", "worse", "word"])


def _word(found: Versus) -> str:
    if found.worse >= SURE:
        return WORSE
    return EQUAL if found.equal >= SURE else UNKNOWN
