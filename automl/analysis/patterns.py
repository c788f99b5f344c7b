"""Patterns in groups of trials: regions without good trials, what the best share, and which ones fail.

A pattern is reported only if it is significant: under random permutation of the trials, any pattern of its kind in any
hyperparameter appears in at most 1 of 20 runs (Bonferroni).
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from automl.analysis.comparable import SIGNIFICANCE_LEVEL, BarelyExplored, chance_of_none
from automl.analysis.formatting import setting
from automl.study.trial import Trial
from strategies.encoding import Dimension, Encoding

N_DEALS = 2000
BEST_SHARE, MIN_BEST = 0.1, 3
MIN_FAILED = 3
MIN_HOPELESS = 5


@dataclass(frozen=True)
class SharedValues:
    """A hyperparameter's values in the best trials, in words; ``telling`` if they are significantly similar."""

    name: str
    values: str
    telling: bool


@dataclass(frozen=True)
class FailureCondition:
    """The condition that best separates failed trials, in words, and how many trials failed with it and without."""

    condition: str
    n_failed_with: int
    n_with: int
    n_failed_without: int
    n_without: int


def varying(encoding: Encoding) -> list[Dimension]:
    """The hyperparameters that can take more than one value."""
    return [dim for dim in encoding.dimensions if dim.n_values > 1]


# --- regions without good trials ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class HopelessRegion:
    """A region without good trials, in words, and its number of trials."""

    where: str
    n_trials: int


def hopeless(
    dims: Sequence[Dimension], trials: Sequence[Trial], good: np.ndarray, barely: Sequence[BarelyExplored] = ()
) -> Iterator[HopelessRegion]:
    """Ends of ranges, and choices, without good trials. ``good``: whether each trial is, shape (n,).

    If the end of a range is ``barely`` explored, the region ends before it.
    """
    unknown = {(region.name, region.side) for region in barely}
    n_looks = sum(2 if dim.numeric else len(dim.values) for dim in dims)
    for dim in dims:
        has = np.array([dim.name in trial.config for trial in trials])
        units = np.array([dim.to_unit(t.config[dim.name]) for t in trials if dim.name in t.config])
        works = good[has]
        if not works.any():
            continue
        low, high = float(units[works].min()), float(units[works].max())
        if dim.numeric:
            looks = [
                (_beyond(dim, "below", low, float(units.min()), unknown), units < low),
                (_beyond(dim, "above", high, float(units.max()), unknown), units > high),
            ]
        else:
            looks = [(f"with {dim.name} = {setting(v)}", units == dim.to_unit(v)) for v in dim.values]
        for where, inside in looks:
            n_inside = int(inside.sum())
            # Searches avoid regions whose first trials were bad, so significance alone is not enough.
            surprising = (
                n_inside >= MIN_HOPELESS
                and chance_of_none(n_inside, int(works.sum()), len(works)) <= SIGNIFICANCE_LEVEL / n_looks
            )
            if surprising and not works[inside].any():
                yield HopelessRegion(where, n_inside)


def _beyond(dim: Dimension, side: str, last: float, end: float, unknown: set[tuple[str, str]]) -> str:
    """The explored values on one side of the last good one."""
    edge = setting(dim.from_unit(last))
    if (dim.name, side) not in unknown:
        return f"{side} {dim.name} = {edge}"
    ends = setting(dim.from_unit(end)), edge
    return "between {} = {} and {}".format(dim.name, *(ends if side == "below" else reversed(ends)))


# --- what the best share ------------------------------------------------------------------------------------------


def best_of(values: np.ndarray, maximize: bool) -> np.ndarray:
    """Indices of the best 10% of trials, at least 3, shape (k,)."""
    n_best = min(len(values), max(MIN_BEST, math.ceil(BEST_SHARE * len(values))))
    return np.argsort(-values if maximize else values, kind="stable")[:n_best]


def shared(encoding: Encoding, trials: Sequence[Trial], best: np.ndarray, seed: int) -> list[SharedValues]:
    """What the best trials (indices, shape (k,)) have in common, for each hyperparameter."""
    rng = np.random.default_rng(seed)
    dims = varying(encoding)
    rows = []
    for dim in dims:
        units = np.array([dim.to_unit(t.config[dim.name]) if dim.name in t.config else np.nan for t in trials])
        if np.isnan(units[best]).any():
            continue  # not active in all of them
        deals = rng.permuted(np.tile(units[~np.isnan(units)], (N_DEALS, 1)), axis=1)[:, : len(best)]
        as_alike = np.mean(_spread(dim, deals) <= _spread(dim, units[best][None])[0] + 1e-12)
        telling = bool(as_alike <= SIGNIFICANCE_LEVEL / len(dims))
        rows.append(SharedValues(dim.name, _in_words(dim, units[best]), telling))
    return rows


def _spread(dim: Dimension, units: np.ndarray) -> np.ndarray:
    """The spread of coordinates per row, (rows, k) to (rows,): their range, or how many are not the most common one."""
    if dim.numeric:
        return np.asarray(units.max(axis=1) - units.min(axis=1))
    commonest = np.max([(units == dim.to_unit(v)).sum(axis=1) for v in dim.values], axis=0)
    return np.asarray(units.shape[1] - commonest)


def _in_words(dim: Dimension, units: np.ndarray) -> str:
    if dim.numeric:
        low, high = (setting(dim.from_unit(float(end))) for end in (units.min(), units.max()))
        return low if low == high else f"{low} to {high}"
    counts = Counter(setting(dim.from_unit(float(u))) for u in units).most_common()
    return counts[0][0] if len(counts) == 1 else ", ".join(f"{v} ({n} of {len(units)})" for v, n in counts)


# --- which ones fail ----------------------------------------------------------------------------------------------


def failing(encoding: Encoding, trials: Sequence[Trial], seed: int) -> FailureCondition | None:
    """The condition on one hyperparameter that best separates failed trials; None if none is significant."""
    trials = [trial for trial in trials if trial.state not in ("running",)]
    failed = np.array([trial.state == "failed" for trial in trials])
    if failed.sum() < MIN_FAILED or failed.all():
        return None
    columns = list(_columns(encoding, trials))
    while columns:
        found = _best_condition(columns, failed, seed)
        if found is None:
            return None
        dim, condition, with_it = found
        if all(dim.name in trial.config for trial, has in zip(trials, with_it, strict=True) if has):
            n_with, n_failed_with = int(with_it.sum()), int(failed[with_it].sum())
            return FailureCondition(
                condition, n_failed_with, n_with, int(failed.sum()) - n_failed_with, len(trials) - n_with
            )
        # A condition on a hyperparameter that some of these trials do not have would be false of them.
        columns = [column for column in columns if column[0].name != dim.name]
    return None


def _best_condition(
    columns: Sequence[tuple[Dimension, str | None, np.ndarray]], failed: np.ndarray, seed: int
) -> tuple[Dimension, str, np.ndarray] | None:
    """The condition that best separates failed trials, in words, and which trials (n,) meet it; None if that may be
    chance."""
    from sklearn.tree import DecisionTreeClassifier

    X = np.array([column for _, _, column in columns]).T
    stump = DecisionTreeClassifier(max_depth=1, random_state=0)

    def split(which: np.ndarray) -> float:
        tree = stump.fit(X, which).tree_
        if tree.node_count == 1:
            return math.inf
        weights = tree.weighted_n_node_samples[1:] / len(X)
        return float(weights @ tree.impurity[1:])

    rng = np.random.default_rng(seed)
    found = split(failed)
    by_chance = [split(rng.permutation(failed)) for _ in range(200)]
    if not np.mean([other <= found + 1e-12 for other in by_chance]) <= SIGNIFICANCE_LEVEL:
        return None
    split(failed)
    dim, value_is, column = columns[stump.tree_.feature[0]]
    right = column > stump.tree_.threshold[0]
    with_it = right if failed[right].mean() > failed[~right].mean() else ~right
    if value_is is not None:
        condition = f"{dim.name} {'=' if with_it is right else 'other than'} {value_is}"
    else:
        edge = column[with_it].min() if with_it is right else column[with_it].max()
        condition = f"{dim.name} {'from' if with_it is right else 'up to'} {setting(dim.from_unit(float(edge)))}"
    return dim, condition, with_it


def _columns(encoding: Encoding, trials: Sequence[Trial]) -> Iterator[tuple[Dimension, str | None, np.ndarray]]:
    """Features for conditions: coordinates of a number, or whether a choice has a value; -1 if inactive."""
    for dim in varying(encoding):
        units = np.array([dim.to_unit(t.config[dim.name]) if dim.name in t.config else -1.0 for t in trials])
        if dim.numeric:
            yield dim, None, units
        else:
            for v in dim.values:
                yield dim, setting(v), (units == dim.to_unit(v)).astype(float)
