"""The results of one field under one clock: regret by budget, comparisons, duels. Pure functions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from benchmarks.scoring import regret, targets
from benchmarks.scoring.certainty import expected
from benchmarks.scoring.cohorts import REFERENCES, Field
from benchmarks.scoring.comparison import NOTHING, Comparison, compare, nothing
from benchmarks.scoring.exact_budget import PLANNED, UNPLANNED, ExactBudgetRuns
from benchmarks.scoring.statistics import of_each, of_these, paired_interval

CURVE = (1, 2, 3, 5, 7, 10, 14, 20, 30, 50, 70, 100, 140, 200, 300, 500, 700, 1000)  # budgets of the curves
SHOWN = (10, 20, 50, 100, 200, 500, 1000)  # budgets of the verdicts
BASELINE = "random"
NOT_COMPARABLE = (
    "Left out, as single trainings of the search are not comparable with that: results after fewer trainings, area and "
    "speed-up. The curves are of the search's own trainings."
)
OWN_TRAININGS = "Scored by single trainings of the search, not by retrainings."


@dataclass(frozen=True)
class Standing:
    """The results of a field under one clock. Budgets are in full trainings, or in the mean time of one."""

    board: pd.DataFrame  # a row per strategy and budget: regret, its intervals, rank, area, speed_up, exact_budget
    curves: pd.DataFrame  # the same regrets, intervals and ranks, but all along the longest runs
    comparisons: dict[float, Comparison]  # by shown budget
    duels: pd.DataFrame  # the leader against every other strategy on each task, if there are too few for a test
    reached: pd.DataFrame  # ECDF: share of targets, strategy x budgets; empty without random search
    by_task: pd.DataFrame  # a row per task and strategy at the largest budget: regret with its interval over seeds
    scored: str = ""  # what was scored by the test set, and by which runs, in words
    fresh: bool = False  # whether the board is that of retrained configs: it has the largest budget alone

    @property
    def given(self) -> pd.DataFrame:
        """The rows of the board by runs that were given just a budget, where they differ from the curves of the longest
        runs; none for retrained configs, of which there are no curves."""
        along = self.curves[["strategy", "budget", "regret"]]
        both = self.board.merge(along, on=["strategy", "budget"], suffixes=("", "_along"))
        found: pd.DataFrame = both[both["exact_budget"] & (both["regret"] != both["regret_along"]) & (not self.fresh)]
        return found.drop(columns="regret_along")


def standing_of(
    field: Field,
    regrets: pd.DataFrame,
    longest: float,
    part: pd.DataFrame,
    facts: pd.DataFrame,
    clock: str,
    exact: ExactBudgetRuns,
) -> Standing | None:
    """The results at budgets up to ``longest``; None if the first one is larger.

    ``regrets`` and ``part``: of the longest runs. ``exact``: the runs that count instead of these at their own budget.
    """
    dense = [float(budget) for budget in regrets.columns if float(budget) <= longest]
    if not dense:
        return None
    names = sorted(part["strategy"].unique())
    index = pd.MultiIndex.from_tuples(
        [(suite, task, name, seed) for name in names for suite, task, seed in field.pairs], names=regret.RUN
    )
    raw = regrets.loc[index, dense]
    tested = clock == "trainings" and bool(part["test"].notna().any())
    before = regret.before_any(part, facts)
    values = regret.filled(raw, before)
    known, scores, notes, fresh = _scores(field, raw, before, part, facts, exact, tested=tested)
    worked = known[known.index.get_level_values("strategy").isin(field.strategies)].notna().any()
    scale = dense[0]
    curve = [budget for budget in dense if round(budget / scale) in CURVE or budget == dense[-1]]
    shown = [b for b in dense if (round(b / scale) in SHOWN and 1.2 * b < dense[-1] and not fresh) or b == dense[-1]]
    tables = _tables(field, scores, shown if fresh else curve)
    comparisons = {
        budget: compare(tables[budget], field.size) if worked[budget] else nothing(tables[budget], field.size)
        for budget in shown
    }
    reached = pd.DataFrame()
    compared = BASELINE in names and bool(worked.any())
    if compared:
        random = part[part["strategy"] == BASELINE]
        reached = targets.ecdf(values, targets.random_targets(random, facts), field.units)
    curves = board = _board(field, scores, values, tables, shown)
    if exact.rows or fresh:
        curves = _board(field, values, values, _tables(field, values, curve), shown)
    keys = zip(board["budget"], board["strategy"], strict=True)
    board = board.assign(exact_budget=[strategy in exact.given(budget) for budget, strategy in keys])
    if compared and not fresh:
        found = _speed_ups(values, shown, field.units)
        others = [(budget, name) for budget, rows in exact.rows.items() for name in rows["strategy"].unique()]
        board = board.join(found.drop(others, errors="ignore"), on=["budget", "strategy"])  # known of longer runs only
    duels = _duels(scores, comparisons)
    if clock == "trainings":
        notes += [_given(field, exact, shown), _read_off(field, exact, shown)]
    elif part["returned"].notna().any():
        notes = [OWN_TRAININGS]
    scored = " ".join(filter(None, notes))
    return Standing(board, curves, comparisons, duels, reached, _by_task(scores[dense[-1]]), scored, fresh)


def _scores(
    field: Field, raw: pd.DataFrame, before: pd.Series, part: pd.DataFrame, facts: pd.DataFrame,
    exact: ExactBudgetRuns, *, tested: bool,
) -> tuple[pd.DataFrame, pd.DataFrame, list[str], bool]:  # fmt: skip
    """The regrets by which runs are compared, run x budget, of runs given just a budget at it.

    NaN before the first outcome; then the same without NaN and, if ``tested``, with fresh seeds at the largest budget;
    then sentences about these, and whether there are any fresh seeds. ``raw``, ``before`` and ``part``: regrets and
    rows of the longest runs.
    """
    known, values, worst = raw.copy(), regret.filled(raw, before), before
    for budget in sorted({*exact.rows} & {*raw}):
        own = regret.at_budgets(exact.rows[budget], facts, [budget])
        known.loc[own.index, budget] = own[budget]
        worst = regret.before_any(exact.counted(part, budget), facts)
        values[[budget]] = regret.filled(known[[budget]], worst)
    if not tested:
        return known, values, [], False
    last = float(raw.columns[-1])
    ends = regret.at_end(exact.counted(part, last), facts, last, worst if last in exact.rows else before)
    return known, *_with_fresh_seeds(field, values, ends)


def _given(field: Field, exact: ExactBudgetRuns, shown: list[float]) -> str:
    """A sentence on which strategies are scored by runs given just a budget, where they or others have longer ones."""
    parts = []
    for budget in shown:
        names = exact.given(budget)
        if names and (budget in exact.rows or {*field.strategies} - {*names, *UNPLANNED}):
            parts.append(f"after {budget:g}, {', '.join(names)}")
    start = "Scored by runs that were given just that budget, not by the start of longer ones: "
    return f"{start}{'; '.join(parts)}." if parts else ""


def _read_off(field: Field, exact: ExactBudgetRuns, shown: list[float]) -> str:
    """A sentence on the strategies that may plan by their budget but have no runs given just the one they are scored
    at."""
    names = {b: [name for name in field.strategies if name in PLANNED and name not in exact.given(b)] for b in shown}
    parts = [f"after {budget:g}, {', '.join(each)}" for budget, each in names.items() if each]
    start = "Read off runs that were given more trainings, by which these may plan: "
    return f"{start}{'; '.join(parts)}." if parts else ""


def _competitors(scores: pd.DataFrame) -> pd.DataFrame:
    return scores.drop(index=[*REFERENCES], level="strategy", errors="ignore")


def _tables(field: Field, scores: pd.DataFrame, budgets: list[float]) -> dict[float, pd.DataFrame]:
    """By budget, the mean regrets of the compared strategies: units x strategies."""
    competitors = _competitors(scores)
    found = regret.by_unit(competitors[budgets], field.units)
    return {budget: _compared(pd.DataFrame(found[budget])) for budget in budgets}


def _with_fresh_seeds(field: Field, values: pd.DataFrame, ends: pd.Series) -> tuple[pd.DataFrame, list[str], bool]:
    """The regrets, with fresh seeds at the largest budget, sentences on how that is scored, and if by any fresh seeds.

    In suites with fresh seeds, strategies without them are not compared at that budget, unless fewer than two have
    them: then all are scored by their own trainings.
    """
    last, found, ends = values.columns[-1], values.copy(), ends.reindex(values.index)
    strategies, suites = (values.index.get_level_values(level) for level in ("strategy", "suite"))
    competes, missing, without, fresh = ~strategies.isin(REFERENCES), set[str](), set[str](), []
    for suite in dict.fromkeys(suite for suite, _ in field.tasks):
        own = suites == suite
        if ends[own].isna().all():  # no test set
            continue
        lacking = set(strategies[own & competes & ends.isna().to_numpy()])
        if len(set(strategies[own & competes]) - lacking) < 2:
            missing |= lacking
            continue
        without |= lacking
        found.loc[own, last] = ends[own]
        fresh.append(suite)
    lost = found[last].groupby("strategy").transform(lambda column: column.isna().any())
    found.loc[lost, last] = np.nan  # not known everywhere
    notes = []
    if fresh:
        notes.append(f"After {last:g}, scored on the test set: mean over retrainings of the returned config.")
        notes.append(NOT_COMPARABLE)
    if without:
        left = ", ".join(sorted(without))
        notes.append(f"Not compared after {last:g}, as their returned configs were not retrained: {left}.")
    if missing:
        names = ", ".join(sorted(missing))
        notes.append(f"After {last:g}, scored by the runs' own trainings, since some were not retrained: {names}.")
    return found, notes, bool(fresh)


def _compared(table: pd.DataFrame) -> pd.DataFrame:
    """The strategies with a regret; all, if none has one."""
    known = table.dropna(axis=1, how="all")
    return table if known.empty else known


def _board(
    field: Field, regrets: pd.DataFrame, along: pd.DataFrame, tables: dict[float, pd.DataFrame], shown: list[float]
) -> pd.DataFrame:
    """``along``: the regrets along the runs, without fresh seeds at the end; used for the area."""
    curve = list(tables)
    wide = pd.DataFrame(regrets[curve].unstack("strategy"))
    columns = {"regret": regret.over_tasks(regrets[curve], field.units).unstack()}
    low, columns["high_tasks"] = of_these(wide, field.units)
    # The mean of losses such as squared errors cannot be negative, though Student's t does not know.
    columns["low_tasks"] = low if field.normalised or (wide < 0).any(axis=None) else low.clip(lower=0.0)
    board = pd.DataFrame(columns).rename_axis(["budget", "strategy"])
    board = board.join(of_units(tables))
    later = [budget for budget in shown if budget > curve[0]]
    if later:
        areas = {b: regret.area_under_curve(along[[c for c in curve if c <= b]]) for b in later}
        means = pd.DataFrame({"area": regret.over_tasks(pd.DataFrame(areas), field.units).unstack()})
        board = board.join(means.rename_axis(["budget", "strategy"]))
    return board.reset_index()


def of_units(tables: dict[float, pd.DataFrame]) -> pd.DataFrame:
    """Intervals of each strategy's regret for tasks like these, and its mean rank with its interval."""
    found = expected(_side_by_side(tables)).drop(columns="mean")
    ranked = expected(_side_by_side({budget: regret.ranks(table) for budget, table in tables.items()}))
    last = ranked.groupby("budget")["mean"].transform("count")
    return found.assign(
        rank=ranked["mean"], low_rank=ranked["low95"].clip(lower=1.0), high_rank=ranked["high95"].clip(upper=last)
    )


def _side_by_side(tables: dict[float, pd.DataFrame]) -> pd.DataFrame:
    """Columns (budget, strategy)."""
    return pd.concat(tables, axis=1, names=["budget", "strategy"])


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
    found = of_each(pd.DataFrame(regrets.unstack("strategy"))).rename(columns={"mean": "regret"})
    return found.reset_index()[["strategy", "suite", "task", "regret", "low", "high"]]
