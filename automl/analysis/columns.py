"""The importance of the columns of a table or a time series to a model: numbers, words and bars."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, Self, get_args

import numpy as np

from automl.analysis import plot_style
from automl.analysis.formatting import finite, inert, shorten, show
from automl.analysis.plot_style import CHOSEN, FAINT, INK, Figure

KINDS_WITH_COLUMNS = ("table", "series")  # of data
Verdict = Literal["matters", "uncertain", "no visible effect"]
VERDICTS = get_args(Verdict)
NOISE = 3.0  # standard deviations
NEGLIGIBLE = 0.01  # of the largest importance
NAMED = 4  # maximum columns in a sentence
DRAWN = 30  # maximum bars in a figure
FEW_ROWS = 300  # with fewer, what a good model relies on may be uncertain
SHARED = (
    "Columns that carry the same information share their importance or hide each other's: while one is shuffled, the "
    "model reads the other."
)


@dataclass(frozen=True)
class ColumnImportance:
    """Permutation importance: by how much a metric gets worse if a column is shuffled among the rows."""

    name: str
    worse: float  # mean over the repeats, in units of the metric; negative: it gets better
    deviation: float  # standard deviation over the repeats
    matters: bool  # whether ``worse`` is beyond noise and not negligible

    def short(self, length: int = 40) -> str:
        """The name in one line, for a sentence or a tick."""
        printable = "".join(letter if letter.isprintable() else " " for letter in self.name)
        return shorten(" ".join(printable.split()), length)

    @property
    def verdict(self) -> Verdict:
        if self.matters:
            return "matters"
        return "uncertain" if self.deviation < self.worse <= NOISE * self.deviation else "no visible effect"


def ranked(worse: Mapping[str, Sequence[float]]) -> tuple[ColumnImportance, ...]:
    """The importance of each column from one value per repeat, by verdict and size.

    If a column has no effect, the score without shuffling is just another draw from the scores with it. It is NOISE
    standard deviations better than their mean in 0.9% of such cases with 10 repeats, and in 0.3% with 30 (Student's t).
    A certain effect below NEGLIGIBLE does not matter either.
    """
    means = {name: float(np.mean(values)) for name, values in worse.items()}
    least, found = NEGLIGIBLE * max(means.values(), default=0.0), []
    for name, mean in means.items():
        deviation = float(np.std(worse[name], ddof=1))
        matters = mean > NOISE * deviation and mean > least
        found.append(ColumnImportance(name, mean, deviation, matters))
    return tuple(sorted(found, key=lambda column: (VERDICTS.index(column.verdict), -column.worse)))


@dataclass(frozen=True)
class ColumnImportances:
    """The importances of all columns, as ranked; none if ``reason`` is set."""

    metric: str  # by which importance is measured
    each: tuple[ColumnImportance, ...] = ()
    reason: str | None = None
    score: float = math.nan  # without shuffling
    n_rows: int = 0  # test rows used
    n_test: int = 0  # rows in the test set
    n_repeats: int = 0

    def to_json(self) -> dict[str, Any]:
        """As plain types, with None for NaN, which JSON lacks."""
        return {**asdict(self), "score": finite(self.score)}

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Self:
        """The inverse of ``to_json``. Raises TypeError, KeyError or ValueError for other content."""
        each = tuple(
            ColumnImportance(str(one["name"]), float(one["worse"]), float(one["deviation"]), bool(one["matters"]))
            for one in content["each"]
        )
        score = math.nan if content["score"] is None else float(content["score"])
        return cls(**{**content, "each": each, "score": score})

    def shown(self, difference: float) -> str:
        """A formatted difference of the metric; all have the decimal places that give the largest three digits."""
        largest = max((max(abs(column.worse), column.deviation) for column in self.each), default=0.0)
        places = max(0, 2 - math.floor(math.log10(largest))) if largest > 0 else 0
        return f"{round(difference, places) + 0.0:,.{places}f}"  # no -0.0

    @property
    def basis(self) -> str:
        """A description of ``worse`` and ``deviation``."""
        few = f"{self.n_rows:,} of {self.n_test:,} test rows, for speed"
        rows = f"{self.n_test:,} test rows" if self.n_rows == self.n_test else few
        return (
            f"how much {self.metric} ({show(self.score)} on {rows}) gets worse while a column's values are shuffled "
            f"among the rows, mean and standard deviation over {self.n_repeats} repeats"
        )

    @property
    def words(self) -> Iterator[str]:
        """Sentences, the most important first."""
        if self.reason is not None:
            yield f"Which columns matter is not known: {self.reason}."
            return
        those, unsure, without = ([c for c in self.each if c.verdict == verdict] for verdict in VERDICTS)
        if not those and unsure:
            few = f"{self.n_rows:,} test rows are too few to say which columns matter"
            which = few if self.n_rows < FEW_ROWS else "No column matters with certainty"
            yield f"{which}; the largest effects: {_named(unsure)}."
            return
        if not those:
            yield f"No column has a visible effect: {self.metric} stays within noise whichever column is shuffled."
            return
        first, *others = those
        yield f"The model clearly relies on {_named([first])}{f', then on {_named(others)}' if others else ''}."
        if unsure:
            yield f"Uncertain: {_named(unsure)}."
        if without:
            yield f"Without a visible effect: {_named(without)}."
        yield SHARED


def _named(columns: Sequence[ColumnImportance]) -> str:
    few = columns if len(columns) <= NAMED + 1 else columns[:NAMED]
    more = f" and {len(columns) - len(few)} more" if len(few) < len(columns) else ""
    return ", ".join(column.short() for column in few) + more


def in_short(found: ColumnImportances | None, run: Path) -> str:
    """One line at the end of a run: what is known, or how to find out."""
    if found is None:
        return f"run `automl explain {run}` to see which ones the model relies on"
    return next(found.words)


def reads_columns(card: Mapping[str, Any] | None) -> bool:
    """Whether a model reads the columns of a file, according to its card."""
    return card is not None and card.get("kind") in KINDS_WITH_COLUMNS


def column_bars(found: ColumnImportances) -> Figure:
    """A bar for each column, the most important on top, with its standard deviation; grey if it may not matter."""
    each = found.each[:DRAWN][::-1]
    names = [inert(column.short(26)) for column in each]
    bars = {
        "type": "bar",
        "orientation": "h",
        "x": [column.worse for column in each],
        "y": list(range(len(each))),  # two names may be shortened to the same
        "error_x": {"type": "data", "array": [column.deviation for column in each], "color": INK, "thickness": 1.2},
        "marker": {"color": [CHOSEN if column.matters else FAINT for column in each]},
        "hoverinfo": "text",
        "hovertext": [
            f"{inert(column.short(80))}<br>{found.shown(column.worse)} \u00b1 {found.shown(column.deviation)}"
            for column in each
        ],
    }
    layout = plot_style.layout(
        xaxis=plot_style.axis(f"{inert(found.metric)} gets worse by", zeroline=True, zerolinecolor="#9aa5b1"),
        yaxis=plot_style.axis("", tickvals=list(range(len(each))), ticktext=names, showgrid=False),
        height=max(220, 110 + 26 * len(each)),
        margin={"l": 58, "r": 16, "t": 32, "b": 56},
        bargap=0.35,
    )
    return {"data": [bars], "layout": layout}
