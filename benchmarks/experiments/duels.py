"""One strategy against every other, each pair on all its common runs: ``python -m benchmarks.experiments.duels``.

The leaderboard compares strategies on the runs common to all, which are few with slow strategies; here each pair uses
all seeds and tasks that it shares. Regrets are means over seeds, the tasks of a unit, and units; intervals are for
tasks like these. In suites with test sets they are those of the returned configs, retrained with fresh seeds, if both
strategies have these. A strategy with runs given just the budget, on all that a row compares, is scored by these.
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pandas as pd
import typer
from rich.console import Console
from rich.table import Table

from automl.errors import UserError
from automl.study.run_folder import write_atomic
from benchmarks.command import run_command
from benchmarks.pages.markdown import grid, put
from benchmarks.report import known_constants, read_runs
from benchmarks.scoring import regret
from benchmarks.scoring.certainty import expected
from benchmarks.scoring.cohorts import DEVELOPMENT, EVERY_SUITE, PAIR, counted, plain_suite, suite_at
from benchmarks.scoring.exact_budget import UNPLANNED, longest
from benchmarks.scoring.statistics import unit_keys

BUDGETS = (20, 50)  # full trainings
BLOCK = "duels"


def main(
    runs: Annotated[Path, typer.Argument(help="Folder with the runs.")] = Path("results/runs"),
    strategy: Annotated[str, typer.Option(help="The strategy to compare with every other.")] = "bo",
    seeds: Annotated[int, typer.Option(min=2, help="Maximum number of seeds per task.")] = 20,
    split: Annotated[str, typer.Option(help="development or holdout tasks.")] = DEVELOPMENT,
    only: Annotated[str, typer.Option(help="Tasks, separated by commas.", show_default="all")] = "",
    out: Annotated[Path, typer.Option(help="Table to write.")] = Path("results/duels.csv"),
    page: Annotated[Path | None, typer.Option(help="Page that shows the table.")] = None,
) -> None:
    """Write OUT, and print the duels over all suites."""
    found = all_duels(runs, strategy, seeds, split, only.split(",") if only else ())
    write_atomic(out, found.to_csv(index=False, float_format="%.6f"))
    put(page, BLOCK, as_table(found))
    _show(found)
    print(out)


def all_duels(runs: Path, strategy: str, seeds: int, split: str, only: Collection[str] = ()) -> pd.DataFrame:
    """The rows of ``duels`` for each budget, from the runs in a folder. Raises UserError if the strategy has none.

    ``only``: names of tasks; empty: all.
    """
    table = read_runs(runs)
    table = table[(table["n_workers"] == 1) & (table["split"] == split) & (table["seed"] < seeds)]
    if unknown := next((name for name in only if name not in set(table["task"])), None):
        raise UserError(f"no runs on {split} task {unknown!r} in {str(runs)!r}; leave it out of --only")
    if only:
        table = table[table["task"].isin(only)]
    facts = known_constants(table).assign(floor=1.0)
    table = table[pd.MultiIndex.from_frame(table[["suite", "task"]]).isin(facts.index)]
    if strategy not in set(table["strategy"]):
        raise UserError(
            f"no runs of {strategy!r} on {split} tasks in {str(runs)!r}; make them with python -m benchmarks.run"
        )
    return pd.DataFrame(
        [row for budget in BUDGETS for row in duels(_compared_at(table, budget), facts, strategy, budget)]
    )


def _compared_at(table: pd.DataFrame, budget: int) -> pd.DataFrame:
    """The rows of each suite that are compared at a budget."""
    return table[[suite_at(plain_suite(suite), budget) == suite for suite in table["suite"]]]


def duels(table: pd.DataFrame, facts: pd.DataFrame, strategy: str, budget: int) -> list[dict[str, Any]]:
    """A row for all suites and one per suite, for each other strategy with this budget. ``told``: of the two, those
    scored by runs given just this budget."""
    rows = longest(table[table["n_trials"] >= budget])
    exact = table[(table["n_trials"] == budget) & ~table["strategy"].isin(UNPLANNED)]
    before = pd.concat([regret.before_any(own, facts) for own in (rows, exact)], axis=1).max(axis=1)
    along, ends = _scores(rows, facts, budget, before)
    given = _scores(exact, facts, budget, before)
    scored = ends.combine_first(given[1])  # of the longest run if that was scored at the budget
    tested = _tested(rows).append(_tested(exact)).unique()
    units = table.drop_duplicates(["suite", "task"]).set_index(["suite", "task"])["unit"]
    found = []
    for rival in along.columns.drop(strategy, errors="ignore"):
        if strategy not in along:
            break
        fresh, both = scored[[strategy, rival]].dropna(), along[[strategy, rival]].dropna()
        # A crashed run has both values; in a suite without test sets, no other run has one with fresh seeds.
        judged = set(fresh.index[fresh.index.isin(tested)].get_level_values("suite"))
        both = pd.concat([both[~_of(both, judged)], fresh[_of(fresh, judged)]])
        suites = list(both.index.get_level_values("suite").unique())
        groups = {suite: {suite} for suite in suites}
        if len(suites) > 1:
            groups = {EVERY_SUITE: {*suites}} | groups
        for suite, members in groups.items():
            own, names = _with_exact_runs(both[_of(both, members)], *given, judged)
            key = {"strategy": strategy, "rival": rival, "suite": suite, "budget": budget}
            n_fresh = own[_of(own, judged)].groupby(PAIR[:2]).ngroups
            found.append({**key, **_duel(own, units), "fresh_tasks": n_fresh, "told": " ".join(names)})
    return found


def _scores(
    rows: pd.DataFrame, facts: pd.DataFrame, budget: int, before: pd.Series
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Regrets along the runs, and with fresh seeds at the budget: (suite, task, seed) x strategies."""
    along = regret.filled(regret.at_budgets(rows, facts, [budget]), before)[budget].unstack("strategy")
    return along, regret.at_end(rows, facts, budget, before).unstack("strategy")


def _with_exact_runs(
    both: pd.DataFrame, along: pd.DataFrame, ends: pd.DataFrame, judged: set[str]
) -> tuple[pd.DataFrame, list[str]]:
    """The regrets of the two, and the names of those whose runs given just the budget count, as every row has one.

    ``along``, ``ends``: those of runs given just the budget. ``judged``: the suites scored with fresh seeds.
    """
    values = pd.concat([along[~_of(along, judged)], ends[_of(ends, judged)]]).reindex(both.index)
    names = [str(name) for name in both if name in values and values[name].notna().all()]
    return both.assign(**{name: values[name] for name in names}), names


def _tested(rows: pd.DataFrame) -> pd.MultiIndex:
    """The runs with a score from fresh seeds at some budget."""
    return pd.MultiIndex.from_frame(rows.loc[rows["returned"].notna(), PAIR].drop_duplicates())


def _of(regrets: pd.DataFrame, suites: set[str]) -> np.ndarray:
    return np.asarray(regrets.index.get_level_values("suite").isin(suites))


def _duel(both: pd.DataFrame, units: pd.Series) -> dict[str, Any]:
    """Both means and their difference with its 95% interval, NaN for few units; below 0, the first is better."""
    by_task = both.groupby(level=["suite", "task"]).mean()
    by_unit = by_task.groupby(unit_keys(by_task.index, units)).mean()
    ours, theirs = by_unit.mean()
    interval = expected((by_unit.iloc[:, 0] - by_unit.iloc[:, 1]).to_frame("difference")).loc["difference"]
    counts = both.groupby(level=["suite", "task"]).size()
    return {
        "n_tasks": len(by_task),
        "n_units": len(by_unit),
        "min_seeds": int(counts.min()),
        "max_seeds": int(counts.max()),
        "regret": ours,
        "rival_regret": theirs,
        "ratio": ours / theirs if theirs > 0 else float("nan"),
        "difference": ours - theirs,
        "low": interval["low95"],
        "high": interval["high95"],
    }


def as_table(found: pd.DataFrame) -> list[str]:
    """The duels as a Markdown table, with a row for each rival, suite and budget."""
    rows = []
    for row in found.to_dict("records"):
        known = f" ({row['low']:+.3f} to {row['high']:+.3f})" if pd.notna(row["low"]) else ""
        seeds = f"{row['min_seeds']} to {row['max_seeds']}".removesuffix(f" to {row['min_seeds']}")
        rows.append(
            [
                f"`{row['rival']}`",
                f"{row['suite']}, {counted(row['n_tasks'], 'task')}, {seeds} {'seed' if seeds == '1' else 'seeds'}",
                str(row["budget"]),
                f"{row['regret']:.3f}",
                f"{row['rival_regret']:.3f}",
                f"{row['difference']:+.3f}{known}",
            ]
        )
    own = f"`{found['strategy'].iloc[0]}`"
    return grid(["against", "on", "trainings", own, "the other", "difference (95%)"], rows)


def _show(found: pd.DataFrame) -> None:
    console, is_overall = Console(), found["suite"] == EVERY_SUITE
    overall = found[is_overall] if is_overall.any() else found
    for budget, rows in overall.groupby("budget"):
        table = Table(title=f"after {budget}", title_justify="left", box=None, padding=(0, 1))
        for name in ("against", "tasks", "regret", "rival's", "ratio", "difference"):
            table.add_column(name, no_wrap=True, justify="left" if name == "against" else "right")
        for row in rows.to_dict("records"):
            numbers = (f"{row[name]:.3f}" for name in ("regret", "rival_regret", "ratio"))
            known = f" ({row['low']:+.3f}, {row['high']:+.3f})" if pd.notna(row["low"]) else ""
            difference = f"{row['difference']:+.3f}{known}"
            table.add_row(row["rival"], str(row["n_tasks"]), *numbers, difference)
        console.print(table)


if __name__ == "__main__":
    run_command(main)
