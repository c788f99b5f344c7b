"""Categories with many levels as numbers: the mean target of a level, cross-fitted, and how often it occurs.

D. Micci-Barreca, A Preprocessing Scheme for High-Cardinality Categorical Attributes (SIGKDD Explorations 2001), as in
scikit-learn's ``TargetEncoder``, but with the rows' weights.
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

MAX_NATIVE_LEVELS = 50  # up to which trees split on a column's levels directly
N_FOLDS = 5  # the training rows are encoded by the targets of the other folds


class ManyLevels:
    """Replaces the columns with more than ``MAX_NATIVE_LEVELS`` levels by numbers, which come last."""

    def __init__(self, columns: tuple[int, ...], tables: tuple[NDArray[np.float32], ...] = ()) -> None:
        """``tables``: for each column, the numbers of each code: (levels, k)."""
        self.columns, self.tables = columns, tables

    @classmethod
    def of(cls, inputs: Columns) -> Self:
        """An unfitted encoder for the table."""
        levels = enumerate(inputs.cardinalities, inputs.n_numbers)
        return cls(tuple(place for place, n in levels if n - 1 > MAX_NATIVE_LEVELS))

    def fit_transform(self, train: Rows, inputs: Columns, target: Target, seed: int) -> Array:
        """Fit to the training rows, and return their encoded columns."""
        rows: Array = train.x
        if not self.columns:
            return rows
        from sklearn.model_selection import KFold

        values = np.asarray(train.y, np.float64)[:, None]
        if isinstance(target, Classes):
            labels = np.unique(train.y)
            values = (train.y[:, None] == (labels if len(labels) > 2 else labels[-1:])).astype(np.float64)
        weights = np.ones(len(train.y)) if train.weights is None else np.asarray(train.weights, np.float64)
        folds = KFold(N_FOLDS, shuffle=True, random_state=seed % 2**32)
        parts, tables = [], []
        for column in self.columns:
            codes, n_codes = train.x[:, column].astype(np.int64), inputs.cardinalities[column - inputs.n_numbers]
            table = _means(codes, values, weights, n_codes)
            own = np.empty((len(codes), table.shape[1]))
            for others, fold in folds.split(codes):
                own[fold] = _means(codes[others], values[others], weights[others], n_codes)[codes[fold]]
            counts = np.log1p(np.bincount(codes, minlength=n_codes))[:, None]
            tables.append(np.hstack([table, counts]).astype(np.float32))
            parts.append(np.hstack([own, counts[codes]]).astype(np.float32))
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


def _means(
    codes: NDArray[np.int64], values: NDArray[np.float64], weights: NDArray[np.float64], n_codes: int
) -> NDArray[np.float64]:
    """The smoothed mean of the values (n, k) of each code, (n_codes, k), of rows with these codes and weights, (n,).

    As scikit-learn's ``TargetEncoder``, which knows no weights: a mean counts v / (v + w / n) and the overall mean the
    rest, with v the overall variance, w that within the code and n its sum of weights, in units of the mean weight.
    """
    weights = weights / weights.mean()
    overall = np.average(values, axis=0, weights=weights)
    values = values - overall
    variance = np.average(values**2, axis=0, weights=weights)
    n = np.bincount(codes, weights, n_codes)
    seen = n > 0
    result = np.tile(overall, (n_codes, 1))
    for k in range(values.shape[1]):
        mean = np.bincount(codes, weights * values[:, k], n_codes)[seen] / n[seen]
        squares = np.bincount(codes, weights * values[:, k] ** 2, n_codes)[seen] / n[seen]
        within = np.maximum(squares - mean**2, 0.0)
        share = variance[k] / np.maximum(variance[k] + within / n[seen], np.finfo(float).tiny)
        result[seen, k] += share * mean
    return result
