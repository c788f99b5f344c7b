"""Numbers as people write them: with signs of money or per cent, and with marks between the thousands."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from automl.own.records import LARGEST

if TYPE_CHECKING:
    import pandas as pd

PLAIN = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
MONEY_BEFORE, SIGN_BEHIND = re.compile(r"^([+-]?)\s*[$€£¥₹]\s*"), re.compile(r"\s*[$€£¥₹%]$")
GROUPED = {  # by the decimal sign: the same mark between all thousands
    sign: re.compile(rf"[+-]?\d{{1,3}}([{other} '\u2019\u00a0\u202f])\d{{3}}(?:\1\d{{3}})*(?:\{sign}\d+)?")
    for sign, other in ((".", ","), (",", "."))
}


def as_numbers(values: pd.Series[Any], decimal: str = ".") -> NDArray[np.float64]:
    """(n,): the numbers of a column; not-a-number for what is missing, is none, or is more than 4 bytes can hold."""
    import pandas as pd

    if pd.api.types.is_numeric_dtype(values.dtype):  # or Booleans
        numbers = values.to_numpy(np.float64, na_value=np.nan)
        return np.where(np.abs(numbers) <= LARGEST, numbers, np.nan)
    codes, different = pd.factorize(values.astype(object))
    return np.array([number_of(value, decimal) for value in different] + [np.nan])[codes]  # missing: -1, the last


def number_of(value: Any, decimal: str = ".") -> float:
    """The number that a value is or that a string writes, not-a-number for anything else."""
    if not isinstance(value, str):
        try:
            number = float(value)
        except (TypeError, ValueError):
            return np.nan
        return number if abs(number) <= LARGEST else np.nan
    text = SIGN_BEHIND.sub("", MONEY_BEFORE.sub(r"\1", value.strip()))
    grouped = GROUPED[decimal].fullmatch(text)
    if grouped:
        text = text.replace(grouped[1], "")
    if decimal == ",":
        text = text.replace(",", ".")
    return number_of(float(text), decimal) if PLAIN.fullmatch(text) else np.nan


def decimal_sign(cells: list[str], separator: str) -> str:
    """The decimal sign of a file, by some of its cells.

    Three digits behind a sign may be thousands. Without any other evidence such a comma is decimal only beside
    semicolons, as spreadsheets write them where the comma is decimal.
    """
    if separator == ",":
        return "."
    commas = [cell for cell in map(str.strip, cells) if re.fullmatch(r"[+-]?[\d.]*\d,\d+", cell)]
    if any(not GROUPED["."].fullmatch(cell) for cell in commas):
        return ","
    points = any(re.fullmatch(r"[+-]?[\d,]*\d\.\d+", cell) and not GROUPED[","].fullmatch(cell) for cell in cells)
    return "," if commas and separator == ";" and not points else "."
