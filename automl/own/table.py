"""Tables: which columns a model may read, and what is odd about the others."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from automl.data.inputs import Array, Columns, Inputs
from automl.errors import UserError
from automl.own import rows
from automl.own.columns import TableEncoder, as_dates, date_format, other_reading
from automl.own.labels import LEAST_OF_A_CLASS, target_kind
from automl.own.reading import column_names, plain_text, read_table
from automl.own.records import Schema
from automl.own.request import Request, column, spelled_target
from automl.own.sources import SIGNS, open_source

if TYPE_CHECKING:
    import pandas as pd

MOSTLY_MISSING = 0.5
NUMBERED = 0.9  # of the rows, at least, have a number of their own where a column numbers them; copies have the same
LABELS_OF_ROWS = re.compile(r"Unnamed: 0|__index_level_\d+__")  # as pandas calls them
STRAIGHT = 0.9999  # correlation from which on a column is the target in other units
LEAST_TO_TELL, MOST_TO_TELL = 20, 20_000  # rows; of fewer, a column separates the classes by chance
WORDS_OF_TEXT = 4  # on average, in a column of sentences


class Encoder(rows.Encoder):
    """See TableEncoder, which does the work."""

    kind = "table"
    views: ClassVar = dict.fromkeys(("gradient_boosting", "random_forest", "mlp", "linear"), "columns")

    def __init__(self, table: TableEncoder) -> None:
        self.table = table

    @classmethod
    def fit(cls, frame: pd.DataFrame, details: Mapping[str, Any]) -> Self:
        return cls(TableEncoder.fit(frame, details["dates"], details["decimals"]))

    def encode(self, frame: pd.DataFrame) -> dict[str, Array]:
        return {"columns": self.table.encode(frame)}

    def inputs(self, view: str, x: Array) -> Inputs:
        return Columns.of(x, self.table.cardinalities)

    def to_json(self) -> dict[str, Any]:
        return self.table.to_json()

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Self:
        return cls(TableEncoder.from_json(content))

    def as_frame(self, examples: Any) -> pd.DataFrame:
        import pandas as pd

        if isinstance(examples, str | Path):
            return read_table(Path(examples), numeric=self.table.numeric, decimals=self.table.decimals).frame
        if not isinstance(examples, pd.DataFrame):
            raise UserError(f"give a file or a DataFrame with the columns of training, got {type(examples).__name__}")
        return examples

    def frames(self, path: Path, strange: Counter[str]) -> Iterator[pd.DataFrame]:
        source, numeric = open_source(path, self.table.decimals), self.table.numeric
        numbers = [name for name, is_number in numeric.items() if is_number]
        for chunk in source.chunks(written=numeric.keys() - set(numbers), numbers=numbers):
            strange.update(self.table.unknown(chunk))
            yield chunk
        strange.update(source.strange)

    @property
    def names(self) -> tuple[str, ...]:
        columns = self.table.columns
        return tuple(name for c in columns for name in ([f"{c.name} ({part})" for part in c.parts] or [c.name]))

    def labelled(self, request: Request) -> rows.Rows:
        rows_of = labelled_rows(request, self.table)
        read = [column.name for column in self.table.columns if column.name in rows_of.frame]
        return replace(rows_of, keys=rows.hashes(rows_of.frame[read]))

    def from_records(self, records: Sequence[Any]) -> pd.DataFrame:
        return self.table.from_records(records)

    def record_schema(self) -> Schema:
        return self.table.record_schema()


def read(request: Request) -> rows.Rows:
    """The rows of a table with a target column."""
    rows_of = labelled_rows(request)
    frame, notes = rows_of.frame, rows_of.notes
    dates = _dates(frame)
    useless = _useless(frame, rows_of.labels, rows_of.target, dates)
    for name, why in useless.items():
        del frame[name]
        dates.pop(name, None)
        notes.append(f"column {name!r} is left out: {why}")
    if frame.shape[1] == 0:
        reasons = "; ".join(f"{name!r}: {why}" for name, why in list(useless.items())[:5])
        raise UserError(
            "no column is left to predict from; the file needs columns besides the target that tell something"
            + (f" ({reasons})" if reasons else "")
        )
    notes += about_dates(frame, dates)
    notes += [
        f"column {name!r} tells the target {rows_of.target!r} by itself: is it known when a prediction is wanted?"
        for name in map(str, frame)
        if tells_all(frame[name], rows_of.labels)
    ]
    for name in map(str, frame):
        missing = frame[name].isna().mean()
        if missing > MOSTLY_MISSING:
            notes.append(f"column {name!r} is {missing:.0%} missing")
    return replace(rows_of, keys=rows.hashes(frame), details=rows_of.details | {"dates": dates})


def labelled_rows(request: Request, known: TableEncoder | None = None) -> rows.Rows:
    """All columns but the target and those that rows are split by, as they are; keys are still to be made.

    known: the columns of a model, to be read as in its training.
    """
    names = column_names(request.path)
    if request.target is None:
        raise UserError(f"say which column is to be predicted: --target NAME; the file has: {', '.join(names[:20])}")
    column(request.target, names, "--target")
    for name, option in ((request.time, "--time"), (request.group, "--group")):
        if name is not None:
            column(name, names, option)
    numeric = {} if known is None else known.numeric
    table = read_table(
        request.path,
        numeric=numeric | spelled_target(request),
        decimals=None if known is None else known.decimals,
        exact=[request.time],
    )
    frame = table.frame
    labels = frame.pop(request.target)
    groups = None if request.group is None else group_names(frame.pop(request.group), request.group)
    times = None if request.time is None else moments_of(frame.pop(request.time), request.time, table.notes)
    return rows.Rows(
        frame,
        labels,
        request.target,
        np.zeros(0),
        table.notes,
        times,
        groups,
        f"column {request.group!r}",
        details={"decimals": dict(table.decimals)},
    )


def groups_and_times(request: Request, notes: list[str]) -> tuple[NDArray[Any] | None, NDArray[Any] | None]:
    """The columns of --group and --time, for data of which the model reads neither; notes grow by what is odd there."""
    wanted = [name for name in (request.group, request.time) if name is not None]
    if not wanted:
        return None, None
    names = column_names(request.path)
    for name, option in ((request.group, "--group"), (request.time, "--time")):
        if name is not None:
            column(name, names, option)
    frame = read_table(request.path, columns=wanted, exact=[request.time]).frame
    groups = None if request.group is None else group_names(frame[request.group], request.group)
    times = None if request.time is None else moments_of(frame[request.time], request.time, notes)
    return groups, times


def moments_of(values: pd.Series[Any], name: str, notes: list[str]) -> NDArray[Any]:
    """As ``moments``; notes grow by what the user should know of how dates are read."""
    form = date_format(values) if values.dtype == "category" else None
    times = moments(values, name, form)
    notes += about_dates(values.to_frame(name), {name: form})
    return times


def group_names(values: pd.Series[Any], name: str) -> NDArray[Any]:
    """The column of groups as strings, (n,). UserError naming the first row that is of none."""
    missing = values.isna().to_numpy()
    if missing.any():
        raise UserError(
            f"the column of groups {name!r} must have a value in every row: row {int(missing.argmax()) + 1:,} has "
            "none; give such a row a name of its own where it belongs to no other"
        )
    return values.astype("str").to_numpy()


def _dates(frame: pd.DataFrame) -> dict[str, str | None]:
    """The columns that hold dates, with their format where they are written out."""
    found: dict[str, str | None] = {}
    for name in map(str, frame):
        if frame[name].dtype.kind == "M":
            found[name] = None
        elif frame[name].dtype == "category" and (form := date_format(frame[name])) is not None:
            found[name] = form
    return found


def about_dates(frame: pd.DataFrame, dates: Mapping[str, str | None]) -> Iterator[str]:
    """What a user should know of how dates are read."""
    for name, form in dates.items():
        if form is None:
            continue
        n_lost = int((as_dates(frame[name], form).isna() & frame[name].notna() & ~frame[name].isin(SIGNS)).sum())
        if n_lost:
            yield f"column {name!r} holds dates as {form}, but {n_lost:,} of its values are none: they count as missing"
        if other_reading(frame[name], form) is not None:
            first = "month" if form.index("%m") < form.index("%d") else "day"
            yield f"the dates in column {name!r} are read with the {first} first; if that is wrong, write 2020-12-31"


def moments(values: pd.Series[Any], name: str, form: str | None = None) -> NDArray[Any]:
    """A column of dates or numbers to sort by. UserError naming the first row that is neither."""
    if values.dtype.kind in "fiu":
        times = values.to_numpy(np.float64)
        missing = np.isnan(times)
    else:
        if form is None and values.dtype.kind != "M":
            form = date_format(values.astype("category")) or "ISO8601"
        dates = as_dates(values, form)
        times, missing = dates.to_numpy(), dates.isna().to_numpy()
    if missing.any():
        first = int(missing.argmax())
        raise UserError(
            f"the column of time {name!r} must have a date or a number in every row: row {first + 1:,} has "
            f"{values.iloc[first]!r}"
        )
    return times


def _useless(
    frame: pd.DataFrame, labels: pd.Series[Any], target: str, dates: Mapping[str, str | None]
) -> dict[str, str]:
    """Columns that tell nothing, or too much, and why."""
    found = {}
    n = len(frame)
    for name in map(str, frame):
        values = frame[name]
        there = values.dropna()
        n_unique = there.nunique()
        if n_unique <= 1:
            found[name] = "it is constant" if len(there) == n else "it has one value or none"
        elif _equals(values, labels):
            found[name] = f"it equals the target {target!r}, or another name for each of its values (a leak)"
        elif name in dates:
            continue
        elif values.dtype == "category" and n_unique > 0.5 * len(there) and n_unique > 50:
            sample = there.cat.categories[:200]
            text = sample.str.count(" ").to_numpy().mean() + 1 >= WORDS_OF_TEXT
            found[name] = (
                f"it is text (--text {name} learns from it)" if text else "nearly every row has its own value (an id?)"
            )
        elif LABELS_OF_ROWS.fullmatch(name) and n_unique == n:
            found[name] = "it labels the rows, as an index that was written along"
        elif values.dtype.kind in "fiu" and n_unique >= NUMBERED * n and _counts(there, n_unique):
            found[name] = "it numbers the rows (an id)"
    return found


def _counts(values: pd.Series[Any], n_unique: int) -> bool:
    """Whether numbers are whole and lie without gaps."""
    whole = values.to_numpy(np.float64)
    return bool(np.all(whole % 1 == 0) and whole.max() - whole.min() == n_unique - 1)


def tells_all(values: pd.Series[Any], labels: pd.Series[Any]) -> bool:
    """Whether numbers follow another number in a straight line, or lie in a range of its own for each class."""
    if values.dtype.kind not in "fiu":
        return False
    if len(values) > MOST_TO_TELL:
        drawn = np.random.default_rng(0).choice(len(values), MOST_TO_TELL, replace=False)
        values, labels = values.iloc[drawn], labels.iloc[drawn]
    both = (values.notna() & labels.notna()).to_numpy()
    if both.sum() < LEAST_TO_TELL:
        return False
    x = values.to_numpy(np.float64)[both]
    if target_kind(labels[both]) == "number":
        y = labels.to_numpy(np.float64)[both]
        return bool(np.ptp(x) > 0 and np.ptp(y) > 0 and abs(np.corrcoef(x, y)[0, 1]) > STRAIGHT)
    classes = labels[both].astype("str").to_numpy()
    counts = np.unique(classes, return_counts=True)[1]
    if len(counts) < 2 or counts.min() < LEAST_OF_A_CLASS:
        return False
    order = np.argsort(x, kind="stable")
    x, classes = x[order], classes[order]
    change = classes[1:] != classes[:-1]
    # As many changes as there are classes less one, none of them between equal numbers.
    return bool(change.sum() == len(counts) - 1 and (x[1:] > x[:-1])[change].all())


def _equals(values: pd.Series[Any], labels: pd.Series[Any]) -> bool:
    """Whether a column says the same as the labels, in the same or in other words."""
    both = values.notna() & labels.notna()
    if not both.any():
        return False
    one, other = values[both], labels[both]
    if one.dtype.kind in "fiu" and other.dtype.kind in "fiu" and bool((one == other).all()):
        return True
    if other.dtype.kind in "fiu" and other.nunique() > 20:
        return False
    n_pairs = len(set(zip(one.map(plain_text), other.map(plain_text), strict=True))) if one.nunique() <= 500 else 0
    return n_pairs == one.nunique() == other.nunique()
