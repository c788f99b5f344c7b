"""The inputs of RealMLP: robustly scaled numbers, and categories as one-hot columns or as codes for an embedding."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from automl.data.inputs import Columns

ARRAYS = ("incomplete", "center", "scale")
ROWS_AT_ONCE = 65_536  # that are scaled
MAX_ONE_HOT = 9  # codes, that of missing and unseen categories included


@dataclass(frozen=True)
class RealMLPEncoding:
    """The statistics of the training rows; see section 3 of the paper in ``realmlp``."""

    n_numbers: int
    cardinalities: tuple[int, ...]  # of all category columns
    incomplete: NDArray[np.int64]  # the columns of numbers with missing values: each gets an indicator
    center: NDArray[np.float64]  # (features,)
    scale: NDArray[np.float64]  # (features,); 0 for a constant feature

    @classmethod
    def of(cls, x: NDArray[Any], inputs: Columns) -> Self:
        """With the statistics of the training rows ``x``, (n, columns)."""
        incomplete = np.flatnonzero(~np.isfinite(x[:, : inputs.n_numbers]).all(0))
        blank = cls(inputs.n_numbers, inputs.cardinalities, incomplete, np.zeros(0), np.zeros(0))
        statistics = np.array([robust_statistics(feature) for feature in blank.features(x).T]).reshape(-1, 2)
        return replace(blank, center=statistics[:, 0].copy(), scale=statistics[:, 1].copy())

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]], inputs: Columns) -> Self:
        """The inverse of ``arrays``."""
        return cls(inputs.n_numbers, inputs.cardinalities, *(arrays[f"encoding.{name}"] for name in ARRAYS))

    def arrays(self) -> dict[str, NDArray[Any]]:
        """The fitted statistics by name."""
        return {f"encoding.{name}": getattr(self, name) for name in ARRAYS}

    @property
    def embedded(self) -> tuple[int, ...]:
        """The cardinalities of the embedded columns."""
        return tuple(n for n in self.cardinalities if n > MAX_ONE_HOT)

    def features(self, x: NDArray[Any]) -> NDArray[np.float64]:
        """(n, features) before scaling: numbers (NaN if missing or infinite), indicators, one-hot columns."""
        numbers = x[:, : self.n_numbers].astype(np.float64)
        finite = np.isfinite(numbers)
        columns = [np.where(finite, numbers, np.nan), ~finite[:, self.incomplete]]
        for codes, n in zip(x[:, self.n_numbers :].T, self.cardinalities, strict=True):
            if n <= MAX_ONE_HOT:
                one_hot = codes[:, None] == np.arange(1, n)
                columns.append(one_hot[:, :1] * 1.0 - one_hot[:, 1:] if n == 3 else one_hot)  # two levels: 1 and -1
        return np.concatenate(columns, 1, dtype=np.float64)

    def __call__(self, x: NDArray[Any]) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Scaled features (features, n), and codes (embedded columns, n), numbered consecutively across columns."""
        smooth = np.empty((len(self.center), len(x)), np.float32)
        for start in range(0, len(x), ROWS_AT_ONCE):  # in double precision, too large for the whole table at once
            rows = slice(start, start + ROWS_AT_ONCE)
            scaled = np.nan_to_num((self.features(x[rows]) - self.center) * self.scale, nan=0.0)  # missing: the median
            scaled = np.clip(scaled, -1e6, 1e6)
            smooth[:, rows] = (scaled / np.sqrt(1 + (scaled / 3) ** 2)).T
        wide = [column for column, n in enumerate(self.cardinalities) if n > MAX_ONE_HOT]
        offsets = np.cumsum([0, *self.embedded])[:-1]
        codes = x[:, self.n_numbers :][:, wide].astype(np.int64) + offsets.astype(np.int64)
        return smooth, np.ascontiguousarray(codes.T)


def robust_statistics(values: NDArray[np.float64]) -> tuple[float, float]:
    """The median, and the factor that makes the interquartile range 1 (if it is 0: half the range)."""
    values = values[~np.isnan(values)]
    if not len(values):
        return 0.0, 0.0
    low, first, median, third, high = np.quantile(values, (0.0, 0.25, 0.5, 0.75, 1.0))
    spread = third - first or (high - low) / 2
    return float(median), float(1 / spread) if spread > 0 else 0.0


class NumberRange(NamedTuple):
    """The training labels' statistics, by which a numeric target is standardised and predictions are clipped."""

    mean: float
    std: float
    low: float
    high: float

    @classmethod
    def of(cls, y: NDArray[Any]) -> Self:
        y = y.astype(np.float64)
        return cls(float(y.mean()), float(y.std()) or 1.0, float(y.min()), float(y.max()))

    def standardised(self, y: NDArray[Any]) -> NDArray[np.float32]:
        scaled: NDArray[np.float32] = ((y.astype(np.float64) - self.mean) / self.std).astype(np.float32)
        return scaled

    def original(self, y: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.clip(y * self.std + self.mean, self.low, self.high)
