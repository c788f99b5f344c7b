"""Vectorised features of points in the unit cube for a Gaussian process.

Glossary: m points, d hyperparameters, D features. ``points`` has the shape (m, d), ``features`` (m, D). A number is one
feature; a choice of k values is k features, one-hot divided by sqrt(2), so that any two values are at distance 1.
"""

from __future__ import annotations

from functools import cached_property

import numpy as np

from strategies.encoding import Encoding

MANY_VALUES = 12  # an int with more values is searched like a float and rounded


class Features:
    """Maps points to features directly, without building configs."""

    def __init__(self, encoding: Encoding, *, with_epochs: bool = False) -> None:
        """``with_epochs``: append the share of a full training on a log scale as the last feature; 1 by default."""
        self.encoding = encoding
        self.dims = encoding.dimensions
        widths = [1 if dim.numeric else len(dim.values) for dim in self.dims]
        self.starts = np.cumsum([0, *widths])[:-1]
        self.with_epochs = with_epochs
        self.n_features = sum(widths) + with_epochs
        self._default = encoding.encode({})
        self._active: dict[tuple[float, ...], np.ndarray] = {}

    @cached_property
    def hyperparameter(self) -> np.ndarray:
        """The index of the hyperparameter that each feature belongs to, shape (D,)."""
        widths = [1 if dim.numeric else len(dim.values) for dim in self.dims]
        return np.repeat(np.arange(len(self.dims) + self.with_epochs), [*widths, *[1] * self.with_epochs])

    @cached_property
    def smooth(self) -> np.ndarray:
        """Indices of the hyperparameters that are searched with gradients."""
        return np.array([i for i, dim in enumerate(self.dims) if dim.numeric and dim.n_values > MANY_VALUES], dtype=int)

    @cached_property
    def stepwise(self) -> list[int]:
        """Indices of the hyperparameters whose values are enumerated; constants are excluded."""
        return [i for i, dim in enumerate(self.dims) if dim.n_values > 1 and i not in self.smooth]

    def legal(self, points: np.ndarray) -> np.ndarray:
        """The points moved to the centres of their cells, with inactive hyperparameters at their defaults."""
        result: np.ndarray = np.clip(points, 0.0, 1.0)
        for i, dim in enumerate(self.dims):
            if dim.values:
                n = len(dim.values)
                result[:, i] = (np.minimum((result[:, i] * n).astype(int), n - 1) + 0.5) / n
            elif dim.kind == "int":
                low, high = dim._edges
                position = low + result[:, i] * (high - low)
                value = np.clip(np.round(np.exp(position) if dim.log else position), dim.low, dim.high)
                result[:, i] = ((np.log(value) if dim.log else value) - low) / (high - low)
        if self.encoding.conditional:
            result = np.where(self._activity(result), result, self._default)
        return result

    def features(self, points: np.ndarray) -> np.ndarray:
        """Features (m, D) of points (m, d). Ints need not be at cell centres, so gradients between values exist."""
        result = np.zeros((len(points), self.n_features))
        if self.with_epochs:
            result[:, -1] = 1.0
        for i, (dim, start) in enumerate(zip(self.dims, self.starts, strict=True)):
            if dim.numeric:
                result[:, start] = points[:, i]
            else:
                n = len(dim.values)
                value = np.minimum((points[:, i] * n).astype(int), n - 1)
                result[np.arange(len(points)), start + value] = np.sqrt(0.5)
        return result

    def active(self, X: np.ndarray) -> np.ndarray:
        """Which hyperparameters are active at features (m, D), shape (m, d)."""
        points = np.tile(self._default, (len(X), 1))
        for i in self.encoding.parents:
            dim, start = self.dims[i], self.starts[i]
            if dim.numeric:
                points[:, i] = X[:, start]
            else:
                n = len(dim.values)
                points[:, i] = (X[:, start : start + n].argmax(axis=1) + 0.5) / n
        return self._activity(points)

    def _activity(self, points: np.ndarray) -> np.ndarray:
        """Which hyperparameters are active, shape (m, d), cached by the values of the conditions' parents."""
        asked = points[:, self.encoding.parents]
        result = np.empty(points.shape, dtype=bool)
        for k, key in enumerate(map(tuple, asked.tolist())):
            if key not in self._active:
                config = self.encoding.decode(points[k])
                self._active[key] = np.array([dim.name in config for dim in self.dims])
            result[k] = self._active[key]
        return result
