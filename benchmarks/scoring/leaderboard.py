"""The leaderboard as tidy tables: all measures of all fields, by trainings and by seconds. Pure functions."""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

from benchmarks.scoring import regret, targets
from benchmarks.scoring.certainty import expected
from benchmarks.scoring.cohorts import KEY, REFERENCES, Field, fields, with_references
from benchmarks.scoring.comparison import NOTHING, Comparison, compare, nothing
from benchmarks.scoring.efficiency import medians, needed
from benchmarks.scoring.generalisation import GENERALISATION, generalisation, shared
from benchmarks.scoring.statistics import of_these, paired_interval

CLOCKS = {"trainings": "at_epochs", "seconds": "at_seconds"}
CURVE = (1, 2, 3, 5, 7, 10, 14, 20, 30, 50, 70, 100, 140, 200, 300, 500, 700, 1000)  # budgets of the curves
SHOWN = (10, 20, 50, 100, 200, 500, 1000)  # budgets of the verdicts
BASELINE = "random"


@dataclass(frozen=True)
class Standing:
    """The results of a field under one clock. Budgets are in full trainings, or in the mean time of one."""

    board: pd.DataFrame  # a row per strategy and budget: regret, its intervals, rank, area, speed_up
    comparisons: dict[float, Comparison]  # by shown budget
    duels: pd.DataFrame  # the leader against every other strategy on each task, if there are too few for a test
    reached: pd.DataFrame  # ECDF: share of targets, strategy x budgets; empty without random search
    by_task: pd.DataFrame  # a row per task and strategy at the largest budget: regret with its interval over seeds
    regrets: pd.DataFrame  # of each run of the compared strategies at the shown budgets: the data behind the verdicts
    scored: str = ""  # how the largest budget was scored, if test losses are known


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
    """The sections for all runs. ``constants``: best, reference and seconds by (suite, task)."""
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
        standings = {}
        for clock, values in regrets[field.n_workers].items():
            standing = _standing(field, values, _ends(part, field, facts, clock), part, facts, clock)
            if standing is not None:
                standings[clock] = standing
        word = "regret" if field.normalised else "test loss" if part["test"].notna().any() else "loss"
        epochs = part.groupby(["suite", "task"])["max_epochs"].first()
        own = needed(field, regrets[field.n_workers], regret.before_any(part, facts), epochs)
        found.append(Section(field, standings, _generalisation(part, field, facts), reliability(part), word, own))
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
    longest = int(rows.loc[rows["strategy"] != BASELINE, "n_trials"].max())
    for clock, column in CLOCKS.items():
        scale = n_workers if clock == "seconds" else 1
        yield clock, regret.at_budgets(rows, facts, [b / scale for b in range(1, longest + 1)], column)


def _members(runs: pd.DataFrame, field: Field) -> np.ndarray:
    """The runs of a field and of its references: ``random x2`` only if random search has the budget for it, and
    ``default`` only if every run of random search tried the default."""
    pairs = pd.MultiIndex.from_frame(runs[["suite", "task", "seed"]]).isin(field.pairs)
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


def _standing(
    field: Field, regrets: pd.DataFrame, longest: float, part: pd.DataFrame, facts: pd.DataFrame, clock: str
) -> Standing | None:
    dense = [float(budget) for budget in regrets.columns if float(budget) <= longest]
    if not dense:
        return None
    names = sorted(part["strategy"].unique())
    index = pd.MultiIndex.from_tuples(
        [(suite, task, name, seed) for name in names for suite, task, seed in field.pairs], names=regret.RUN
    )
    raw = regrets.loc[index, dense]
    before = regret.before_any(part, facts)
    values = regret.filled(raw, before)
    scores, scored = values, ""
    if clock == "trainings" and part["test"].notna().any():
        scores, scored = _with_fresh_seeds(field, values, regret.at_end(part, facts, dense[-1], before))
    worked = raw[raw.index.get_level_values("strategy").isin(field.strategies)].notna().any()
    scale = dense[0]
    curve = [budget for budget in dense if round(budget / scale) in CURVE or budget == dense[-1]]
    shown = [b for b in dense if (round(b / scale) in SHOWN and 1.2 * b < dense[-1]) or b == dense[-1]]
    competitors = scores.drop(index=[*REFERENCES], level="strategy", errors="ignore")
    tables = {budget: regret.by_unit(competitors, budget, field.units) for budget in curve}
    comparisons = {
        budget: compare(tables[budget], field.size) if worked[budget] else nothing(tables[budget], field.size)
        for budget in shown
    }
    reached = pd.DataFrame()
    compared = BASELINE in names and bool(worked.any())
    if compared:
        random = part[part["strategy"] == BASELINE]
        reached = targets.ecdf(values, targets.random_targets(random, facts), field.units)
    board = _board(field, scores, values, tables, shown)
    if compared:
        board = board.join(_speed_ups(values, shown, field.units), on=["budget", "strategy"])
    duels = _duels(scores, comparisons)
    return Standing(board, comparisons, duels, reached, _by_task(scores[dense[-1]]), competitors[shown], scored)


def _with_fresh_seeds(field: Field, values: pd.DataFrame, ends: pd.Series) -> tuple[pd.DataFrame, str]:
    """The regrets, with fresh seeds at the largest budget, and a sentence about how that is scored.

    Fresh seeds are used in suites where all compared runs have them; in others, all are scored by their own trainings.
    """
    last, found, ends = values.columns[-1], values.copy(), ends.reindex(values.index)
    competes = ~values.index.get_level_values("strategy").isin(REFERENCES)
    suites, missing, fresh = values.index.get_level_values("suite"), set[str](), []
    for suite in dict.fromkeys(suite for suite, _ in field.tasks):
        own = suites == suite
        lacking = ends[own & competes & ends.isna().to_numpy()].index.get_level_values("strategy")
        if ends[own].isna().all():  # no test set
            continue
        if len(lacking):
            missing |= set(lacking)
            continue
        found.loc[own, last] = ends[own]
        fresh.append(suite)
    lost = found[last].groupby("strategy").transform(lambda column: column.isna().any())
    found.loc[lost, last] = np.nan  # a reference that is not known everywhere
    notes = []
    if fresh:
        notes.append(f"After {last:g}, scored on the test set: mean over retrainings of the returned config.")
    if missing:
        names = ", ".join(sorted(missing))
        notes.append(f"After {last:g}, scored by the runs' own trainings, since some were not retrained: {names}.")
    return found, " ".join(notes)


def _board(
    field: Field, regrets: pd.DataFrame, along: pd.DataFrame, tables: dict[float, pd.DataFrame], shown: list[float]
) -> pd.DataFrame:
    """``along``: the regrets along the runs, without fresh seeds at the end; used for the area."""
    curve = list(tables)
    wide = pd.DataFrame(regrets[curve].unstack("strategy"))
    columns = {"regret": regret.over_tasks(regrets[curve], field.units).unstack()}
    columns["low_tasks"], columns["high_tasks"] = of_these(wide, field.units)
    board = pd.DataFrame(columns).rename_axis(["budget", "strategy"])
    board = board.join(pd.concat([_of_units(tables[budget], budget) for budget in curve]))
    later = [budget for budget in shown if budget > curve[0]]
    if later:
        areas = {b: regret.area_under_curve(along[[c for c in curve if c <= b]]) for b in later}
        means = pd.DataFrame({"area": regret.over_tasks(pd.DataFrame(areas), field.units).unstack()})
        board = board.join(means.rename_axis(["budget", "strategy"]))
    return board.reset_index()


def _of_units(table: pd.DataFrame, budget: float) -> pd.DataFrame:
    """Intervals of each strategy's regret for tasks like these, and its mean rank with its interval."""
    found = expected(table).drop(columns="mean")
    ranked = expected(regret.ranks(table))
    found["rank"], found["low_rank"], found["high_rank"] = ranked["mean"], ranked["low95"], ranked["high95"]
    found.index = pd.MultiIndex.from_product([[budget], found.index], names=["budget", "strategy"])
    return found


def _speed_ups(regrets: pd.DataFrame, shown: list[float], units: pd.Series) -> pd.DataFrame:
    found = targets.speed_up_intervals(regrets, BASELINE, shown, units).rename(columns=lambda end: f"{end}_speed_up")
    points = {budget: targets.speed_up(regrets, BASELINE, budget, units) for budget in shown}
    return found.assign(speed_up=pd.concat(points, names=["budget", "strategy"]))


def _duels(regrets: pd.DataFrame, comparisons: dict[float, Comparison]) -> pd.DataFrame:
    """If there are too few units: paired intervals of the leader minus every other strategy, by task."""
    rows = []
    for budget, comparison in comparisons.items():
        if comparison.decided or comparison.verdict == NOTHING:
            continue
        leader, *others = comparison.means.index
        for (suite, task), part in regrets[budget].groupby(["suite", "task"]):
            by_strategy = part.droplevel(["suite", "task"]).unstack("strategy")
            for other in others:
                interval = paired_interval(by_strategy[leader], by_strategy[other])
                rows.append((budget, suite, task, leader, other, interval.mean, interval.low, interval.high))
    return pd.DataFrame(rows, columns=["budget", "suite", "task", "a", "b", "difference", "low", "high"])


def _by_task(regrets: pd.Series) -> pd.DataFrame:
    """Mean over seeds with its interval: a row per (suite, task, strategy)."""
    rows = []
    wide = regrets.unstack("strategy")
    for (suite, task), part in wide.groupby(["suite", "task"]):
        low, high = of_these(part)
        found = pd.DataFrame({"suite": suite, "task": task, "regret": part.mean(), "low": low, "high": high})
        rows.append(found.rename_axis("strategy").reset_index())
    return pd.concat(rows, ignore_index=True)


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
            part = part.join(section.reliability.rename(columns={"n_trials": "n_trials_in_all"}), on="strategy")
            parts.append(part if section.generalisation.empty else part.join(section.generalisation, on="strategy"))
    table = pd.concat(parts, ignore_index=True)
    first = ["suite", "split", "field", "n_workers", "clock", "budget", "strategy", "n_tasks", "n_units", "n_seeds"]
    return table[[*first, *(name for name in table.columns if name not in first)]]
