"""Recompute the leaderboard from the rows, and losses from configurations: ``python -m benchmarks.check``.

Regrets, intervals, probabilities and needed budgets are recomputed by ``scoring.recomputed``, which shares no
statistics with the report. Exits with 1 and prints a line per difference.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import numpy as np
import pandas as pd
import typer

from automl.errors import UserError
from benchmarks.command import run_command
from benchmarks.report import committed, known_constants, read_runs
from benchmarks.runner.proof import PURE, sampled, unlike
from benchmarks.runner.results import read_rows
from benchmarks.scoring import recomputed
from benchmarks.suites import load_suite

TOLERANCE = 2e-5  # relative: the tables have six digits
OF_WIDTH = 0.05  # tolerance of a drawn end of an interval and of an expected loss, as a share of the widest interval
OF_CHANCE = 0.03  # tolerance of a probability
PLACE = ["suite", "split", "field", "n_workers"]
COUNTED = REGRETS, ENDS, CHANCES, NEEDS = (
    "regrets", "ends of intervals", "probabilities and losses", "needed budgets",
)  # fmt: skip

Check = tuple[str, str, float, float, float]  # one of COUNTED, name, value, expected value, absolute tolerance


def main(
    runs: Annotated[
        list[Path] | None, typer.Argument(help="Folders with the runs.", show_default="those of the leaderboard")
    ] = None,
    leaderboard: Annotated[Path, typer.Option(help="Table to check; the one of efficiency is beside it.")] = Path(
        "results/leaderboard.csv"
    ),
    suites: Annotated[
        str, typer.Option(help="Suites whose numbers to check, separated by commas.", show_default="all")
    ] = "",
    rows: Annotated[
        int, typer.Option(min=0, help="Rows per file whose loss is recomputed from the configuration.")
    ] = 200,
    every_row: Annotated[bool, typer.Option("--every-row", help="All rows instead of a sample.")] = False,
) -> None:
    """Check what the leaderboard says of every strategy at every budget in trainings, and losses against configs."""
    folders = runs or committed()
    counts, differences = check_tables(folders, leaderboard, set(filter(None, suites.split(","))))
    n_losses, others = check_losses(folders, None if every_row else rows)
    for line in [*differences, *others]:
        print(line)
    print(f"{', '.join(f'{n} {what}' for what, n in counts.items())} checked, {len(differences)} differ")
    print(f"{n_losses} rows checked against their configurations, {len(others)} losses differ")
    if differences or others:
        raise typer.Exit(1)


def check_tables(folders: list[Path], leaderboard: Path, suites: set[str]) -> tuple[dict[str, int], list[str]]:
    """The number of checked values by sort, and a line for each that the rows do not confirm."""
    board = _read(leaderboard, suites)
    board = board[(board["clock"] == "trainings") & ~board["strategy"].isin(["random x2", "default"])]
    if board.empty:
        names = ", ".join(sorted(suites)) or "any suite"
        raise UserError(f"nothing to check: {str(leaderboard)!r} has no rows of {names}")
    beside = _read(leaderboard.with_stem(f"{leaderboard.stem}-efficiency"), suites)
    efficiency = dict(list(beside.groupby(PLACE)))
    rows, _ = read_runs(*folders)
    facts = known_constants(rows).rename(columns={"seconds": "seconds_of_full"}).reset_index()  # rows have seconds too
    rows = rows.merge(facts, on=["suite", "task"])
    counts, differences = dict.fromkeys(COUNTED, 0), list[str]()
    kept: recomputed.Kept = {}
    for place, part in board.groupby(PLACE):
        budgets = sorted(part["budget"].unique())
        own = recomputed.members(rows, place, part["strategy"], budgets[-1])
        checks = [*_of_board(part, recomputed.regrets(own, budgets, kept))]
        if place in efficiency:
            checks += _of_efficiency(efficiency[place], own, budgets[-1], kept)
        for what, name, value, expected, tolerance in checks:
            counts[what] += 1
            if not np.isclose(value, expected, rtol=TOLERANCE, atol=tolerance, equal_nan=True):
                differences.append(f"{', '.join(map(str, place[:3]))}: {name}: {value:.6g}, not {expected:.6g}")
    return counts, differences


def _read(file: Path, suites: set[str]) -> pd.DataFrame:
    try:
        table = pd.read_csv(file)
    except OSError as error:
        raise UserError(f"cannot read {str(file)!r}; write it with python -m benchmarks.report") from error
    return table[table["suite"].isin(suites)] if suites else table


def _of_board(part: pd.DataFrame, found: recomputed.Means) -> Iterator[Check]:
    for budget in sorted(part["budget"].unique()):
        rows = part[part["budget"] == budget]
        table = pd.DataFrame({name: found[name, budget] for name in rows["strategy"]})
        known = table.dropna(axis=1)
        ends = recomputed.intervals(known)
        chances = recomputed.chances(known) if rows["probability"].notna().any() else {}
        near = 1e-6 + OF_WIDTH * np.nan_to_num((rows["high95"] - rows["low95"]).max())
        for row in rows.to_dict("records"):
            name = row["strategy"]
            label = f"{name} after {budget:g}"
            yield REGRETS, label, float(table[name].mean(skipna=False)), row["regret"], 1e-9
            if name not in known:
                continue
            exact = len(known) < recomputed.FEW
            for end, values in ends.items():
                yield ENDS, f"{label}, {end}", values[name], row[end], 1e-9 if exact else near
            if name in chances:
                probability, loss = chances[name]
                yield CHANCES, f"{label}, probability", probability, row["probability"], OF_CHANCE
                yield CHANCES, f"{label}, loss", loss, row["loss"], near


def _of_efficiency(part: pd.DataFrame, rows: pd.DataFrame, most: float, kept: recomputed.Kept) -> Iterator[Check]:
    longest = rows[rows["n_trials"] == rows["most"]]
    limits = {"trainings": most, "seconds": most / part["n_workers"].iloc[0]}
    by_clock = {clock: recomputed.task_runs(longest, most, kept, timed=clock == "seconds") for clock in limits}
    for row in part.to_dict("records"):
        clock, target = row["clock"], (row["reference"], row["after"])
        found = recomputed.needs(by_clock["trainings"], by_clock[clock], row["strategy"], *target, limits[clock])
        for what, value in found.items():
            label = f"{row['strategy']} to {row['reference']} after {row['after']:g}, {clock}, {what}"
            yield NEEDS, label, value, row[what], 1e-9


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


if __name__ == "__main__":
    run_command(main)
