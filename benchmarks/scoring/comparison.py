"""Statements about several strategies, from a table of regrets, units x strategies."""

from __future__ import annotations

import functools
from dataclasses import dataclass

import pandas as pd

from automl.tuning.recommend import P_BEST
from benchmarks.scoring.certainty import (
    MARGIN,
    MIN_P,
    MIN_UNITS,
    PairProbabilities,
    among_best,
    one_among_best,
    units_needed,
    versus,
)
from benchmarks.scoring.statistics import against, friedman

BEST, AMONG, UNKNOWN = "best", "among the best, practically equal", "not known yet"
FEW, ALONE = "too few tasks", "nothing to compare"
NOTHING = "no training worked"  # for any strategy within the budget
AHEAD = "ahead on this task"  # on a single task, by its seeds
WORSE, EQUAL = "worse", "practically equal"  # of a strategy, compared with the leader
N_GROUP = 4  # strategies that a verdict names at most, if which of them is best is not known
N_ASKED = N_GROUP - 1  # undecided rivals for which the number of units is estimated


@dataclass(frozen=True)
class Comparison:
    """The results at one budget.

    ``table``: mean regrets, units x strategies. ``chances``: of each strategy, as ``certainty.among_best``. ``pairs``:
    the leader ``a`` against each other strategy ``b``, empty with too few units: the probabilities that ``b`` is
    ``better``, ``equal`` or ``worse``, the ``word`` for it, and Wilcoxon's signed-rank test with Holm's correction.
    ``verdict``: see ``compare``. ``leaders``: the strategies it is about, lowest mean first; ``probability``: that one
    of them is among the best, NaN with too few units.
    """

    table: pd.DataFrame
    means: pd.Series  # ascending
    n_units: int
    size: str  # as text: 36 tasks of 12 functions
    verdict: str
    leaders: tuple[str, ...]
    chances: pd.DataFrame
    pairs: pd.DataFrame
    probability: float = float("nan")
    friedman_p: float | None = None

    @property
    def decided(self) -> bool:
        """Whether there are enough units to say something of tasks like these."""
        return self.verdict in (BEST, AMONG, UNKNOWN)

    @property
    def undecided(self) -> tuple[str, ...]:
        """The leaders of which it is not known whether they are as good as the first."""
        unknown = {*self.pairs.loc[self.pairs["word"] == UNKNOWN, "b"]}
        return tuple(name for name in self.leaders if name in unknown)

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
    """Compare the strategy with the lowest mean, the first, with each of the others.

    The ``word`` for another one is what the signed-rank test gives a probability of MIN_P or more: worse, or
    practically equal; else not known yet. The leading group are the first and all that are not worse. The verdict is

    - *best*, of the first alone, if its P(best) is P_BEST or more, or if all others are worse;
    - *among the best, practically equal*, of the first and others, if its P(best) is P_BEST or more and theirs too, or
      they are practically equal to it; or if all of the group are practically equal to it;
    - *best*, of several, if the group has at most N_GROUP strategies: which of them is not known yet;
    - *not known yet* otherwise, and if the probability that one of the group is among the best is below MIN_P.

    Where 12 strategies are equal, up to 15% of simulated comparisons on 12 tasks call some of them best. ``size``: the
    number of tasks, as text.
    """
    size = size or f"{len(table)} task{'s' * (len(table) != 1)}"
    means = table.mean().sort_values(kind="stable")
    first, *others = map(str, means.index)
    if not others or len(table) < MIN_UNITS:
        verdict = ALONE if not others else FEW
        leaders = (first, *others)
        return Comparison(table, means, len(table), size, verdict, leaders, no_chances(), no_pairs())
    pairs = against(table, first)
    found = [versus(table[b].to_numpy(), table[first].to_numpy(), margin) for b in pairs["b"]]
    for name in ("better", "equal", "worse"):
        pairs[name] = [getattr(each, name) for each in found]
    pairs["word"] = [_word(each) for each in found]
    p = friedman(table) if others[1:] else None
    chances = among_best(table, margin)
    verdict, leaders = _verdict(table, pairs, chances["probability"], margin)
    probability = one_among_best(table, leaders, margin)
    return Comparison(table, means, len(table), size, verdict, leaders, chances, pairs, probability, p)


def _verdict(
    table: pd.DataFrame, pairs: pd.DataFrame, chances: pd.Series, margin: float
) -> tuple[str, tuple[str, ...]]:
    """The verdict and its leaders, as ``compare`` says."""
    first, words = str(pairs["a"].iloc[0]), dict(zip(pairs["b"], pairs["word"], strict=True))
    equal = [name for name, word in words.items() if word == EQUAL]
    if chances[first] >= P_BEST:
        as_good = [name for name in words if name in equal or chances[name] >= P_BEST]
        return AMONG if as_good else BEST, (first, *as_good)
    group = (first, *(name for name, word in words.items() if word != WORSE))
    if one_among_best(table, group, margin) < MIN_P:
        return UNKNOWN, group
    if len(group) == len(equal) + 1:
        return AMONG if equal else BEST, group
    return BEST if len(group) <= min(N_GROUP, len(words)) else UNKNOWN, group


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


def _word(found: PairProbabilities) -> str:
    if found.worse >= MIN_P:
        return WORSE
    return EQUAL if found.equal >= MIN_P else UNKNOWN
