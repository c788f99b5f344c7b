"""Recompute the leaderboard's regrets from the rows, and losses from configurations: ``python -m benchmarks.check``.

An independent recomputation: of the report's code, it only shares the reading of files and the constants, not the
incumbents, means or fields. Exits with 1 and prints a line per difference.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pandas as pd
import typer

from automl.errors import UserError
from benchmarks.command import run_command
from benchmarks.report import committed, known_constants, read_runs
from benchmarks.runner.proof import PURE, sampled, unlike
from benchmarks.runner.results import read_rows
from benchmarks.scoring.cohorts import EVERY_SUITE, KINDS
from benchmarks.suites import load_suite

TOLERANCE = 2e-5  # relative: the table has six digits
RUN = ["suite", "task", "seed"]
PLANLESS = "random"  # never scored by runs of its own for a budget


def main(
    runs: Annotated[
        list[Path] | None, typer.Argument(help="Folders with the runs.", show_default="those of the leaderboard")
    ] = None,
    leaderboard: Annotated[Path, typer.Option(help="Table to check.")] = Path("results/leaderboard.csv"),
    suites: Annotated[
        str, typer.Option(help="Suites whose regrets to check, separated by commas.", show_default="all")
    ] = "",
    rows: Annotated[
        int, typer.Option(min=0, help="Rows per file whose loss is recomputed from the configuration.")
    ] = 200,
    every_row: Annotated[bool, typer.Option("--every-row", help="All rows instead of a sample.")] = False,
) -> None:
    """Check the mean regret of every strategy at every budget in trainings, and losses against configurations."""
    folders = runs or committed()
    n_regrets, differences = check_regrets(folders, leaderboard, set(filter(None, suites.split(","))))
    n_losses, others = check_losses(folders, None if every_row else rows)
    for line in [*differences, *others]:
        print(line)
    print(f"{n_regrets} regrets checked, {len(differences)} differ")
    print(f"{n_losses} rows checked against their configurations, {len(others)} losses differ")
    if differences or others:
        raise typer.Exit(1)


def check_regrets(folders: list[Path], leaderboard: Path, suites: set[str]) -> tuple[int, list[str]]:
    """The number of mean regrets in the table, and a line for each that the rows do not confirm."""
    table, (rows, _) = pd.read_csv(leaderboard), read_runs(*folders)
    table = table[(table["clock"] == "trainings") & ~table["strategy"].isin(["random x2", "default"])]
    if suites:
        table = table[table["suite"].isin(suites)]
    if table.empty:
        names = ", ".join(sorted(suites)) or "any suite"
        raise UserError(f"nothing to check: {str(leaderboard)!r} has no rows of {names}")
    rows = rows.merge(known_constants(rows).reset_index(), on=["suite", "task"])
    differences = []
    for (suite, split, name, n_workers), part in table.groupby(["suite", "split", "field", "n_workers"]):
        own = rows[(rows["split"] == split) & (rows["n_workers"] == n_workers)]
        if suite != EVERY_SUITE:
            own = own[own["suite"] == suite]
        else:
            own = own[own["kind"] == next(kind for kind in KINDS if str(name).startswith(kind))]
        own = own[own["strategy"].isin(part["strategy"])]
        own = own.assign(most=own.groupby([*RUN, "strategy"])["n_trials"].transform("max"))
        own = own[own["most"] >= part["budget"].max()]
        shared = own.drop_duplicates([*RUN, "strategy"]).groupby(RUN).size()
        shared = shared[shared == part["strategy"].nunique()]
        own = own.merge(shared.index.to_frame(index=False), on=RUN)
        found = with_given(own, sorted(part["budget"].unique()), len(shared))
        for strategy, budget, expected in zip(part["strategy"], part["budget"], part["regret"], strict=True):
            value = found[strategy, budget]
            if not np.isclose(value, expected, rtol=TOLERANCE, atol=1e-9, equal_nan=True):
                differences.append(
                    f"{suite}, {split}, {name}: {strategy} after {budget:g}: {value:.6g}, not {expected:.6g}"
                )
    return len(table), differences


def check_losses(folders: list[Path], n_rows: int | None) -> tuple[int, list[str]]:
    """The number of rows checked, at most ``n_rows`` of each file, and a line for each difference; see ``proof``.

    A suite whose data are not on this machine is left out.
    """
    n_checked, differences = 0, []
    for suite in PURE:
        files = [file for folder in folders for file in sorted(folder.glob(f"{suite}/*.parquet"))]
        parts = [sampled(read_rows(file), n_rows) for file in files]
        rows = pd.concat(parts) if parts else pd.DataFrame()
        if rows.empty:
            continue
        try:
            tasks = {task.name: task for task in load_suite(suite)}
        except UserError as error:
            print(f"losses of {suite} not checked: {error}")
            continue
        n_checked += len(rows)
        differences += unlike(rows, tasks)
    return n_checked, differences


def with_given(rows: pd.DataFrame, budgets: list[float], n_pairs: int) -> dict[tuple[str, float], float]:
    """Mean regret by strategy and budget: of the longest runs, ``most`` trainings, or at a budget of those given just
    that, for a strategy with one for each of the ``n_pairs`` tasks and seeds."""
    longest = rows[rows["n_trials"] == rows["most"]]
    found = regrets(longest, budgets, budgets[-1])
    for budget in budgets:
        given = rows[(rows["n_trials"] == budget) & (rows["strategy"] != PLANLESS)]
        counts = given.drop_duplicates([*RUN, "strategy"])["strategy"].value_counts()
        given = given[given["strategy"].isin(counts.index[counts == n_pairs])]
        if (given["most"] > budget).any():
            others = longest[~longest["strategy"].isin(given["strategy"].unique())]
            found |= regrets(pd.concat([others, given]), [budget], budgets[-1])
    return found


def regrets(rows: pd.DataFrame, budgets: list[float], last: float) -> dict[tuple[str, float], float]:
    """Mean regret by strategy and budget: over seeds, then the tasks of a unit, then units.

    ``last``: the budget that is scored with fresh seeds.
    """
    worths: list[tuple[Any, ...]] = []
    for (suite, task), of_task in rows.groupby(["suite", "task"]):
        best, reference = of_task[["best", "reference"]].iloc[0]
        unit = of_task["unit"].iloc[0]
        curves = {key: incumbents(run) for key, run in of_task.groupby(["strategy", "seed"])}
        known = [worth for curve in curves.values() for _, worth in curve]
        default = of_task.loc[of_task["is_default"] & ~of_task["failed"], "worth"].max()
        worst = np.nanmax([reference, default, *known])  # before any outcome
        ends = {key: _end(run, last) for key, run in of_task.groupby(["strategy", "seed"])}
        retrained = {strategy for strategy, _ in ends} - {key[0] for key, end in ends.items() if end is None}
        fresh = len(retrained) > 1
        for (strategy, seed), curve in curves.items():
            for budget in budgets:
                worth = worst
                for spent, value in curve:
                    if spent <= budget * (1 + 1e-9):
                        worth = value
                end = ends[strategy, seed]
                if budget == last and fresh:
                    worth = np.nan if strategy not in retrained or end is None else end if np.isfinite(end) else worst
                worths.append((strategy, suite, unit, task, budget, (worth - best) / (reference - best)))
    table = pd.DataFrame(worths, columns=["strategy", "suite", "unit", "task", "budget", "regret"])
    means = table.groupby(["strategy", "budget", "suite", "unit", "task"])["regret"].mean()
    means = means.groupby(["strategy", "budget", "suite", "unit"]).mean().groupby(["strategy", "budget"]).mean()
    unknown = set(table.loc[table["regret"].isna(), ["strategy", "budget"]].itertuples(index=False, name=None))
    rows_of_means = means.reset_index().itertuples(index=False, name=None)
    return {
        (str(strategy), float(budget)): np.nan if (strategy, budget) in unknown else float(value)
        for strategy, budget, value in rows_of_means
    }


def incumbents(run: pd.DataFrame) -> list[tuple[float, float]]:
    """(trainings spent, worth of the incumbent) after each outcome of a run that changed it."""
    by_config: dict[float, dict[float, list[float]]] = {}
    found, best = [], (0.0, 0, np.inf)
    worth = np.nan
    for row in run.sort_values("at_epochs", kind="stable").to_dict("records"):
        if row["failed"] or np.isnan(row["loss"]):
            continue
        config = row["trial"] if np.isnan(row["repeats"]) else row["repeats"]
        losses = by_config.setdefault(config, {}).setdefault(row["epochs"], [])
        losses.append(row["loss"])
        mine = (-row["epochs"], -len(losses), float(np.mean(losses)))
        if np.isnan(worth) or mine < best:
            best, worth = mine, row["worth"]
        found.append((row["at_epochs"] / row["max_epochs"], worth))
    return found


def _end(run: pd.DataFrame, budget: float) -> float | None:
    """The worth of the returned config with fresh seeds, for a run that ends at this budget; None if unknown."""
    ended = run[run["at_epochs"] >= budget * run["max_epochs"] * (1 - 1e-9)]
    values = ended["returned"].dropna()
    return float(values.iloc[0]) if len(values) else None


if __name__ == "__main__":
    run_command(main)
