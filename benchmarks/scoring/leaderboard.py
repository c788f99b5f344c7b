"""The leaderboard as tidy tables: all measures of all fields, by trainings and by seconds. Pure functions."""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

from benchmarks.scoring import regret
from benchmarks.scoring.cohorts import CLOCKS, KEY, PAIR, REFERENCES, Field, fields, with_references
from benchmarks.scoring.efficiency import medians, needed
from benchmarks.scoring.exact_budget import ExactBudgetRuns, exact_runs, longest
from benchmarks.scoring.generalisation import GENERALISATION, generalisation, shared
from benchmarks.scoring.standings import BASELINE, Standing, standing_of


@dataclass(frozen=True)
class Section:
    """A field and its results."""

    field: Field
    standings: dict[str, Standing]  # by clock
    generalisation: pd.DataFrame  # by strategy; empty without test losses
    reliability: pd.DataFrame  # by strategy: n_runs, n_crashed, n_trials, failed (share of trials), strategy_seconds
    word: str  # the measure: regret, or loss or test loss of a task whose best loss is unknown
    needed: pd.DataFrame  # what each run needs to reach the results of random search and of Optuna; see efficiency

    @functools.cached_property
    def needs(self) -> pd.DataFrame:
        """The medians of ``needed``."""
        return medians(self.needed)


def sections(table: pd.DataFrame, constants: pd.DataFrame) -> list[Section]:
    """The sections for all runs. ``constants``: best, reference and seconds by (suite, task).

    Fields and curves are those of the longest runs; ``exact`` says which other ones count at a budget.
    """
    every, table = table, longest(table)
    asked = every.drop_duplicates([*KEY, "n_trials"])
    facts = pd.concat([constants.assign(floor=1.0), _own_constants(table, constants)])
    rows = with_references(table)
    rows["run"] = rows.groupby(KEY, sort=False).ngroup()
    runs = rows.drop_duplicates("run").set_index("run")
    regrets = {n: dict(_regrets(part, facts)) for n, part in rows.groupby("n_workers")}
    found = []
    for field in fields(runs[~runs["strategy"].isin(REFERENCES)], constants.index):
        member = np.zeros(len(runs), dtype=bool)
        member[_members(runs, field)] = True
        part = rows[member[rows["run"]]]
        exact = exact_runs(every, asked, field)
        standings = {}
        for clock, values in regrets[field.n_workers].items():
            given = exact if clock == "trainings" else ExactBudgetRuns()
            standing = standing_of(field, values, _ends(part, field, facts, clock), part, facts, clock, given)
            if standing is not None:
                standings[clock] = standing
        word = "regret" if field.normalised else "test loss" if part["test"].notna().any() else "loss"
        own = needed(field, regrets[field.n_workers]["trainings"], part, facts)
        counted = exact.counted(part, field.n_trials)
        found.append(Section(field, standings, _generalisation(counted, field, facts), reliability(part), word, own))
    return found


def _own_constants(table: pd.DataFrame, constants: pd.DataFrame) -> pd.DataFrame:
    """Constants for tasks whose best loss is unknown, so that regret is the loss. Seconds are for one worker."""
    own = table[~pd.MultiIndex.from_frame(table[["suite", "task"]]).isin(constants.index)]
    trained = own[~own["failed"]]
    seconds = trained["at_seconds"] * trained["n_workers"] / trained["at_epochs"] * trained["max_epochs"]
    facts = trained.assign(seconds=seconds).groupby(["suite", "task"])[["seconds"]].median()
    every = pd.MultiIndex.from_frame(own[["suite", "task"]].drop_duplicates())
    return facts.reindex(every).assign(best=0.0, reference=1.0, floor=np.nan)


def _regrets(rows: pd.DataFrame, facts: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    """By clock, the regret of every run at all integer budgets. W workers spend seconds W times as fast."""
    n_workers = int(rows["n_workers"].iloc[0])
    others = rows[~rows["strategy"].isin([BASELINE, *REFERENCES])]  # random search has more trainings
    longest = int((others if len(others) else rows)["n_trials"].max())
    for clock, column in CLOCKS.items():
        scale = n_workers if clock == "seconds" else 1
        yield clock, regret.at_budgets(rows, facts, [b / scale for b in range(1, longest + 1)], column)


def _members(runs: pd.DataFrame, field: Field) -> np.ndarray:
    """The runs of a field and of its references: ``random x2`` only if random search has the budget for it, and
    ``default`` only if every run of random search tried the default."""
    pairs = pd.MultiIndex.from_frame(runs[PAIR]).isin(field.pairs)
    runs = runs[pairs & (runs["n_workers"] == field.n_workers)]
    names = {*field.strategies}
    if BASELINE in names:
        if (runs["strategy"] == "default").sum() == len(field.pairs):
            names.add("default")
        if runs.loc[runs["strategy"] == BASELINE, "n_trials"].min() >= 2 * field.n_trials:
            names.add("random x2")
    return runs.index[runs["strategy"].isin(names)].to_numpy()


def _ends(part: pd.DataFrame, field: Field, facts: pd.DataFrame, clock: str) -> float:
    """The largest budget; in seconds, the one at which half of the runs of some strategy have ended."""
    if clock == "trainings":
        return float(field.n_trials)
    own = part[part["at_epochs"] <= field.n_trials * part["max_epochs"]]
    runs = own.drop_duplicates("run").set_index("run")
    runs["spent"] = own.groupby("run")["at_seconds"].max()
    runs = runs[runs["strategy"].isin(field.strategies) & (runs["spent"] > 0)]
    runs["spent"] /= facts["seconds"].reindex(pd.MultiIndex.from_frame(runs[["suite", "task"]])).to_numpy()
    ended = min(float(runs.groupby("strategy")["spent"].median().min()), field.n_trials / field.n_workers)
    if math.isnan(ended):  # every run crashed or every training failed
        return 0.0
    return math.floor(ended * field.n_workers) / field.n_workers


def _generalisation(part: pd.DataFrame, field: Field, facts: pd.DataFrame) -> pd.DataFrame:
    """Validation versus test, by strategy, in units of regret: means over seeds, the tasks of a unit, and units.

    Over the runs shared by all strategies that have a measure; ``n_NAME`` is their number.
    """
    known = part[part["strategy"] != "default"]
    if known[["test", "retrained"]].isna().all(axis=None):
        return pd.DataFrame()
    found = generalisation(known, field.n_trials)
    own = facts.reindex(pd.MultiIndex.from_arrays([found.index.get_level_values(i) for i in (0, 1)]))
    best, reference = own["best"].to_numpy(), own["reference"].to_numpy()
    for name in ("gap", "overtuning"):
        found[name] /= reference - best
    for name in ("retrained", "retrained_default"):
        found[name] = regret.normalised(found[name].to_numpy(), best, reference)
    tested, default, again = GENERALISATION[:2], GENERALISATION[2:3], GENERALISATION[3:]
    for columns in (tested, default, again):
        found = shared(found, columns)
    counts = found.groupby("strategy")[GENERALISATION].count().add_prefix("n_")
    return regret.over_tasks(found, field.units).join(counts)


def reliability(rows: pd.DataFrame) -> pd.DataFrame:
    """By strategy: runs, crashed runs, trials, share of failed trials, and its own mean seconds per trial."""
    own = rows[~rows["strategy"].isin(REFERENCES)]
    numbered = own.assign(run=own.groupby(KEY, sort=False).ngroup())
    trials = numbered[own["trial"] >= 0].drop_duplicates(["run", "trial"], keep="last").groupby("strategy")
    runs = numbered.drop_duplicates("run").groupby("strategy")
    return pd.DataFrame(
        {
            "n_runs": runs.size(),
            "n_crashed": runs["crash"].count(),
            "n_trials": trials.size(),
            "failed": trials["failed"].mean(),
            "strategy_seconds": trials["strategy_seconds"].mean(),
        }
    )


def board(sections: list[Section]) -> pd.DataFrame:
    """leaderboard.csv: all measures of all strategies in all fields, by clock and budget."""
    parts = []
    for section in sections:
        field = section.field
        for clock, standing in section.standings.items():
            part = standing.board.assign(
                suite=field.suite, split=field.split, field=field.name, n_workers=field.n_workers, clock=clock,
                n_tasks=len(field.tasks), n_units=field.n_units, n_seeds=field.n_seeds,
            )  # fmt: skip
            part = part.join(_chances(standing), on=["budget", "strategy"])
            part = part.join(section.reliability.rename(columns={"n_trials": "n_trials_in_all"}), on="strategy")
            parts.append(part if section.generalisation.empty else part.join(section.generalisation, on="strategy"))
    table = pd.concat(parts, ignore_index=True)
    first = ["suite", "split", "field", "n_workers", "clock", "budget", "strategy", "n_tasks", "n_units", "n_seeds"]
    return table[[*first, *(name for name in table.columns if name not in first)]]


def _chances(standing: Standing) -> pd.DataFrame:
    """By budget and strategy, the probability of being among the best and the expected loss."""
    return pd.concat(
        {budget: comparison.chances for budget, comparison in standing.comparisons.items()},
        names=["budget", "strategy"],
    )  # fmt: skip


def needs(sections: list[Section]) -> pd.DataFrame:
    """leaderboard-efficiency.csv: what each strategy needs to reach the results of the references, in all fields."""
    parts = [
        section.needs.assign(
            suite=section.field.suite, split=section.field.split, field=section.field.name,
            n_workers=section.field.n_workers,
        )
        for section in sections
        if len(section.needed)
    ]  # fmt: skip
    first = ["suite", "split", "field", "n_workers", "reference", "after", "clock", "strategy"]
    if not parts:
        return pd.DataFrame(columns=first)
    table = pd.concat(parts, ignore_index=True)
    return table[[*first, *(name for name in table.columns if name not in first)]]
