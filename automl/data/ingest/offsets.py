"""Offset and unit of numbers, so that float32 and learners with absolute tolerances can tell them apart.

The offset is subtracted first, in float64, from numbers such as seconds since 1970, which float32 would round. The rest
is divided by the unit: trees of scikit-learn take values that differ by less than 1e-7 as equal, as its rank transform
does.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

MIN_OFFSET = 1e4  # of the median, in units of the spread; float32 has about 1.7e7 steps up to the median
MIN_SPREAD = 1e-3  # from which on numbers need no unit


def offset_of(numbers: NDArray[Any], far: float = MIN_OFFSET) -> float:
    """The median of numbers (n,), ignoring NaN, if float32 would lose digits of their differences; otherwise 0.

    ``far``: the median in units of the spread from which it would.
    """
    median, spread = _median_and_spread(numbers)
    return median if abs(median) > far * spread > 0 else 0.0


def unit_of(numbers: NDArray[Any]) -> float:
    """A power of two near the spread of numbers (n,), ignoring NaN, if it is below MIN_SPREAD; otherwise 1."""
    _, spread = _median_and_spread(numbers)
    return math.ldexp(1.0, round(math.log2(spread))) if 0 < spread < MIN_SPREAD else 1.0


def _median_and_spread(numbers: NDArray[Any]) -> tuple[float, float]:
    """The spread is the interquartile range, or the range if that is 0."""
    present = numbers[~np.isnan(numbers)]
    if not len(present):
        return 0.0, 0.0
    low, median, high = np.quantile(present, (0.25, 0.5, 0.75))
    return float(median), float((high - low) or np.ptp(present))
