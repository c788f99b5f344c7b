"""Statistical tests and intervals for comparing strategies: pure functions on regrets.

Seeds are averaged within a task, then tasks within a unit: a group of variants, such as one function in several
dimensions. Variants are not independent evidence, so tests count units and the bootstrap resamples units.
A. Benavoli et al. (JMLR 17(5), 2016) for Wilcoxon with Holm instead of Nemenyi, whose result for a pair depends on the
other strategies.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from automl.analysis.multiple_testing import holm

LEVEL = 0.05
N_DRAWS = 2000  # bootstrap samples
FEW_RANKS = 13  # number of differences up to which all choices of their signs are counted

Units = pd.Series | None  # the unit of each (suite, task); None: each task is a unit


@dataclass(frozen=True)
class Interval:
    """An estimate and its 95% interval."""

    mean: float
    low: float
    high: float


def unit_keys(index: pd.Index[Any], units: Units) -> list[Any]:
    """The group keys for means over the tasks of a unit. ``index``: its first two levels are suite and task."""
    suites, tasks = (index.get_level_values(i) for i in (0, 1))
    if units is not None:
        found = units.reindex(pd.MultiIndex.from_arrays([suites, tasks])).to_numpy()
        tasks = pd.Index(found, name="unit")
    return [suites, tasks]


def resamples(index: pd.Index[Any], n_draws: int = N_DRAWS, seed: int = 0, units: Units = None) -> np.ndarray:
    """Bootstrap samples as weights, one row per sample: ``weights @ values`` is the mean over units, tasks and seeds.

    ``index``: (suite, task, seed) of each value. Seeds are resampled within each task and, with ``units``, units as
    well: the tasks of a unit drawn twice get twice as many seeds.
    """
    codes, first = _numbered([index.get_level_values(i) for i in (0, 1)])
    of_unit = tuple(_numbered(unit_keys(index[first], units))[0].tolist())
    order = np.argsort(codes, kind="stable")
    weights = np.empty((n_draws, len(index)))
    n_seeds = tuple(np.bincount(codes).tolist())
    weights[:, order] = _drawn(n_seeds, of_unit, units is not None, n_draws, seed)
    return weights


def _numbered(keys: list[Any]) -> tuple[np.ndarray, np.ndarray]:
    """Integer codes by first appearance, and the position of each first appearance."""
    combined = np.zeros(len(keys[0]), dtype=np.int64)
    for key in keys:  # much faster than factorizing a MultiIndex, which makes tuples
        codes, found = pd.factorize(key, use_na_sentinel=False)
        combined = combined * len(found) + codes
    codes = pd.factorize(combined)[0]
    return codes, np.unique(codes, return_index=True)[1]


@functools.lru_cache(maxsize=4)  # the same for every budget and clock of a field
def _drawn(n_seeds: tuple[int, ...], of_unit: tuple[int, ...], units: bool, n_draws: int, seed: int) -> np.ndarray:
    """The weights for values sorted by task."""
    rng = np.random.default_rng(seed)
    n_tasks = np.bincount(of_unit)
    times = np.ones((n_draws, len(n_tasks)), dtype=np.int64)
    if units:
        times = rng.multinomial(len(n_tasks), np.full(len(n_tasks), 1 / len(n_tasks)), size=n_draws)
    blocks = [
        rng.multinomial(times[:, unit] * n, np.full(n, 1 / n)) / (n * n_tasks[unit] * len(n_tasks))
        for unit, n in zip(of_unit, n_seeds, strict=True)
    ]
    return np.concatenate(blocks, axis=1)


def of_these(values: pd.DataFrame, units: Units = None) -> tuple[pd.Series, pd.Series]:
    """Lower and upper bounds of 95% intervals for *these tasks*, over seeds only: Student's t with B. Welch's (1947)
    degrees of freedom. For tasks like these, see ``certainty.expected``.

    ``values``: by (suite, task, seed). Valid for few seeds too, where a bootstrap is too narrow. NaN if a task has a
    single seed.
    """
    from scipy import stats

    by_task = values.groupby([values.index.get_level_values(i) for i in (0, 1)], sort=False)
    counts = by_task.size().to_numpy()[:, None]
    means = by_task.mean()
    codes, _ = _numbered(unit_keys(means.index, units))
    n_tasks = np.bincount(codes)
    weights = (1 / (n_tasks[codes] * len(n_tasks)))[:, None]
    parts = weights**2 * by_task.var().to_numpy() / counts  # of the variance of the mean
    variance = parts.sum(axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        freedom = variance**2 / (parts**2 / (counts - 1)).sum(axis=0)
        half = np.where(variance == 0, 0.0, stats.t.isf(LEVEL / 2, freedom) * np.sqrt(variance))
    mean = (weights * means).sum(axis=0, skipna=False)
    return mean - half, mean + half


def of_each(values: pd.DataFrame) -> pd.DataFrame:
    """By (suite, task) and column, the ``mean`` over seeds with its 95% interval ``low`` to ``high``: Student's t.

    ``values``: by (suite, task, seed). The interval is NaN for a single seed.
    """
    from scipy import stats

    by_task = values.groupby(["suite", "task"])
    counts, mean = by_task.size().to_numpy()[:, None], by_task.mean()
    error = np.sqrt(by_task.var() / counts)
    half = stats.t.isf(LEVEL / 2, counts - 1) * error
    tables = {"mean": mean, "low": mean - half, "high": mean + half}
    return pd.DataFrame({name: table.stack(future_stack=True) for name, table in tables.items()})


def paired_interval(a: pd.Series, b: pd.Series) -> Interval:
    """The mean of a - b over the shared seeds of one task, by Student's t; below 0, a is better.

    Infinitely wide for a single seed. A bootstrap over so few seeds would be too narrow: with 3, two equal strategies
    would appear different in a quarter of all comparisons.
    """
    from scipy import stats

    difference = (a - b).dropna().to_numpy()
    n, mean = len(difference), float(difference.mean())
    if n < 2:
        return Interval(mean, -np.inf, np.inf)
    half = float(stats.t.isf(LEVEL / 2, n - 1) * difference.std(ddof=1) / np.sqrt(n))
    return Interval(mean, mean - half, mean + half)


def friedman(table: pd.DataFrame) -> float:
    """The p-value of Friedman's test for the columns of a table (units x strategies, 3 or more)."""
    from scipy import stats

    if (table.nunique(axis=1) == 1).all():
        return 1.0
    return float(stats.friedmanchisquare(*(table[name] for name in table.columns)).pvalue)


def against(table: pd.DataFrame, first: str) -> pd.DataFrame:
    """The signed-rank test over units (rows) of one column against each other: a row per other, lowest mean first.

    ``difference``: mean of ``a``, the first, minus mean of ``b``. ``p``: raw; ``p_holm``: corrected for their number,
    which adding a strategy changes, but not which of the others is compared with which.
    """
    means = table.mean().sort_values(kind="stable")
    others = means.index.drop(first)
    rows = [(first, b, means[first] - means[b], signed_rank(table[first] - table[b])) for b in others]
    found = pd.DataFrame(rows, columns=["a", "b", "difference", "p"])
    return found.assign(p_holm=holm(found["p"]))


def signed_rank(differences: pd.Series) -> float:
    """The p-value of Wilcoxon's signed-rank test; differences of 0 are left out.

    As ``scipy.stats.wilcoxon``, which takes a thousand times as long for few differences with ties.
    """
    from scipy import stats

    known = differences[differences != 0].to_numpy()
    n = len(known)
    if n == 0:
        return 1.0
    if n > FEW_RANKS:
        return float(stats.wilcoxon(known).pvalue)
    ranks = stats.rankdata(np.abs(known))
    positive = (np.arange(2**n)[:, None] >> np.arange(n) & 1) @ ranks  # for every choice of signs
    seen = ranks[known > 0].sum()
    return float(min(1.0, 2 * min((positive <= seen).mean(), (positive >= seen).mean())))
