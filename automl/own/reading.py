"""CSV and Parquet files of any size to a frame: numbers in 4 bytes, categories by number, in chunks.

The file is read twice, the first time to learn what its columns are: a column's type in one chunk need not be its type
in the next. What is in memory at a time is the frame so far and one chunk.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from automl.errors import UserError
from automl.own.sources import CsvSource, ParquetSource, open_source

if TYPE_CHECKING:
    import pandas as pd

NUMBER_LIKE = 0.95  # of the values there must be numbers for the rest to count as missing
EXACT = 2**24  # whole numbers up to here are exact in 4 bytes
SIGNS = ["-", "--", "\u2013", "\u2014", ".", "*"]  # missing where the others of the column are numbers

Watch = Callable[[float], None]  # is told which share of a file was read, 0 to 1
_watch: ContextVar[Watch | None] = ContextVar("watch", default=None)


@contextmanager
def reading_watched(watch: Watch) -> Iterator[None]:
    """Whatever ``read_table`` reads meanwhile, ``watch`` is told of after each chunk."""
    token = _watch.set(watch)
    try:
        yield
    finally:
        _watch.reset(token)


@dataclass
class ColumnFacts:
    """What the first reading saw of a column."""

    name: str
    n: int = 0  # values that are there, without signs
    n_signs: int = 0
    n_numbers: int = 0
    largest: float = 0.0
    is_date: bool = False  # typed so, as in Parquet
    stray: tuple[int, str] | None = None  # row (from 1) and value of the first that is no number

    @property
    def is_number(self) -> bool:
        is_empty = self.n == self.n_signs == 0
        return self.n_numbers >= NUMBER_LIKE * self.n and (self.n_numbers > 0 or is_empty) and not self.is_date


@dataclass
class Table:
    """The rows of a file. Numbers are float32 or float64, the rest categories, dates as such; texts are strings."""

    frame: pd.DataFrame
    notes: list[str] = field(default_factory=list)  # what was odd about the file


def read_table(path: Path, *, columns: Sequence[str] | None = None, texts: Sequence[str] = ()) -> Table:
    """The file's rows, or some of its columns; ``texts`` are kept as they are, whatever is in them.

    UserError where the file cannot be read, naming the row where there is one.
    """
    import pandas as pd

    source = open_source(path)
    facts: dict[str, ColumnFacts] = {}
    n = 0
    for chunk in _told(source, columns, 0.0):
        for name in chunk.columns:
            _learn(facts.setdefault(name, ColumnFacts(name)), chunk[name], n, name in texts)
        n += len(chunk)
    if n == 0:
        raise UserError(f"{str(path)!r} has no rows below its header")
    parts: dict[str, list[Any]] = {name: [] for name in facts}
    for chunk in _told(source, columns, 0.5):
        for name in facts:
            parts[name].append(_compact(chunk[name], facts[name], name in texts))
    frame = pd.DataFrame({name: _joined(parts.pop(name)) for name in list(parts)})
    notes = list(source.notes)
    for fact in facts.values():
        if fact.is_number and fact.stray and fact.name not in texts:
            row, value = fact.stray
            notes.append(
                f"column {fact.name!r} is a number, but {fact.n - fact.n_numbers:,} of its values are not, "
                f"the first {value!r} in row {row:,}: they count as missing"
            )
    return Table(frame, notes)


def _told(source: CsvSource | ParquetSource, columns: Sequence[str] | None, before: float) -> Iterator[pd.DataFrame]:
    """The chunks of one of the two readings; whoever watches is told how far both are."""
    for chunk in source.chunks(columns):
        yield chunk
        watch = _watch.get()
        if watch is not None:
            watch(before + source.share_read / 2)


def column_names(path: Path) -> list[str]:
    """The names in the header."""
    return open_source(path).names


def _learn(facts: ColumnFacts, values: pd.Series[Any], before: int, is_text: bool) -> None:
    """Adds a chunk's values to what is known of a column; ``before``: rows in the chunks before."""
    import pandas as pd

    there = values.dropna()
    facts.n += len(there)
    if is_text or there.empty:
        return
    kind = values.dtype
    if isinstance(kind, pd.CategoricalDtype) or pd.api.types.is_bool_dtype(kind):
        facts.stray = facts.stray or (before + int(there.index[0]) - int(values.index[0]) + 1, str(there.iloc[0]))
        return
    if pd.api.types.is_datetime64_any_dtype(kind):
        facts.is_date = True
        return
    if not pd.api.types.is_numeric_dtype(kind):
        signs = there.isin(SIGNS)
        facts.n_signs += int(signs.sum())
        facts.n -= int(signs.sum())
        there = there[~signs]
    numbers = pd.to_numeric(there, errors="coerce")
    good = numbers.dropna()
    facts.n_numbers += len(good)
    if len(good):
        whole = good[(good % 1) == 0].abs()
        facts.largest = max(facts.largest, float(whole.max()) if len(whole) else 0.0)
    if len(good) < len(there) and facts.stray is None:
        first = int(numbers.isna().to_numpy().argmax())
        row = before + int(there.index[first]) - int(values.index[0]) + 1
        facts.stray = (row, str(there.iloc[first]))


def _compact(values: pd.Series[Any], facts: ColumnFacts, is_text: bool) -> pd.Series[Any]:
    import pandas as pd

    if is_text:
        texts: pd.Series[Any] = values.astype("str")
        return texts
    if facts.is_number:
        numbers = pd.to_numeric(values, errors="coerce")
        return numbers.astype("float32" if facts.largest <= EXACT else "float64")
    if facts.is_date:
        return pd.to_datetime(values, errors="coerce")
    strings = values.astype(object).where(values.notna(), None)
    categories: pd.Series[Any] = strings.map(plain_text, na_action="ignore").astype("category")
    return categories


def plain_text(value: Any) -> str:
    """A value of a category as text: 1.0, which missing values beside it make of 1, is 1."""
    return str(int(value)) if isinstance(value, float | np.floating) and float(value).is_integer() else str(value)


def _joined(parts: list[Any]) -> pd.Series[Any]:
    """The chunks of a column; the categories of each may be others."""
    import pandas as pd
    from pandas.api.types import union_categoricals

    if isinstance(parts[0].dtype, pd.CategoricalDtype):
        parts = [part.astype(part.dtype.__class__(part.cat.categories.astype(object))) for part in parts]
        return pd.Series(union_categoricals(parts))
    joined: pd.Series[Any] = pd.concat(parts, ignore_index=True)
    return joined
