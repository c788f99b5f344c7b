"""Drift tests: whether new data differ from the training data, property by property."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from automl.analysis.multiple_testing import holm
from automl.data.ingest.encoder import Feature
from automl.data.inputs import Array, Columns, Inputs, Padded, Texts, Tokens, Windows
from automl.data.tokens import UNKNOWN
from automl.wording import significant

MAX_EXAMPLES = 5_000  # examples compared on each side
SIGNIFICANCE_LEVEL = 0.05  # probability of a false alarm in any property
FEW_COLUMNS = 64  # largest vector compared element by element
NO_CATEGORY = "missing or not in the training data"


@dataclass(frozen=True)
class Drift:
    """One property, compared between old and new examples."""

    name: str
    old: float  # mean of numbers; share of missing values or of the category
    new: float
    distance: float  # largest difference of the distribution functions; for categories the total variation
    p: float  # corrected for the number of properties (Holm 1979)
    category: str = ""  # the one whose share changed most

    @property
    def is_drift(self) -> bool:
        return self.p < SIGNIFICANCE_LEVEL

    def __str__(self) -> str:
        if not self.category:
            return f"{self.name} ({significant(self.old)} to {significant(self.new)})"
        category = self.category if self.category == NO_CATEGORY else repr(self.category)
        return f"{self.name} ({category}: {self.old:.1%} to {self.new:.1%} of the rows)"


def drifts(inputs: Inputs, old: Array, new: Array, features: Sequence[Feature] = ()) -> list[Drift]:
    """Compare every property of the raw examples; the most significant drift comes first.

    Numbers by the two-sample Kolmogorov-Smirnov test, categories and missing values by Pearson's chi-squared test.
    ``features``: the columns of a table, or the channels of a series.
    """
    if isinstance(inputs, Windows) or (isinstance(inputs, Columns) and inputs.steps is not None):
        found = [_compared_in_series(feature, i, inputs, old, new) for i, feature in enumerate(features)]
    else:
        rng = np.random.default_rng(0)
        sides = [side[rng.permutation(len(side))[:MAX_EXAMPLES]] for side in (old, new)]
        before, after = (properties(inputs, side, features) for side in sides)
        categories = {feature.name: feature.categories for feature in features}
        found = [_compared(name, before[name], after[name], categories.get(name, ())) for name in before]
    corrected = holm([drift.p for drift in found])
    both = [replace(drift, p=float(p)) for drift, p in zip(found, corrected, strict=True)]
    return sorted(both, key=lambda drift: (drift.p, -drift.distance))


def properties(inputs: Inputs, x: Array, features: Sequence[Feature] = ()) -> dict[str, NDArray[Any]]:
    """The properties compared, (n,) each: floats are numbers in the units of the file, integers the codes of
    categories, and Booleans mark missing values. Series have none of these.

    For a table: its columns. For texts: the numbers of words and characters. For token sequences: the length and the
    share of unknown tokens. For signals and images: mean and standard deviation of each channel, and the length. For
    vectors: each element, or mean and standard deviation if they are long.
    """
    if isinstance(inputs, Columns):
        return _of_table(inputs, x, features)
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
    present = ~np.isnan(channels)
    n = np.maximum(present.sum(2), 1)
    means = np.nansum(channels, 2) / n
    spreads = np.sqrt(np.nansum((channels - means[:, :, None]) ** 2, 2) / n)
    found: dict[str, NDArray[Any]] = {}
    for i in range(channels.shape[1]):
        of = f" of channel {i}" if channels.shape[1] > 1 else ""
        found |= {f"mean{of}": means[:, i], f"spread{of}": spreads[:, i]}
    if isinstance(inputs, Padded):
        found["length"] = present.any(1).sum(1).astype(float)
    return found


def _of_table(inputs: Columns, x: Array, features: Sequence[Feature]) -> dict[str, NDArray[Any]]:
    found: dict[str, NDArray[Any]] = {}
    for i in range(x.shape[1]):
        feature = features[i] if i < len(features) else Feature(f"column {i}")
        values = x[:, i]
        if i >= inputs.n_numbers:
            found[feature.name] = values.astype(np.int64)
            continue
        found[feature.name] = values.astype(float) * feature.unit + feature.offset
        found[f"{feature.name} missing"] = np.isnan(values)
    return found


def _compared_in_series(feature: Feature, channel: int, inputs: Windows | Columns, old: Array, new: Array) -> Drift:
    """Windows overlap, so only the newest value of each is compared. These depend on each other: n values of lag-1
    autocorrelation r count as n (1 - r) / (1 + r) independent ones, at least one (Wilks 1997)."""
    from scipy import stats

    steps = inputs.shape[-1] if isinstance(inputs, Windows) else inputs.steps
    assert steps is not None
    ends = [
        side[:, channel, -2:] if side.ndim == 3 else side[:, (channel + 1) * steps - 2 : (channel + 1) * steps]
        for side in (old, new)
    ]
    before, after = (side.astype(np.float64) + feature.offset for side in ends)
    correlation = float(stats.pearsonr(*before.T).statistic) if np.ptp(before, 0).all() else 0.0
    share = (1 - correlation) / (1 + correlation) if correlation > 0 else 1.0
    n = share * len(before) * len(after) / (len(before) + len(after))
    distance = float(stats.ks_2samp(before[:, 1], after[:, 1], method="asymp").statistic)
    p = float(stats.kstwo.sf(distance, max(1, round(n))))
    return Drift(feature.name, float(before[:, 1].mean()), float(after[:, 1].mean()), distance, p)


def _compared(name: str, old: NDArray[Any], new: NDArray[Any], categories: Sequence[str]) -> Drift:
    """``categories``: of the codes from 1 on, if the property has codes."""
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
    changes = np.abs(shares[0] - shares[1])
    p = 1.0 if len(values) == 1 else float(stats.chi2_contingency(counts, correction=False).pvalue)
    if old.dtype.kind == "b":
        return Drift(name, float(old.mean()), float(new.mean()), float(changes.sum() / 2), p)
    most = int(changes.argmax())
    known = dict(enumerate((NO_CATEGORY, *categories)))
    category = known.get(int(values[most]), f"code {values[most]}")
    before, after = map(float, shares[:, most])
    return Drift(name, before, after, float(changes.sum() / 2), p, category)
