"""The report on the user's data, printed before training starts."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from automl.data.ingest.encoder import LabelledRows, n_different
from automl.data.ingest.split import SplitRows
from automl.data.ingest.target import Labelled
from automl.wording import significant

if TYPE_CHECKING:
    from rich.console import Console

REPORT = "report.json"
IMBALANCED = 3.0  # ratio of the largest to the smallest class
LARGE_CLASS = 0.5  # share of the rows from which accuracy says little about the other classes
SHOWN_CLASSES = 8
EXTREME, MAX_EXTREME_SHARE = 100.0, 0.01  # interquartile ranges from the median, and the share of the rows that is few


@dataclass(frozen=True)
class Report:
    """Named facts about the data, and notes for the user."""

    facts: dict[str, str]
    notes: list[str]
    imbalanced: bool


def inspect(kind: str, rows: LabelledRows, labelled: Labelled, parts: SplitRows, n_removed: int) -> Report:
    """Report on labelled rows and their split. ``n_removed``: duplicates removed from training or validation."""
    frame, keys = rows.frame, rows.keys[labelled.rows]
    goal = "translation into" if labelled.sentences else "classification of" if labelled.classes else "regression of"
    facts = {"kind": f"{kind}, {goal} {rows.target!r}"}
    facts["examples" if kind == "series" else "rows"] = f"{len(rows.labels):,}, usable {len(labelled.rows):,}"
    notes = [*rows.notes, *labelled.notes]
    if kind == "table":
        dates = rows.details["dates"]
        named = dict.fromkeys(rows.details["texts"], "texts") | dict.fromkeys(dates, "dates")
        kinds = [named.get(str(name)) or _type(frame[name].dtype.kind) for name in frame]
        words = ("numbers", "categories", "dates", "texts")
        counts = [f"{word} {kinds.count(word)}" for word in words if word in kinds]
        facts["columns"] = f"{frame.shape[1]} used: {', '.join(counts)}"
        share = float(np.mean([column.isna().to_numpy()[labelled.rows].mean() for _, column in frame.items()]))
        facts["missing"] = f"{share:.1%} of the values" if share else "none"
    imbalanced = False
    if labelled.classes:
        counts_of = np.bincount(labelled.y)
        imbalanced = bool(counts_of.max() >= IMBALANCED * counts_of.min())
        facts["classes"] = _classes(labelled, counts_of)
        majority = counts_of.max() / counts_of.sum()
        if imbalanced and majority >= LARGE_CLASS:
            notes.append(
                f"classes are imbalanced: the majority class covers {majority:.1%} of the rows; "
                "--metric balanced_accuracy or auc is more informative than accuracy"
            )
    elif not labelled.sentences:
        y = labelled.y + np.float64(labelled.offset)
        facts[rows.target] = (
            f"{significant(y.min())} to {significant(y.max())}, mean {significant(y.mean())}, "
            f"standard deviation {significant(y.std())}"
        )
        _extremes(y, rows.target, notes)
    duplicates = len(keys) - n_different(keys)
    facts["duplicates"] = f"{duplicates:,}" if duplicates else "none"
    if n_removed:
        were = "row was" if n_removed == 1 else "rows were"
        notes.append(f"{n_removed:,} {were} left out of training or validation: duplicates of a row held out")
    if not labelled.sentences:
        _contradictions(keys, labelled.y, notes)
    train, valid, test = (len(part) for part in parts)
    facts["split"] = f"train {train:,}, validation {valid:,}, test {test:,}; {parts.how}"
    return Report(facts, notes, imbalanced)


def _type(kind: str) -> str:
    return "numbers" if kind in "fiu" else "categories"


def _classes(labelled: Labelled, counts: NDArray[Any]) -> str:
    order = np.argsort(-counts, kind="stable")
    shown = [f"{labelled.classes[i]}: {counts[i]:,}" for i in order[:SHOWN_CLASSES]]
    more = f", and {len(counts) - SHOWN_CLASSES} more" if len(counts) > SHOWN_CLASSES else ""
    return f"{len(counts)}; {', '.join(shown)}{more}"


def _extremes(y: NDArray[Any], target: str, notes: list[str]) -> None:
    """Note a few values of a numeric target that are far from all others."""
    low, median, high = np.percentile(y, (25, 50, 75))
    far = np.abs(y - median) > EXTREME * (high - low)
    if low < high and 0 < far.sum() <= MAX_EXTREME_SHARE * len(y):
        worst = y[np.abs(y - median).argmax()]
        notes.append(
            f"{target!r} has extreme values ({far.sum():,}, up to {significant(worst)}; half of all lie within "
            f"{significant(low)} and {significant(high)}), which decide a squared error; correct or remove wrong ones, "
            "or give --metric mae"
        )


def _contradictions(keys: NDArray[Any], y: NDArray[Any], notes: list[str]) -> None:
    """Note equal examples with different labels."""
    order = np.lexsort((y, keys))
    keys, y = keys[order], y[order]
    differ = (keys[1:] == keys[:-1]) & (y[1:] != y[:-1])
    if differ.any():
        n = int(np.isin(keys, keys[1:][differ]).sum())
        notes.append(f"{n:,} rows are equal to others, some of which have a different label")


def show_report(console: Console, report: Report) -> None:
    """Print a short table and one line per note."""
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    table.add_column(style="dim")
    table.add_column()
    for name, value in report.facts.items():
        table.add_row(Text(name), Text(value))
    console.print(table)
    for note in report.notes:
        console.print(Text(f"note: {note}", style="yellow"), soft_wrap=True)


def write_report(report: Report, data: Path) -> None:
    """Write the report to the folder of the prepared data."""
    (data / REPORT).write_text(json.dumps(asdict(report), indent=2) + "\n", encoding="utf-8")


def read_report(data: Path) -> dict[str, Any] | None:
    """The content of the report in a folder of prepared data; None if there is none."""
    file = data / REPORT
    found: dict[str, Any] | None = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else None
    return found
