"""Drift tests: whether new data differ from the training data, property by property."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from automl.analysis.multiple_testing import holm
from automl.data.inputs import Array, Columns, Inputs, Padded, Texts, Tokens
from automl.data.tokens import UNKNOWN

MOST = 5_000  # examples compared on each side
SURE = 0.05  # probability of a false alarm in any property
FEW_COLUMNS = 64  # largest vector compared element by element


@dataclass(frozen=True)
class Drift:
    """One property, compared between old and new examples."""

    name: str
    old: float  # mean of numbers; share of missing values, or of the old examples' most frequent category
    new: float
    distance: float  # largest difference of the distribution functions; for categories the total variation
    p: float  # corrected for the number of properties (Holm 1979)

    @property
    def is_drift(self) -> bool:
        return self.p < SURE


def drifts(inputs: Inputs, old: Array, new: Array, names: tuple[str, ...] = ()) -> list[Drift]:
    """Compare every property of the raw examples; the most significant drift comes first.

    Numbers by the two-sample Kolmogorov-Smirnov test, categories and missing values by Pearson's chi-squared test.
    ``names``: of the columns of a table, or of the channels of a series.
    """
    rng = np.random.default_rng(0)
    sides = [side[rng.permutation(len(side))[:MOST]] for side in (old, new)]
    before, after = (properties(inputs, side, names) for side in sides)
    found = [_compared(name, before[name], after[name]) for name in before]
    corrected = holm([drift.p for drift in found])
    both = [Drift(d.name, d.old, d.new, d.distance, float(p)) for d, p in zip(found, corrected, strict=True)]
    return sorted(both, key=lambda drift: (drift.p, -drift.distance))


def properties(inputs: Inputs, x: Array, names: tuple[str, ...] = ()) -> dict[str, NDArray[Any]]:
    """The properties compared, (n,) each: floats are numbers, integers categories, and Booleans mark missing values.

    For a table: its columns. For texts: the numbers of words and characters. For token sequences: the length and the
    share of unknown tokens. For signals and images: mean and standard deviation of each channel, and the length. For
    vectors: each element, or mean and standard deviation if they are long.
    """
    if isinstance(inputs, Columns):
        return _of_table(inputs, x, names)
    if isinstance(inputs, Tokens):
        length = (x > 0).sum(1)
        unknown = (x == UNKNOWN).sum(1) / np.maximum(length, 1)
        return {"length": length.astype(float), "share of unknown tokens": unknown}
    if isinstance(inputs, Texts):
        words = np.array([text.count(" ") + 1 for text in x], float)
        return {"words": words, "characters": np.array([len(text) for text in x], float)}
    if x.ndim == 2 and x.shape[1] <= FEW_COLUMNS:
        return {f"element {i}": x[:, i].astype(float) for i in range(x.shape[1])}
    channels = x.reshape(len(x), x.shape[1] if x.ndim > 2 else 1, -1).astype(np.float64)
    there = ~np.isnan(channels)
    n = np.maximum(there.sum(2), 1)
    means = np.nansum(channels, 2) / n
    spreads = np.sqrt(np.nansum((channels - means[:, :, None]) ** 2, 2) / n)
    found: dict[str, NDArray[Any]] = {}
    for i in range(channels.shape[1]):
        of = f" of {names[i]}" if names else f" of channel {i}" if channels.shape[1] > 1 else ""
        found |= {f"mean{of}": means[:, i], f"spread{of}": spreads[:, i]}
    if isinstance(inputs, Padded):
        found["length"] = there.any(1).sum(1).astype(float)
    return found


def _of_table(inputs: Columns, x: Array, names: tuple[str, ...]) -> dict[str, NDArray[Any]]:
    found: dict[str, NDArray[Any]] = {}
    for i in range(x.shape[1]):
        name = names[i] if i < len(names) else f"column {i}"
        values = x[:, i]
        if i >= inputs.n_numbers:
            found[name] = values.astype(np.int64)
            continue
        found[name] = values.astype(float)
        found[f"{name} missing"] = np.isnan(values)
    return found


def _compared(name: str, old: NDArray[Any], new: NDArray[Any]) -> Drift:
    from scipy import stats

    if old.dtype.kind == "f":
        old, new = old[~np.isnan(old)], new[~np.isnan(new)]
        if not len(old) or not len(new):
            return Drift(name, float("nan"), float("nan"), 0.0, 1.0)  # covered by the share of missing values
        test = stats.ks_2samp(old, new, method="asymp")
        return Drift(name, float(old.mean()), float(new.mean()), float(test.statistic), float(test.pvalue))
    values = np.union1d(old, new)
    counts = np.array([[np.sum(side == value) for value in values] for side in (old, new)])
    shares = counts / counts.sum(1, keepdims=True)
    before, after = (old.mean(), new.mean()) if old.dtype.kind == "b" else shares[:, counts[0].argmax()]
    p = 1.0 if len(values) == 1 else float(stats.chi2_contingency(counts, correction=False).pvalue)
    return Drift(name, float(before), float(after), float(np.abs(shares[0] - shares[1]).sum() / 2), p)
