"""What the first page of the leaderboard prints, against the rows."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Mapping
from decimal import Decimal
from pathlib import Path

from automl.errors import UserError
from benchmarks.checks import recomputed
from benchmarks.checks.base import OF_CHANCE, OF_WIDTH, PRINTED, Check, Place
from benchmarks.checks.tables import FieldResults
from benchmarks.pages.situations import (
    ADVICE,
    FIRST_COLUMN,
    ON_DEVELOPMENT,
    SITUATIONS,
    WITH_SLOW,
    subset_of,
)
from benchmarks.scoring.cohorts import DEVELOPMENT, SPLITS, suite_at


def answers_on(page: Path) -> list[tuple[Place, float, str]]:
    """What the first table of a page says of a strategy after a budget, each for the place where it was measured."""
    header, *rows = _table(page, FIRST_COLUMN)
    measured = {(row["setting"], row["trainings"]): place for place, row, _ in reversed(advice_on(page))}
    found: list[tuple[Place, float, str]] = []
    for row in rows:
        situation = row[0].split("**")[1]
        for column, cell in zip(header[1:], row[1:], strict=True):
            trainings = column.split()[0]
            for part in cell.split("; ") if (situation, trainings) in measured else []:
                suite, split, field, n_workers = measured[situation, trainings]
                field = subset_of(suite, field) if part.startswith(WITH_SLOW) else field
                found.append(((suite, split, field, n_workers), float(trainings), part))
    return found


def of_answers(parts: list[tuple[float, str]], found: Mapping[float, FieldResults]) -> Iterator[Check]:
    """The probabilities and the differences in regret that the first table prints."""
    first = ""
    for budget, part in parts:
        own, label = found.get(budget), f"the first table, after {budget:g}: {part}"
        named = re.findall(r"([\w+-]+)[`*]*(?:: [a-z ]+\(| has | )([<>]?\d+%)", part)
        first = first if part.startswith(("`", WITH_SLOW)) else named[0][0]
        if not named or own is None or {name for name, _ in named} - {*own.chances}:
            yield PRINTED, label, "", "not in the leaderboard", 0.0
            continue
        for name, printed in named:
            yield PRINTED, label, own.chances[name][0], *_printed(printed, OF_CHANCE)
        for way, printed in re.findall(r"regret (lower|higher) by (\S+)", part):
            difference = float(own.known[first].mean() - own.known[named[0][0]].mean())
            yield PRINTED, label, difference if way == "lower" else -difference, *_printed(printed)


def _table(page: Path, first: str) -> list[list[str]]:
    """The header and the rows of the table that begins with a column."""
    try:
        lines = page.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise UserError(f"cannot read {str(page)!r}; write it with python -m benchmarks.report") from error
    start = next((i for i, line in enumerate(lines) if line.startswith(f"| {first} |")), len(lines))
    table = itertools.takewhile(lambda line: line.startswith("|"), lines[start:])
    header, _, *rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in table] or [[], []]
    return [header, *rows]


def advice_on(page: Path) -> list[tuple[Place, Mapping[str, str], str]]:
    """The rows of the second table of a page, by column: each for the place where it was measured, with its split and,
    if it also has a number from there, for the development tasks."""
    header, *rows = _table(page, ADVICE[0])
    if {*ADVICE} - {*header}:
        raise UserError(f"the second table of {str(page)!r} lacks columns; write it again: python -m benchmarks.report")
    found: list[tuple[Place, Mapping[str, str], str]] = []
    measured = ""
    for cells in rows:
        row = dict(zip(header, cells, strict=True))
        row["measured on"] = measured = measured if row["measured on"] == "as above" else row["measured on"]
        suite, field, n_workers = next(key for key, words in SITUATIONS.items() if words == row["setting"])
        split = next(split for split, words in SPLITS.items() if row["measured on"].startswith(words))
        splits = [split, *([DEVELOPMENT] if row[ON_DEVELOPMENT] else [])]
        suite = suite_at(suite, float(row["trainings"]))
        found += [((suite, each, field, n_workers), row, each) for each in splits]
    return found


def of_advice(rows: list[tuple[Mapping[str, str], str]], found: Mapping[float, FieldResults]) -> Iterator[Check]:
    """What the second table prints of the recommended strategy, with its rounding."""
    for row, split in rows:
        own, name = found.get(float(row["trainings"])), row["recommended in automl"].split("**")[1]
        label = f"the second table, {name} after {row['trainings']}"
        if own is None or name not in own.chances:
            yield PRINTED, label, "", "not in the leaderboard", 0.0
            continue
        here = row["measured on"].startswith(SPLITS[split])
        column = "P(best)" if here else ON_DEVELOPMENT
        printed, *others = re.findall(r"[<>]?\d+%", row[column])
        yield PRINTED, f"{label}, {column}", own.chances[name][0], *_printed(printed, OF_CHANCE)
        for other, value in zip(re.findall("`(.+?)`", row[column]), others, strict=True):
            yield PRINTED, f"{label}, {column}, {other}", own.chances[other][0], *_printed(value, OF_CHANCE)
        if not here:
            continue
        exact = len(own.known) < recomputed.FEW
        near = 0.0 if exact else OF_WIDTH * float(own.ends["high95"][name] - own.ends["low95"][name])
        mean, low, high = re.findall(r"-?[\d.]+(?:e-\d+)?", row["regret (80% interval)"])
        yield PRINTED, f"{label}, regret", float(own.known[name].mean()), *_printed(mean)
        yield PRINTED, f"{label}, low80", own.ends["low80"][name], *_printed(low, near)
        yield PRINTED, f"{label}, high80", own.ends["high80"][name], *_printed(high, near)


def _printed(text: str, near: float = 0.0) -> tuple[float, float]:
    """A printed number and its tolerance: half of its last digit more than ``near``; of ``>99%``, the middle."""
    beyond = {">99%": 0.995, "<1%": 0.005}
    if text in beyond:
        return beyond[text], near + 0.01 * 0.501
    number = Decimal(text.rstrip("%")).scaleb(-2 if text.endswith("%") else 0)
    exponent = number.as_tuple().exponent
    assert isinstance(exponent, int)
    return float(number), near + 10.0**exponent * 0.501
