"""Which runs count at a budget: those that were given just this budget, or the start of longer ones.

Some strategies plan by their budget, so a run given 20 trainings is not the start of one given 100. In a comparison, a
strategy is scored at a budget by its runs given just this budget if it has one for every suite, task and seed; if it
has them for only some, all are read off its longest runs, since a mean over both would be of neither. Random search
does not plan and is always read off. Curves, areas and speed-ups are those of the longest runs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import pandas as pd

from benchmarks.scoring.cohorts import KEY, PAIR, REFERENCES, Field

UNPLANNED = ("random", *REFERENCES)  # do not depend on the budget
# Plan by the budget; auto with learning curves or families.
PLANNED = ("auto", "bo+asha", "bo+hyperband", "one-epoch", "raw-nevergrad", "raw-smac", "raw-smac-hyperband")


@dataclass(frozen=True)
class ExactBudgetRuns:
    """The runs of a comparison that were given just one of its budgets.

    ``strategies``: by budget, those scored by such runs. ``rows``: by budget, the rows of these runs for the strategies
    that have longer ones too.
    """

    strategies: Mapping[float, tuple[str, ...]] = field(default_factory=dict)
    rows: Mapping[float, pd.DataFrame] = field(default_factory=dict)

    def given(self, budget: float) -> tuple[str, ...]:
        """The strategies scored by runs given just this budget."""
        return self.strategies.get(budget, ())

    def counted(self, part: pd.DataFrame, budget: float) -> pd.DataFrame:
        """The rows that count at a budget. ``part``: those of the longest runs."""
        own = self.rows.get(budget)
        return part if own is None else pd.concat([part[~part["strategy"].isin(own["strategy"].unique())], own])


def exact_runs(table: pd.DataFrame, runs: pd.DataFrame, field: Field) -> ExactBudgetRuns:
    """The runs of a field that were given just one of its budgets.

    ``table``: rows of runs with all budgets; ``runs``: a row per run and budget.
    """
    own = _of(runs, field)
    is_shorter = own["n_trials"] < own.groupby(KEY)["n_trials"].transform("max")
    strategies, rows = dict[float, tuple[str, ...]](), dict[float, pd.DataFrame]()
    for budget in sorted(own["n_trials"].unique()):
        names = strategies_at(own, budget)
        strategies[float(budget)] = tuple(names)
        shorter = own.loc[is_shorter & (own["n_trials"] == budget) & own["strategy"].isin(names), "strategy"].unique()
        if len(shorter):
            rows[float(budget)] = _of(table[(table["n_trials"] == budget) & table["strategy"].isin(shorter)], field)
    return ExactBudgetRuns(strategies, rows)


def strategies_at(runs: pd.DataFrame, budget: float) -> list[str]:
    """The strategies of a comparison that have a run given just this budget wherever they have any.

    ``runs``: the columns KEY and n_trials.
    """
    own = runs[~runs["strategy"].isin(UNPLANNED)]
    covered = (own["n_trials"] == budget).groupby([own[name] for name in KEY]).any().groupby("strategy").all()
    return [str(name) for name in covered.index[covered]]


def at_budget(table: pd.DataFrame, budget: float) -> pd.DataFrame:
    """The rows that count at a budget, one run for each KEY. ``table``: rows of one comparison with all budgets."""
    is_exact = table["strategy"].isin(strategies_at(table, budget))
    return pd.concat([longest(table[~is_exact]), table[is_exact & (table["n_trials"] == budget)]])


def longest(table: pd.DataFrame) -> pd.DataFrame:
    """The rows of the runs with the largest budget, one run for each KEY."""
    return table[table["n_trials"] == table.groupby(KEY)["n_trials"].transform("max")]


def _of(rows: pd.DataFrame, field: Field) -> pd.DataFrame:
    """The rows of the strategies of a field on its tasks and seeds."""
    own = rows[(rows["n_workers"] == field.n_workers) & rows["strategy"].isin(field.strategies)]
    return own[pd.MultiIndex.from_frame(own[PAIR]).isin(field.pairs)]
