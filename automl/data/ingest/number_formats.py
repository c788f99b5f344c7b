"""Parsing of numbers as people write them: with currency or per cent signs and thousands separators."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from contextlib import suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from automl.data.ingest.json_examples import MAX_FLOAT32

if TYPE_CHECKING:
    import pandas as pd

MAX_NUMBER_LENGTH = 40  # characters of a number; longer strings are not parsed
PLAIN = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
INFINITE = re.compile(r"[+-]?inf(inity)?", re.IGNORECASE)
MINUS_SIGNS = str.maketrans("\u2212\u2013", "--")  # the typographic minus, and the dash that often stands for it
BRACKETED = re.compile(r"[$€£¥₹]?\s*\(([^()+-]*\d[^()+-]*)\)\s*[$€£¥₹%]?")  # negative in accounts, as is 80-
TRAILING_MINUS = re.compile(r"([^()+-]*\d[^()+-]*)-")
CURRENCY_PREFIX, UNIT_SUFFIX = re.compile(r"^([+-]?)\s*[$€£¥₹]\s*"), re.compile(r"\s*[$€£¥₹%]$")
GROUPED = {  # by decimal sign: the same separator between all thousands
    sign: re.compile(rf"[+-]?[1-9]\d{{0,2}}([{other} '\u2019\u00a0\u202f])\d{{3}}(?:\1\d{{3}})*(?:\{sign}\d+)?")
    for sign, other in ((".", ","), (",", "."))
}
DECIMAL_COMMA = re.compile(r"[+-]?[\d.]*\d,\d+")
DECIMAL_POINT = re.compile(r"[+-]?[\d,]*\d\.\d+")


def as_numbers(values: pd.Series[Any], decimal: str = ".") -> NDArray[np.float64]:
    """The numbers of a column, (n,); NaN for values that are missing, not numbers, or outside the range of float32."""
    import pandas as pd

    if pd.api.types.is_timedelta64_dtype(values.dtype):
        seconds: NDArray[np.float64] = values.dt.total_seconds().to_numpy(np.float64)
        return seconds
    if pd.api.types.is_numeric_dtype(values.dtype):  # or Booleans
        return _finite(values.to_numpy(np.float64, na_value=np.nan))
    codes, different = differing(values)
    numbers = np.full(len(different) + 1, np.nan)  # missing values have the place -1, the last entry
    if decimal == ".":
        with suppress(OverflowError):  # from integers of hundreds of digits
            plain = pd.to_numeric(pd.Series(different, dtype=object), errors="coerce")
            numbers[:-1] = _finite(plain.to_numpy(np.float64, na_value=np.nan))
    for i, value in enumerate(different):
        if np.isnan(numbers[i]):
            numbers[i] = number_of(value, decimal)
    return numbers[codes]


def are_too_large(values: pd.Series[Any], decimal: str = ".") -> NDArray[np.bool_]:
    """Which values of a column are numbers outside the range of float32, or infinite (inf and -Infinity too), (n,)."""
    codes, different = differing(values)
    found: NDArray[np.bool_] = np.array([abs(_float_of(one, decimal)) > MAX_FLOAT32 for one in different] + [False])
    return found[codes]


def differing(values: pd.Series[Any]) -> tuple[NDArray[np.int64], Any]:
    """The index of each value among the distinct ones, -1 if missing, and the distinct values."""
    import pandas as pd

    try:
        return pd.factorize(values.astype(object))
    except TypeError:  # unhashable values: Parquet has columns of lists
        return pd.factorize(values.map(as_text, na_action="ignore"))


def as_text(value: Any) -> str:
    """A value as a string; a list is written alike whether it came as a list, a tuple or an array of Parquet."""
    return str(_plain(value)) if isinstance(value, list | tuple | dict | np.ndarray) else str(value)


def _plain(value: Any) -> Any:
    """Lists, tuples and arrays as lists of Python's values, without whole numbers as floats, as 1 is beside None."""
    if isinstance(value, list | tuple | np.ndarray):
        return [_plain(each) for each in value]
    if isinstance(value, dict):
        return {name: _plain(each) for name, each in value.items()}
    value = value.item() if isinstance(value, np.generic) else value
    if isinstance(value, float) and (np.isnan(value) or value.is_integer()):
        return None if np.isnan(value) else int(value)
    return value


def _finite(numbers: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.where(np.abs(numbers) <= MAX_FLOAT32, numbers, np.nan)


def number_of(value: Any, decimal: str = ".") -> float:
    """A value or string as a number; NaN for anything else, and outside the range of float32."""
    number = _float_of(value, decimal)
    return number if abs(number) <= MAX_FLOAT32 else np.nan


def _float_of(value: Any, decimal: str) -> float:
    """A value or string as a number of any size; NaN for anything else."""
    if not isinstance(value, str):
        try:
            return value.total_seconds() if isinstance(value, timedelta) else float(value)
        except OverflowError:  # from integers of hundreds of digits
            return math.inf
        except (TypeError, ValueError):
            return np.nan
    if INFINITE.fullmatch(value.strip()):
        return math.inf
    if len(value) > MAX_NUMBER_LENGTH:
        return np.nan
    text = without_units(value)
    grouped = GROUPED[decimal].fullmatch(text)
    if grouped:
        text = text.replace(grouped[1], "")
    if decimal == ",":
        text = text.replace(",", ".")
    return float(text) if PLAIN.fullmatch(text) else np.nan


def without_units(text: str) -> str:
    """A written number without its currency or per cent sign, and with a plain minus in front if it is negative."""
    text = text.strip().translate(MINUS_SIGNS)
    if negative := BRACKETED.fullmatch(text) or TRAILING_MINUS.fullmatch(text):
        text = f"-{negative[1].strip()}"
    return UNIT_SUFFIX.sub("", CURRENCY_PREFIX.sub(r"\1", text))


def decimal_sign(cells: Iterable[str]) -> str | None:
    """The decimal sign of a column; None if ambiguous: three digits after a sign may be thousands."""
    points = False
    for cell in (without_units(cell) for cell in map(str.strip, cells) if len(cell) <= MAX_NUMBER_LENGTH):
        if DECIMAL_COMMA.fullmatch(cell) and not GROUPED["."].fullmatch(cell):
            return ","
        points = points or (DECIMAL_POINT.fullmatch(cell) is not None and not GROUPED[","].fullmatch(cell))
    return "." if points else None
