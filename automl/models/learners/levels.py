"""Categories with many levels as numbers: the mean target of a level, cross-fitted, and how often it occurs.

D. Micci-Barreca, A Preprocessing Scheme for High-Cardinality Categorical Attributes (SIGKDD Explorations 2001), as in
scikit-learn's ``TargetEncoder``.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from automl.data.inputs import Array, Columns
from automl.data.targets import Classes, Target
from automl.models.integrity import open_arrays
from automl.models.learners.base import Rows

MOST_NATIVE = 50  # levels up to which trees split on a column's levels directly
N_FOLDS = 5  # the training rows are encoded by the targets of the other folds


class ManyLevels:
    """Replaces the columns with more than ``MOST_NATIVE`` levels by numbers, which come last."""

    def __init__(self, columns: tuple[int, ...], tables: tuple[NDArray[np.float32], ...] = ()) -> None:
        """``tables``: for each column, the numbers of each code: (levels, k)."""
        self.columns, self.tables = columns, tables

    @classmethod
    def of(cls, inputs: Columns) -> Self:
        """An unfitted encoder for the table."""
        levels = enumerate(inputs.cardinalities, inputs.n_numbers)
        return cls(tuple(place for place, n in levels if n - 1 > MOST_NATIVE))

    def fit_transform(self, train: Rows, inputs: Columns, target: Target, seed: int) -> Array:
        """Fit to the training rows, and return their encoded columns."""
        rows: Array = train.x
        if not self.columns:
            return rows
        from sklearn.model_selection import KFold

        labels = np.unique(train.y) if isinstance(target, Classes) else None
        folds = KFold(N_FOLDS, shuffle=True, random_state=seed % 2**32)
        parts, tables = [], []
        for column in self.columns:
            codes = train.x[:, [column]].astype(np.int64)
            every_code = np.arange(inputs.cardinalities[column - inputs.n_numbers])[:, None]
            table = _means(codes, train.y, labels, every_code)
            own = np.empty((len(codes), table.shape[1]))
            for others, fold in folds.split(codes):
                own[fold] = _means(codes[others], train.y[others], labels, codes[fold])
            counts = np.log1p(np.bincount(codes[:, 0], minlength=len(every_code)))[:, None]
            tables.append(np.hstack([table, counts]).astype(np.float32))
            parts.append(np.hstack([own, counts[codes[:, 0]]]).astype(np.float32))
        self.tables = tuple(tables)
        return np.hstack([np.delete(train.x, self.columns, 1), *parts])

    def transform(self, x: Array) -> Array:
        """The encoded columns of other rows."""
        if not self.columns:
            return x
        parts = [table[x[:, column].astype(np.int64)] for column, table in zip(self.columns, self.tables, strict=True)]
        return np.hstack([np.delete(x, self.columns, 1), *parts])

    def save(self, folder: Path) -> None:
        """Write the fitted tables."""
        named: dict[str, Any] = {f"table{place}": table for place, table in enumerate(self.tables)}
        np.savez(folder / "levels.npz", columns=np.array(self.columns, np.int64), **named)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """The inverse of ``save``."""
        with open_arrays(folder / "levels.npz") as content:
            columns = tuple(int(column) for column in content["columns"])
            return cls(columns, tuple(content[f"table{place}"] for place in range(len(columns))))


def _means(codes: Array, y: Array, labels: Array | None, wanted: Array) -> NDArray[np.float64]:
    """The smoothed mean targets of the levels ``wanted``, (n, 1), of rows with these codes (n, 1) and targets.

    ``labels``: of the classes, each of which has a column; of two, the second. Those that ``y`` lacks have the mean 0.
    """
    from sklearn.preprocessing import TargetEncoder

    if labels is not None and len(labels) > 2 and len(np.unique(y)) == len(labels):  # faster than one by one
        return np.asarray(TargetEncoder(target_type="multiclass").fit(codes, y).transform(wanted))
    columns = [y]
    if labels is not None:
        columns = [(y == label).astype(np.float64) for label in (labels if len(labels) > 2 else labels[-1:])]
    encoders = (TargetEncoder(target_type="continuous").fit(codes, column) for column in columns)
    return np.hstack([encoder.transform(wanted) for encoder in encoders])
