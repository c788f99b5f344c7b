"""Recompute the leaderboard from the rows, and losses from configurations: ``python -m benchmarks.check``.

Regrets, intervals, probabilities, verdicts and needed budgets are recomputed by ``checks.recomputed``, which shares
no statistics with the report. Exits with 1 and prints a line per difference.
"""

from __future__ import annotations

import gc
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import pandas as pd
import typer
from rich.console import Console
from rich.progress import track

from automl.errors import UserError
from benchmarks.checks import recomputed
from benchmarks.checks.base import COUNTED, Place, is_same, text_of
from benchmarks.checks.first_page import advice_on, answers_on, of_advice, of_answers
from benchmarks.checks.losses import PURE, sampled, unlike
from benchmarks.checks.tables import found_in, of_board, of_efficiency, of_pairs, of_records
from benchmarks.command import run_command
from benchmarks.report import committed, known_constants, read_runs
from benchmarks.runner.results import read_rows
from benchmarks.scoring.cohorts import EVERY_SUITE, suite_at
from benchmarks.scoring.verdicts import WITH_CURVES
from benchmarks.suites import load_suite

PLACE = ["suite", "split", "field", "n_workers"]
LEADERBOARD, STANDING = Path("results/leaderboard.csv"), Path("automl/tuning/standing.json")


def main(
    runs: Annotated[
        list[Path] | None, typer.Argument(help="Folders with the runs.", show_default="those of the leaderboard")
    ] = None,
    leaderboard: Annotated[
        Path, typer.Option(help="Table to check; those of tests and efficiency, and the first page, are beside it.")
    ] = LEADERBOARD,
    standing: Annotated[
        Path | None,
        typer.Option(help="Data behind automl select, to check too.", show_default="of the default leaderboard"),
    ] = None,
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
    standing = STANDING if standing is None and leaderboard == LEADERBOARD else standing
    counts, differences = check_tables(folders, leaderboard, set(filter(None, suites.split(","))), standing)
    n_losses, others = check_losses(folders, None if every_row else rows)
    for line in [*differences, *others]:
        print(line)
    print(f"{', '.join(f'{n} {what}' for what, n in counts.items())} checked, {len(differences)} differ")
    print(f"{n_losses} rows checked against their configurations, {len(others)} losses differ")
    if differences or others:
        raise typer.Exit(1)


def check_tables(
    folders: list[Path], leaderboard: Path, suites: set[str], standing: Path | None = None
) -> tuple[dict[str, int], list[str]]:
    """The number of checked values by sort, and a line for each that the rows do not confirm."""
    board = _read(leaderboard, suites)
    board = board[(board["clock"] == "trainings") & ~board["strategy"].isin(["random x2", "default"])]
    if board.empty:
        names = ", ".join(sorted(suites)) or "any suite"
        raise UserError(f"nothing to check: {str(leaderboard)!r} has no rows of {names}")
    needs, pairs = (
        _read(leaderboard.with_stem(f"{leaderboard.stem}-{name}"), suites) for name in ("efficiency", "tests")
    )
    pairs = pairs[pairs["clock"] == "trainings"]
    efficiency, tests = (dict(list(table.groupby(PLACE))) for table in (needs, pairs))
    first_page = leaderboard.with_suffix(".md")
    advice, answers, records = advice_on(first_page), answers_on(first_page), _records(standing) if standing else []
    own_folders = [each for folder in folders for each in (folder, *folder.glob("*/")) if each.name in suites]
    rows = read_runs(*(folders if EVERY_SUITE in suites else own_folders or folders))
    facts = known_constants(rows).rename(columns={"seconds": "seconds_of_full"}).reset_index()  # rows have seconds too
    rows = rows.merge(facts, on=["suite", "task"])
    if rows.empty:
        raise UserError("nothing to check: no task of these runs has constants")
    runs = recomputed.runs_of(rows)
    counts, differences = dict.fromkeys(COUNTED, 0), list[str]()
    for place, part in track(list(board.groupby(PLACE)), "fields", console=Console(stderr=True)):
        budgets = sorted(part["budget"].unique())
        own = recomputed.members(runs, place, part["strategy"], budgets[-1])
        found = dict(found_in(part, recomputed.regrets(own, budgets)))
        checks = [*of_board(part, found), *of_pairs(part, tests.get(place, part.head(0)), found)]
        if place in efficiency:
            checks += of_efficiency(efficiency[place], own, budgets[-1])
        checks += of_records([record for where, record in records if where == place], found)
        checks += of_answers([(budget, text) for where, budget, text in answers if where == place], found)
        checks += of_advice([(row, split) for where, row, split in advice if where == place], found)
        for what, name, by_rows, printed, tolerance in checks:
            counts[what] += 1
            if not is_same(by_rows, printed, tolerance):
                where = ", ".join(map(str, place[:3]))
                actual = f", by the rows {text_of(by_rows)}" if by_rows != "" else ""
                differences.append(f"{where}: {name}: {text_of(printed)}{actual}")
    return counts, differences


def _read(file: Path, suites: set[str]) -> pd.DataFrame:
    try:
        table = pd.read_csv(file)
    except OSError as error:
        raise UserError(f"cannot read {str(file)!r}; write it with python -m benchmarks.report") from error
    return table[table["suite"].isin(suites)] if suites else table


def _records(standing: Path) -> list[tuple[Place, Mapping[str, Any]]]:
    """The records of the data behind automl select, each with its place."""
    try:
        records = json.loads(standing.read_text(encoding="utf-8"))["records"]
    except OSError as error:
        raise UserError(f"cannot read {str(standing)!r}; write it with python -m benchmarks.report") from error
    suites = {kind: suite for suite, kind in WITH_CURVES.items()}
    names = [suite_at(suites.get(each["kind"], EVERY_SUITE), each["budget"]) for each in records]
    return [
        ((suite, each["split"], each["field"], each["n_workers"]), each)
        for suite, each in zip(names, records, strict=True)
    ]


def check_losses(folders: list[Path], n_rows: int | None) -> tuple[int, list[str]]:
    """The number of rows checked, at most ``n_rows`` of each file, and a line for each difference.

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
    gc.disable()  # it would go through millions of tuples again and again
    run_command(main)
