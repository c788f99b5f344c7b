"""The user's beliefs about where the optimum lies: a distribution for each hyperparameter.

C. Hvarfner et al., piBO: Augmenting Acquisition Functions with User Beliefs for Bayesian Optimization (ICLR 2022).

Glossary as in ``features``; a belief about a number is a normal distribution of its coordinate, truncated to [0, 1].
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from strategies.encoding import Dimension

if TYPE_CHECKING:
    from strategies.features import Features

SHARE = 0.1  # strength of a belief, as a share of the budget: after this many trials it weighs as much as the model
UNKNOWN_STRENGTH = 5.0  # the same for an unknown budget, in trials


class Beliefs:
    """The beliefs about the hyperparameters of a space; false if there are none."""

    def __init__(self, dims: Sequence[Dimension]) -> None:
        self._dims = dims
        self._numbers = [i for i, dim in enumerate(dims) if dim.belief is not None and dim.numeric]
        self._choices = [i for i, dim in enumerate(dims) if dim.belief is not None and not dim.numeric]

    def __bool__(self) -> bool:
        return bool(self._numbers or self._choices)

    def drawn(self, u: np.ndarray) -> np.ndarray:
        """A uniform point, (d,), moved so that its coordinates are distributed as believed."""
        from scipy.special import ndtr, ndtri

        point = u.copy()
        for i in self._numbers:
            mean, sd = self._normal(i)
            low, high = ndtr((0.0 - mean) / sd), ndtr((1.0 - mean) / sd)
            point[i] = np.clip(mean + sd * ndtri(low + u[i] * (high - low)), 0.0, 1.0)
        for i in self._choices:
            p = self._probabilities(i)
            ends = np.cumsum(p)
            value = min(int(np.searchsorted(ends, u[i], side="right")), len(p) - 1)
            point[i] = (value + 0.5) / len(p)
        return point

    def log_density(self, features: Features, X: np.ndarray) -> np.ndarray:
        """The log density at features (m, D), relative to the uniform one: (m,). Only active hyperparameters count."""
        from scipy.special import ndtr

        total, active = np.zeros(len(X)), features.active(X)
        for i in self._numbers:
            mean, sd = self._normal(i)
            mass = np.sqrt(2.0 * np.pi) * sd * (ndtr((1.0 - mean) / sd) - ndtr((0.0 - mean) / sd))
            total -= active[:, i] * (0.5 * ((X[:, features.starts[i]] - mean) / sd) ** 2 + np.log(mass))
        for i in self._choices:
            p, start = self._probabilities(i), features.starts[i]
            total += active[:, i] * (X[:, start : start + len(p)] / np.sqrt(0.5) @ np.log(len(p) * p))
        return total

    def gradient(self, features: Features, X: np.ndarray) -> np.ndarray:
        """The gradient of ``log_density`` with respect to the numbers, (m, D)."""
        found, active = np.zeros_like(X), features.active(X)
        for i in self._numbers:
            mean, sd = self._normal(i)
            found[:, features.starts[i]] = active[:, i] * (mean - X[:, features.starts[i]]) / sd**2
        return found

    def _normal(self, i: int) -> tuple[float, float]:
        """Mean and standard deviation of a coordinate before truncation."""
        belief = self._dims[i].belief
        assert belief is not None
        around, sure = belief
        return self._dims[i].to_unit(around), (1.0 - sure) / 2.0

    def _probabilities(self, i: int) -> np.ndarray:
        """The probabilities of a choice's values."""
        dim = self._dims[i]
        assert dim.belief is not None
        around, sure = dim.belief
        p = np.full(len(dim.values), (1.0 - sure) / len(dim.values))
        p[dim.values.index(around)] += sure
        return p


def power_of(n_trials: int | None, n_told: int) -> float:
    """The power after ``n_told`` trials: the strength divided by their number."""
    strength = UNKNOWN_STRENGTH if n_trials is None else SHARE * n_trials
    return strength / max(1, n_told)
