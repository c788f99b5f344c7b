"""Offsets of numbers that float32 would round, such as seconds since 1970: they are subtracted first, in float64."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

FAR = 1e4  # median in units of the spread; float32 has about 1.7e7 steps up to the median


def offset_of(numbers: NDArray[Any], far: float = FAR) -> float:
    """The median of numbers (n,), ignoring NaN, if float32 would lose digits of their differences; otherwise 0.

    ``far``: the median in units of the spread from which it would.
    """
    there = numbers[~np.isnan(numbers)]
    if not len(there):
        return 0.0
    low, median, high = np.quantile(there, (0.25, 0.5, 0.75))
    spread = (high - low) or np.ptp(there)
    return float(median) if abs(median) > far * spread > 0 else 0.0
