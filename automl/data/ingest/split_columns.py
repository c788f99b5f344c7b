"""The columns that say how rows are used: --group and --time, by which they are split, and --weight."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from automl.data.ingest.columns import TIMES_OF_DAY, as_dates, date_format, other_reading
from automl.data.ingest.file_formats import SIGNS
from automl.data.ingest.number_formats import as_numbers, differing
from automl.data.ingest.read_table import column_names, plain_text, read_table
from automl.data.ingest.request import Request, column, spelled_group
from automl.errors import UserError

if TYPE_CHECKING:
    import pandas as pd

OF_SEVERAL_ROWS = re.compile(
    r"(.*[^a-z])?(patient|subject|person|participant|customer|client|user|student|animal|donor|speaker|author|company"
    r"|device|machine|vehicle)s?(id|no|nr|number|name)?([^a-z].*)?",
    re.IGNORECASE,
)
MIN_GROUPS = 10
ZONED = re.compile(r"(?:UTC|GMT|\d[T ]\d[\d:.,]*\s*(?:Z|[+-]\d\d(?::?\d\d)?))$", re.I)  # the end of a date


def check_split(request: Request, names: Sequence[str]) -> None:
    """Raise UserError if a file lacks one of the columns."""
    for name, option in ((request.time, "--time"), (request.group, "--group"), (request.weight, "--weight")):
        if name is not None:
            column(name, names, option)


def split_by(
    request: Request, frame: pd.DataFrame, notes: list[str]
) -> tuple[NDArray[Any] | None, NDArray[Any] | None, str | None]:
    """The groups and the times of rows, and the format of the latter if they are dates in strings.

    Notes on how dates are read are appended to ``notes``.
    """
    groups = None if request.group is None else group_names(frame[request.group], request.group)
    if request.time is None:
        return groups, None, None
    values = frame[request.time]
    form = None
    if values.dtype == "category":
        known = request.time_form
        fits = known is not None and as_dates(values, known).notna().all()
        form = known if fits else date_format(values)
    times = moments(values, request.time, form)
    notes += about_dates(frame, {request.time: form})
    return groups, times, form


def groups_and_times(request: Request, notes: list[str]) -> tuple[NDArray[Any] | None, NDArray[Any] | None, str | None]:
    """As ``split_by``, for a file where neither column is an input."""
    wanted = [name for name in (request.group, request.time) if name is not None]
    if not wanted:
        return None, None, None
    check_split(request, column_names(request.path))
    table = read_table(request.path, columns=wanted, numeric=spelled_group(request), exact=[request.time])
    return split_by(request, table.frame, notes)


def row_weights(values: pd.Series[Any], name: str) -> NDArray[np.float32]:
    """The weight column, (n,). UserError naming the first row without a weight above 0."""
    weights = as_numbers(values)
    wrong = ~(weights > 0)
    if wrong.any():
        row = int(wrong.argmax())
        raise UserError(
            f"the weight column {name!r} must have a number above 0 in every row: row {row + 1:,} has "
            f"{values.iloc[row]!s}; leave out rows that do not count"
        )
    return weights.astype(np.float32)


def group_names(values: pd.Series[Any], name: str) -> NDArray[Any]:
    """The group column as strings, (n,). UserError naming the first row without a group."""
    missing = values.isna().to_numpy()
    if missing.any():
        raise UserError(
            f"the group column {name!r} must have a value in every row: row {int(missing.argmax()) + 1:,} has "
            "none; give a row that belongs to no group a name of its own"
        )
    places, different = differing(values)
    return np.array([plain_text(value) for value in different], object)[places]


def about_groups(frame: pd.DataFrame, request: Request) -> Iterator[str]:
    """Notes on columns that name persons or things with several rows each, if rows are split at random."""
    for name in map(str, frame) if request.group is None and request.time is None else ():
        n = int(frame[name].nunique()) if OF_SEVERAL_ROWS.fullmatch(name) else 0
        if MIN_GROUPS <= n <= len(frame) / 2:
            yield (
                f"column {name!r} has {n:,} values with {len(frame) / n:.1f} rows each on average: if new rows are of "
                f"others, give --group {shlex.quote(name)}, or the test score is too optimistic"
            )


def about_dates(frame: pd.DataFrame, dates: Mapping[str, str | None]) -> Iterator[str]:
    """Notes on how dates are read."""
    for name, form in dates.items():
        if form is None:
            continue
        n_lost = int((as_dates(frame[name], form).isna() & frame[name].notna() & ~frame[name].isin(SIGNS)).sum())
        if n_lost:
            are = "is not one: it counts" if n_lost == 1 else "are not: they count"
            yield f"column {name!r} holds dates as {form}, but {n_lost:,} of its values {are} as missing"
        if other_reading(frame[name], form) is not None:
            first = "month" if form.index("%m") < form.index("%d") else "day"
            yield f"the dates in column {name!r} are read with the {first} first; if that is wrong, write 2020-12-31"


def has_zone(values: pd.Series[Any]) -> bool:
    """Whether any time of a column has a zone or an offset."""
    if values.dtype.kind == "M":
        return values.dt.tz is not None
    return values.dtype.kind not in "fiu" and any(ZONED.search(str(value)) for value in values.unique())


def moments(values: pd.Series[Any], name: str, form: str | None = None) -> NDArray[Any]:
    """A column of dates or numbers to sort by. UserError naming the first row with neither, or without a date in the
    given format."""
    expected = "a date or a number" if form is None else f"a date as {form.replace('ISO8601', 'ISO 8601')}"
    if values.dtype.kind in "fiu":
        times = values.to_numpy(np.float64)
        missing = np.isnan(times)
    else:
        if form is None and values.dtype.kind != "M":
            form = date_format(values.astype("category")) or "ISO8601"
        if form in TIMES_OF_DAY:
            raise UserError(f"the time column {name!r} has times of day without dates: give a column with both")
        dates = as_dates(values, form)
        times, missing = dates.to_numpy(), dates.isna().to_numpy()
    if missing.any():
        first = int(missing.argmax())
        what = "is empty" if values.isna().iloc[first] else f"has {values.iloc[first]!r}"
        raise UserError(f"the time column {name!r} must have {expected} in every row: row {first + 1:,} {what}")
    return times
