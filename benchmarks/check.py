"""Recompute the leaderboard from the rows, and losses from configurations: ``python -m benchmarks.check``.

Regrets, intervals, probabilities, verdicts and needed budgets are recomputed by ``scoring.recomputed``, which shares
no statistics with the report. Exits with 1 and prints a line per difference.
"""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pandas as pd
import typer

from automl.errors import UserError
from benchmarks.command import run_command
from benchmarks.pages.situations import SITUATIONS, SPLITS
from benchmarks.report import committed, known_constants, read_runs
from benchmarks.runner.proof import PURE, sampled, unlike
from benchmarks.runner.results import read_rows
from benchmarks.scoring import recomputed
from benchmarks.scoring.cohorts import DEVELOPMENT, EVERY_SUITE
from benchmarks.scoring.verdicts import WITH_CURVES
from benchmarks.suites import load_suite

TOLERANCE = 2e-5  # relative: the tables have six digits
OF_WIDTH = 0.05  # tolerance of a drawn end of an interval and of an expected loss, as a share of the widest interval
OF_CHANCE = 0.03  # tolerance of a probability
PLACE = ["suite", "split", "field", "n_workers"]
COUNTED = REGRETS, ENDS, CHANCES, PAIRS, NEEDS, RECORDS, PRINTED = (
    "regrets", "ends of intervals", "probabilities and losses", "facts of verdicts", "needed budgets",
    "numbers behind automl select", "numbers of the first table",
)  # fmt: skip
LEADERBOARD, STANDING = Path("results/leaderboard.csv"), Path("automl/tuning/standing.json")

Value = float | str
Check = tuple[str, str, Value, Value, float]  # one of COUNTED, name, value, expected value, absolute tolerance
Place = tuple[Any, ...]  # the values of PLACE


@dataclass(frozen=True)
class Found:
    """What the rows say of a field at a budget: regrets of units x strategies; of the strategies without NaN, the ends
    of their intervals, draws of their distances from the lowest mean and, by name, P(best) and expected loss."""

    table: pd.DataFrame
    ends: Mapping[str, pd.Series]
    above: pd.DataFrame
    chances: Mapping[str, tuple[float, float]]

    @cached_property
    def known(self) -> pd.DataFrame:
        """The regrets of the strategies without NaN."""
        return self.table.dropna(axis=1)


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
    advice, records = _advice(leaderboard.with_suffix(".md")), [] if standing is None else _records(standing)
    own_folders = [each for folder in folders for each in (folder, *folder.glob("*/")) if each.name in suites]
    rows, _ = read_runs(*(folders if EVERY_SUITE in suites else own_folders or folders))
    facts = known_constants(rows).rename(columns={"seconds": "seconds_of_full"}).reset_index()  # rows have seconds too
    rows = rows.merge(facts, on=["suite", "task"])
    counts, differences = dict.fromkeys(COUNTED, 0), list[str]()
    kept: recomputed.Kept = {}
    for place, part in board.groupby(PLACE):
        budgets = sorted(part["budget"].unique())
        own = recomputed.members(rows, place, part["strategy"], budgets[-1])
        found = dict(_found(part, recomputed.regrets(own, budgets, kept)))
        checks = [*_of_board(part, found), *_of_pairs(part, tests.get(place, part.head(0)), found)]
        if place in efficiency:
            checks += _of_efficiency(efficiency[place], own, budgets[-1], kept)
        checks += _of_records([record for where, record in records if where == place], found)
        checks += _of_advice([(row, split) for where, row, split in advice if where == place], found)
        for what, name, value, expected, tolerance in checks:
            counts[what] += 1
            if not _same(value, expected, tolerance):
                differences.append(f"{', '.join(map(str, place[:3]))}: {name}: {_text(value)}, not {_text(expected)}")
    return counts, differences


def _same(value: Value, expected: Value, tolerance: float) -> bool:
    if isinstance(value, str) or isinstance(expected, str):
        return value == expected
    return bool(np.isclose(value, expected, rtol=TOLERANCE, atol=tolerance, equal_nan=True))


def _text(value: Value) -> str:
    return value if isinstance(value, str) else f"{value:.6g}"


def _read(file: Path, suites: set[str]) -> pd.DataFrame:
    try:
        table = pd.read_csv(file)
    except OSError as error:
        raise UserError(f"cannot read {str(file)!r}; write it with python -m benchmarks.report") from error
    return table[table["suite"].isin(suites)] if suites else table


def _advice(page: Path) -> list[tuple[Place, Mapping[str, str], str]]:
    """The rows of the first table of a page, by column: each for the place where it was measured, with its split and,
    if it also has a number from there, for the development tasks."""
    try:
        lines = page.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise UserError(f"cannot read {str(page)!r}; write it with python -m benchmarks.report") from error
    start = next((i for i, line in enumerate(lines) if line.startswith("| setting |")), len(lines))
    table = itertools.takewhile(lambda line: line.startswith("|"), lines[start:])
    header, _, *rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in table] or [[], []]
    found: list[tuple[Place, Mapping[str, str], str]] = []
    for cells in rows:
        row = dict(zip(header, cells, strict=True))
        suite, field, n_workers = next(key for key, words in SITUATIONS.items() if words == row["setting"])
        split = next(split for split, words in SPLITS.items() if row["measured on"].startswith(words))
        splits = [split, *([DEVELOPMENT] if row["P(best) on development tasks"] else [])]
        found += [((suite, each, field, n_workers), row, each) for each in splits]
    return found


def _records(standing: Path) -> list[tuple[Place, Mapping[str, Any]]]:
    """The records of the data behind automl select, each with its place."""
    try:
        records = json.loads(standing.read_text(encoding="utf-8"))["records"]
    except OSError as error:
        raise UserError(f"cannot read {str(standing)!r}; write it with python -m benchmarks.report") from error
    suites = {kind: suite for suite, kind in WITH_CURVES.items()}
    return [
        ((suites.get(each["kind"], EVERY_SUITE), each["split"], each["field"], each["n_workers"]), each)
        for each in records
    ]


def _found(part: pd.DataFrame, means: recomputed.Means) -> Iterator[tuple[float, Found]]:
    """By budget. Without probabilities in the table there are none here."""
    for budget in sorted(part["budget"].unique()):
        rows = part[part["budget"] == budget]
        table = pd.DataFrame({name: means[name, budget] for name in rows["strategy"]})
        known = table.dropna(axis=1)
        above = recomputed.distances(known) if rows["probability"].notna().any() else pd.DataFrame()
        yield budget, Found(table, recomputed.intervals(known), above, recomputed.chances(above))


def _of_board(part: pd.DataFrame, found: Mapping[float, Found]) -> Iterator[Check]:
    for budget, own in found.items():
        rows = part[part["budget"] == budget]
        near = _near(rows)
        for row in rows.to_dict("records"):
            name = row["strategy"]
            label = f"{name} after {budget:g}"
            yield REGRETS, label, float(own.table[name].mean(skipna=False)), row["regret"], 1e-9
            if name not in own.known:
                continue
            exact = len(own.known) < recomputed.FEW
            for end, values in own.ends.items():
                yield ENDS, f"{label}, {end}", values[name], row[end], 1e-9 if exact else near
            if name in own.chances:
                probability, loss = own.chances[name]
                yield CHANCES, f"{label}, probability", probability, row["probability"], OF_CHANCE
                yield CHANCES, f"{label}, loss", loss, row["loss"], near


def _near(rows: pd.DataFrame) -> float:
    """The tolerance of drawn numbers at a budget."""
    return 1e-6 + OF_WIDTH * float(np.nan_to_num((rows["high95"] - rows["low95"]).max()))


def _of_pairs(part: pd.DataFrame, tests: pd.DataFrame, found: Mapping[float, Found]) -> Iterator[Check]:
    """The probabilities of each pair by the rows; the words and the verdict by the numbers in the tables."""
    for budget, own in found.items():
        pairs = tests[(tests["budget"] == budget) & tests["a"].isin(own.above.columns)]
        if own.above.empty:
            continue
        label = f"after {budget:g}"
        means = own.known.mean()
        rivals = means.index.drop(pairs["a"].head(1))
        yield PAIRS, f"strategies {label}", " ".join(sorted(rivals)), " ".join(sorted(pairs["b"])), 0.0
        for row in pairs.to_dict("records"):
            a, b = row["a"], row["b"]
            pair = f"{b} against {a} {label}"
            if b not in means:
                continue
            yield PAIRS, f"{pair}, difference", means[a] - means[b], row["difference"], 1e-9
            for name, value in recomputed.signed_ranks(own.known[a].to_numpy(), own.known[b].to_numpy()).items():
                yield PAIRS, f"{pair}, {name}", value, row[name], OF_CHANCE
            yield PAIRS, f"{pair}, word", recomputed.word(row["worse"], row["equal"]), row["word"], 0.0
        for row in pairs.head(1).to_dict("records"):
            yield PAIRS, f"lowest mean {label}", means.min(), means[row["a"]], 1e-9
            words = dict(zip(pairs["b"], pairs["word"], strict=True))
            rows = part[part["budget"] == budget]
            likely = dict(zip(rows["strategy"], rows["probability"], strict=True))
            verdict, leaders = recomputed.verdict(words, likely, row["a"], row["probability"])
            yield PAIRS, f"verdict {label}", verdict, row["verdict"], 0.0
            yield PAIRS, f"leaders {label}", " ".join(leaders), row["leaders"], 0.0
            chance = float((own.above[leaders].min(axis=1) <= recomputed.MARGIN).mean())
            yield PAIRS, f"probability {label}", chance, row["probability"], OF_CHANCE


def _of_records(records: list[Mapping[str, Any]], found: Mapping[float, Found]) -> Iterator[Check]:
    for record in records:
        label = f"automl select after {record['budget']}"
        own = found.get(record["budget"])
        if own is None:
            yield RECORDS, label, "not in the leaderboard", "", 0.0
            continue
        means = own.known.mean()
        yield RECORDS, f"{label}, strategies", " ".join(sorted(means.index)), " ".join(sorted(record["regrets"])), 0.0
        width = float((own.ends["high95"] - own.ends["low95"]).max())
        for name in means.index.intersection([*record["regrets"]]):
            chance, loss = own.chances[name]
            yield RECORDS, f"{label}, regret of {name}", means[name], record["regrets"][name], 1e-9
            yield RECORDS, f"{label}, chance of {name}", chance, record["chances"][name], OF_CHANCE
            yield RECORDS, f"{label}, loss of {name}", loss, record["losses"][name], 1e-6 + OF_WIDTH * width


def _of_advice(rows: list[tuple[Mapping[str, str], str]], found: Mapping[float, Found]) -> Iterator[Check]:
    """What the first table prints of the recommended strategy and of random search, with its rounding."""
    for row, split in rows:
        own, name = found.get(float(row["trainings"])), row["recommended"].split(" or ")[0].strip("*")
        label = f"the first table, {name} after {row['trainings']}"
        if own is None or name not in own.chances:
            yield PRINTED, label, "not in the leaderboard", "", 0.0
            continue
        here = row["measured on"].startswith(SPLITS[split])
        column = "P(best)" if here else "P(best) on development tasks"
        yield PRINTED, f"{label}, {column}", own.chances[name][0], *_printed(row[column], OF_CHANCE)
        if not here:
            continue
        exact = len(own.known) < recomputed.FEW
        near = 0.0 if exact else OF_WIDTH * float(own.ends["high95"][name] - own.ends["low95"][name])
        mean, low, high = re.findall(r"-?[\d.]+(?:e-\d+)?", row["regret (80% interval)"])
        yield PRINTED, f"{label}, regret", float(own.known[name].mean()), *_printed(mean)
        yield PRINTED, f"{label}, low80", own.ends["low80"][name], *_printed(low, near)
        yield PRINTED, f"{label}, high80", own.ends["high80"][name], *_printed(high, near)
        random = row["regret of random search"]
        if random:
            yield PRINTED, f"{label}, random", float(own.known["random"].mean()), *_printed(random)


def _printed(text: str, near: float = 0.0) -> tuple[float, float]:
    """A printed number and its tolerance: half of its last digit more than ``near``; of ``over 0.99``, the middle."""
    beyond = {"over 0.99": "0.995", "below 0.01": "0.005"}
    number = Decimal(beyond.get(text, text))
    exponent = number.as_tuple().exponent
    assert isinstance(exponent, int)
    return float(number), near + (0.01 if text in beyond else 10.0**exponent) * 0.501


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
