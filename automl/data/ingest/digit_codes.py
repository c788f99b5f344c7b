"""Codes of digits with leading zeros, such as ZIP codes: categories, although they look like numbers."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass

MIN_DIGITS = 5  # shorter ones are often months, or times of day such as 0830
CODE = re.compile(rf"\d{{{MIN_DIGITS},}}")


@dataclass
class DigitCodes:
    """What the values of a column so far say about whether it holds codes."""

    width: int | None = None  # of all values; None: none yet; 0: they differ, or some are no digits
    has_zero: bool = False  # whether some value starts with a zero
    recur: bool = False  # whether values recur: numbers of measurements written with zeros seldom do

    def learn(self, values: Collection[object]) -> None:
        """Update with more values, as written."""
        if self.width == 0 or not values:
            return
        different = {str(value).strip() for value in values}
        widths = {len(value) if CODE.fullmatch(value) else 0 for value in different}
        if self.width is not None:
            widths.add(self.width)
        self.width = widths.pop() if len(widths) == 1 else 0
        self.has_zero |= any(value.startswith("0") for value in different)
        self.recur |= len(different) <= len(values) / 2

    @property
    def found(self) -> bool:
        return bool(self.width) and self.has_zero and self.recur


def may_be_codes(cells: Collection[str]) -> bool:
    """Whether the first cells of a column look like codes; empty ones are missing values."""
    values = [cell.strip() for cell in cells if cell.strip()]
    seen = DigitCodes(recur=True)
    seen.learn(values)
    return seen.found
