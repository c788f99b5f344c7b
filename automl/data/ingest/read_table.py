"""Reads CSV and Parquet files of any size into a frame, in chunks, with float32 numbers and categoricals.

The file is read twice, first to infer the columns' types: a column's type in one chunk need not be its type in the
next. Only the frame so far and one chunk are in memory at a time.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from automl.data.ingest.digit_codes import DigitCodes
from automl.data.ingest.file_formats import SIGNS, CsvSource, ParquetSource, open_source
from automl.data.ingest.json_examples import MAX_FLOAT32
from automl.data.ingest.notes import DataWarning
from automl.data.ingest.number_formats import are_too_large, as_numbers, as_text, differing
from automl.errors import UserError
from strategies.errors import did_you_mean

if TYPE_CHECKING:
    import pandas as pd

NUMBER_LIKE = 0.95  # share of the present values that must be numbers for the rest to count as missing
EXACT = 2**24  # whole numbers up to here are exact in 4 bytes; larger ones take 8
CLOSE = 1e3  # numbers whose range is a smaller share of the largest take 8 bytes too
MIN_FLOAT32 = float(np.finfo(np.float32).tiny)  # smaller numbers lose digits in 4 bytes
CODE = re.compile(r"0\d+")  # a class that looks like a number, such as 01
MAX_LISTED = 10  # missing columns that an error names
NUMERIC_SHARE = 0.5  # share of numbers in a categorical column from which the other values are reported

Watch = Callable[[float, int], None]  # called with the share of a file that was read, 0 to 1, and its rows so far
_watch: ContextVar[Watch | None] = ContextVar("watch", default=None)


@contextmanager
def reading_watched(watch: Watch) -> Iterator[None]:
    """Call ``watch`` after each chunk that ``read_table`` reads in this context."""
    token = _watch.set(watch)
    try:
        yield
    finally:
        _watch.reset(token)


@dataclass
class ColumnFacts:
    """What the first pass found about a column."""

    name: str
    n: int = 0  # present values, without SIGNS
    n_signs: int = 0
    n_numbers: int = 0
    largest: float = 0.0  # absolute value
    low: float = math.inf
    high: float = -math.inf
    is_date: bool = False  # has a date type, as in Parquet
    stray: tuple[int, str] | None = None  # row (from 1) and value of the first that is not a number
    n_too_large: int = 0  # numbers outside the range of float32, and infinite ones
    too_large: int | None = None  # row of the first
    exact: bool = False  # whether its numbers are always stored in 8 bytes
    known: bool | None = None  # whether it is a number, if a model has decided that
    most_codes: int | None = None  # if it may hold classes, most that are codes rather than numbers
    spellings: set[str] = field(default_factory=set)  # of a column of classes, up to one more than these
    codes: DigitCodes = field(default_factory=DigitCodes)

    @property
    def fits_float32(self) -> bool:
        """Whether 4 bytes are enough for its numbers and their differences."""
        is_close = 0.0 < CLOSE * (self.high - self.low) < self.largest
        is_small = 0.0 < self.largest < MIN_FLOAT32
        return not self.exact and self.largest <= EXACT and not is_close and not is_small

    @property
    def is_number(self) -> bool:
        if self.known is not None:
            return self.known
        if self.codes.found or (
            len(self.spellings) <= (self.most_codes or 0) and any(map(CODE.fullmatch, self.spellings))
        ):
            return False
        is_empty = self.n == self.n_signs == 0
        return self.n_numbers >= NUMBER_LIKE * self.n and (self.n_numbers > 0 or is_empty) and not self.is_date


@dataclass
class Table:
    """The rows of a file: float32 or float64 numbers, dates, strings for texts, and categoricals for the rest."""

    frame: pd.DataFrame
    decimals: Mapping[str, str]  # by column
    notes: list[str] = field(default_factory=list)  # problems in the file


def read_table(
    path: Path,
    *,
    columns: Sequence[str] | None = None,
    texts: Sequence[str] = (),
    numeric: Mapping[str, bool] | None = None,
    decimals: Mapping[str, str] | None = None,
    exact: Collection[str | None] = (),
    classes: Mapping[str, int] | None = None,
    unusable: Counter[str] | None = None,
) -> Table:
    """The file's rows, or some of its columns; ``texts`` are kept as strings.

    ``numeric``: whether columns are numbers, as decided in training. ``decimals``: decimal signs, used where the file
    is ambiguous. ``exact``: columns of which float32 may lose digits that matter, such as times to sort by.
    ``classes``: columns that may hold classes, which are kept as spelled, and how many different numbers with leading
    zeros are classes too. ``unusable``: counts the values lost in each column of numbers. UserError if the file cannot
    be read, naming the row where possible.
    """
    import pandas as pd

    source = open_source(path, decimals)
    known, classes = numeric or {}, classes or {}
    facts: dict[str, ColumnFacts] = {}
    n = 0
    for chunk in _watched(source, source.chunks(columns, written={*classes, *source.codes}), 0.0):
        for name in chunk.columns:
            new = ColumnFacts(name, known=known.get(name), exact=name in exact, most_codes=classes.get(name))
            fact = facts.setdefault(name, new)
            _update_facts(fact, chunk[name], n, name in texts, source.decimals.get(name, "."))
        n += len(chunk)
    if n == 0:
        raise UserError(f"{str(path)!r} has no rows after its header")
    parts: dict[str, list[Any]] = {name: [] for name in facts}
    numbers = {name for name, fact in facts.items() if fact.is_number and name not in texts}
    chunks = source.chunks(columns, written=facts.keys() - numbers, numbers=numbers, unusable=unusable)
    for chunk in _watched(source, chunks, 0.5):
        for name in facts:
            parts[name].append(_compact(chunk[name], facts[name], name in texts))
    frame = pd.DataFrame({name: _joined(parts.pop(name)) for name in list(parts)})
    mixed = (note for fact in facts.values() if fact.name not in texts for note in _mixed(fact))
    return Table(frame, source.decimals, [*source.notes, *mixed])


def _mixed(fact: ColumnFacts) -> Iterator[str]:
    """Notes on a column that holds numbers and other values, or codes."""
    if fact.codes.found:
        yield f"column {fact.name!r} is treated as categorical: it has {fact.codes.width} digits with leading zeros"
    if fact.is_number and fact.too_large is not None:
        yield DataWarning(
            f"column {fact.name!r} has values that are infinite or above {MAX_FLOAT32:.2g} in size "
            f"({fact.n_too_large:,}, the first in row {fact.too_large:,}): they count as missing"
        )
    if fact.stray is None:
        return
    row, value = fact.stray
    if fact.is_number:
        n = fact.n - fact.n_numbers
        are = "is not a number," if n == 1 else "are not numbers, the first"
        yield (
            f"column {fact.name!r} is numeric, but {n:,} of its values {are} {value!r} in row {row:,}: "
            f"{'it counts' if n == 1 else 'they count'} as missing"
        )
    elif fact.n_numbers >= NUMERIC_SHARE * fact.n:
        yield (
            f"column {fact.name!r} is treated as categorical: {fact.n_numbers / fact.n:.0%} of its values are numbers, "
            f"but others are not, the first {value!r} in row {row:,}; fix these if it is numeric"
        )


def _watched(
    source: CsvSource | ParquetSource, chunks: Iterator[pd.DataFrame], before: float
) -> Iterator[pd.DataFrame]:
    """The chunks of one of the two passes; reports the progress of both."""
    n_rows = 0
    for chunk in chunks:
        yield chunk
        n_rows += len(chunk)
        watch = _watch.get()
        if watch is not None:
            watch(before + source.share_read / 2, n_rows)


def check_is_frame(examples: Any) -> None:
    """Raise UserError unless the examples, which are no path, are a frame."""
    import pandas as pd

    if not isinstance(examples, pd.DataFrame):
        raise UserError(f"expected a file or a DataFrame with the training columns, got {type(examples).__name__}")


def check_there(names: Collection[str], wanted: Iterable[str]) -> None:
    """Raise UserError if a column that a model was trained with is missing, or there twice."""
    needed = list(wanted)
    if missing := [name for name in needed if name not in names]:
        hint = did_you_mean(missing[0], (other for other in names if other not in needed))
        if len(missing) == 1:
            raise UserError(f"the column {missing[0]!r} is missing; {hint}the model was trained with it")
        shown = ", ".join(map(repr, missing[:MAX_LISTED])) + ", ..." * (len(missing) > MAX_LISTED)
        raise UserError(f"{len(missing)} columns are missing: {shown}; {hint}the model was trained with them")
    counts = Counter(names)
    if twice := [name for name in needed if counts[name] > 1]:
        raise UserError(f"the frame has two columns named {twice[0]!r}; rename one of them")


def column_names(path: Path) -> list[str]:
    """The column names of a file."""
    return open_source(path).names


def _update_facts(facts: ColumnFacts, values: pd.Series[Any], before: int, is_text: bool, decimal: str) -> None:
    """Update a column's facts with a chunk; ``before``: rows in the earlier chunks."""
    import pandas as pd

    present = values.dropna()
    facts.n += len(present)
    if is_text or present.empty:
        return
    kind = values.dtype
    if pd.api.types.is_datetime64_any_dtype(kind):
        facts.is_date = True
        return
    words = isinstance(kind, pd.CategoricalDtype) or pd.api.types.infer_dtype(present) == "boolean"
    words = words and not facts.known
    if not words and not pd.api.types.is_numeric_dtype(kind):
        if facts.most_codes is not None and len(facts.spellings) <= facts.most_codes:
            facts.spellings.update(str(value).strip() for value in present.unique()[: facts.most_codes + 1])
        signs = present.isin(SIGNS)
        facts.n_signs += int(signs.sum())
        facts.n -= int(signs.sum())
        present = present[~signs]
        if facts.known is None and facts.most_codes is None and not facts.exact and facts.codes.width != 0:
            facts.codes.learn(present.tolist())
    numbers = np.full(len(present), np.nan) if words else as_numbers(present, decimal)
    unusable = np.isnan(numbers)
    good = numbers[~unusable]
    if len(good):
        facts.low, facts.high = min(facts.low, float(good.min())), max(facts.high, float(good.max()))
        facts.largest = max(-facts.low, facts.high)
        if unusable.any():
            too_large = unusable.copy()
            too_large[unusable] = are_too_large(present[unusable], decimal)
            if too_large.any():
                facts.too_large = facts.too_large or _row(present, too_large, values, before)
            facts.n_too_large += int(too_large.sum())
            facts.n -= int(too_large.sum())
            unusable &= ~too_large
    facts.n_numbers += len(good)
    if unusable.any() and facts.stray is None:
        facts.stray = (_row(present, unusable, values, before), str(present.iloc[int(unusable.argmax())]))


def _row(present: pd.Series[Any], which: NDArray[np.bool_], values: pd.Series[Any], before: int) -> int:
    """The row in the file, from 1, of the first marked value of a chunk."""
    return before + int(present.index[int(which.argmax())]) - int(values.index[0]) + 1


def _compact(values: pd.Series[Any], facts: ColumnFacts, is_text: bool) -> pd.Series[Any]:
    import pandas as pd

    if is_text:
        texts: pd.Series[Any] = values.astype("str")
        return texts
    if facts.is_number:
        return values.astype("float32" if facts.fits_float32 else "float64")
    if facts.is_date:
        return pd.to_datetime(values, errors="coerce")
    return as_categories(values, plain_text if facts.most_codes is None else spelled_text)


def as_categories(values: pd.Series[Any], written: Callable[[Any], str]) -> pd.Series[Any]:
    """Values as strings; each distinct value is converted once."""
    import pandas as pd

    codes, different = differing(values)
    texts = [written(value) for value in different]
    names = sorted(set(texts))
    place = {name: i for i, name in enumerate(names)}
    new = np.array([place[text] for text in texts] + [-1])[codes]  # missing values have the code -1, the last entry
    return pd.Series(pd.Categorical.from_codes(new, categories=pd.Index(names, dtype="str")), index=values.index)


def plain_text(value: Any) -> str:
    """A categorical value as text: 1.0 becomes "1" (missing values turn 1 into 1.0), true becomes "True"."""
    if isinstance(value, float | np.floating) and float(value).is_integer():
        return str(int(value))
    text = as_text(value).strip()
    return text.capitalize() if text.lower() in ("true", "false") else text


def spelled_text(value: Any) -> str:
    """The name of a class: a string as spelled, another value as text."""
    return value.strip() if isinstance(value, str) else plain_text(value)


def _joined(parts: list[Any]) -> pd.Series[Any]:
    """The chunks of a column joined; their categories may differ."""
    import pandas as pd
    from pandas.api.types import union_categoricals

    if isinstance(parts[0].dtype, pd.CategoricalDtype):
        parts = [part.astype(part.dtype.__class__(part.cat.categories.astype(object))) for part in parts]
        return pd.Series(union_categoricals(parts))
    joined: pd.Series[Any] = pd.concat(parts, ignore_index=True)
    return joined
