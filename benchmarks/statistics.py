"""Which strategy is better, and how sure that is: pure functions on regrets.

The unit is the task: seeds are averaged first. A. Benavoli et al. (JMLR 17(5), 2016) for Wilcoxon with Holm in place
of Nemenyi, whose verdict on A against B depends on who else takes part; R. Agarwal et al. (NeurIPS 2021) for the
stratified bootstrap.
"""

from __future__ import annotations

import functools
import itertools
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

MIN_TASKS = 10  # fewer give the tests no power
LEVEL = 0.05
N_DRAWS = 2000  # of a bootstrap


@dataclass(frozen=True)
class Interval:
    """An estimate and its 95% interval."""

    mean: float
    low: float
    high: float


def resamples(index: pd.Index[Any], *, tasks: bool, n_draws: int = N_DRAWS, seed: int = 0) -> np.ndarray:
    """Bootstrap draws as weights, one row a draw: ``weights @ values`` is the mean over tasks of the mean over seeds.

    ``index``: (suite, task, seed) of each value. Seeds are drawn anew within each task; with ``tasks`` so are the
    tasks, and one that is drawn twice gets its seeds twice.
    """
    codes, names = pd.factorize(pd.MultiIndex.from_arrays([index.get_level_values(i) for i in (0, 1)]))
    order = np.argsort(codes, kind="stable")
    weights = np.empty((n_draws, len(index)))
    weights[:, order] = _drawn(tuple(np.bincount(codes, minlength=len(names)).tolist()), tasks, n_draws, seed)
    return weights


@functools.lru_cache(maxsize=4)  # the same for every budget and clock of a field
def _drawn(n_seeds: tuple[int, ...], tasks: bool, n_draws: int, seed: int) -> np.ndarray:
    """The weights of values that lie task by task."""
    rng = np.random.default_rng(seed)
    n_tasks = len(n_seeds)
    times = np.ones((n_draws, n_tasks), dtype=np.int64)
    if tasks:
        times = rng.multinomial(n_tasks, np.full(n_tasks, 1 / n_tasks), size=n_draws)
    blocks = [rng.multinomial(times[:, task] * n, np.full(n, 1 / n)) / (n * n_tasks) for task, n in enumerate(n_seeds)]
    return np.concatenate(blocks, axis=1)


def intervals(values: pd.DataFrame, *, tasks: bool) -> tuple[pd.Series, pd.Series]:
    """Low and high ends of the 95% intervals of all columns, in the same draws. ``values``: see ``resamples``."""
    draws = resamples(values.index, tasks=tasks) @ values.to_numpy()
    low, high = np.quantile(draws, [LEVEL / 2, 1 - LEVEL / 2], axis=0)
    return pd.Series(low, index=values.columns), pd.Series(high, index=values.columns)


def stratified_interval(regret: pd.Series) -> Interval:
    """The mean over tasks of the mean over seeds, seeds drawn anew within each task: sure of *these* tasks.

    ``regret``: by (suite, task, seed), of one strategy.
    """
    return _interval(regret, tasks=False)


def two_level_interval(regret: pd.Series) -> Interval:
    """The same mean, with tasks drawn anew as well: sure of *tasks like these*."""
    return _interval(regret, tasks=True)


def _interval(regret: pd.Series, *, tasks: bool) -> Interval:
    low, high = intervals(regret.to_frame(), tasks=tasks)
    mean = regret.groupby(["suite", "task"]).mean().mean()
    return Interval(float(mean), float(low.iloc[0]), float(high.iloc[0]))


def paired_interval(a: pd.Series, b: pd.Series, n_draws: int = N_DRAWS, seed: int = 0) -> Interval:
    """The mean of a - b over the seeds that both have on one task, seeds drawn anew; below 0, a is better."""
    difference = (a - b).dropna().to_numpy()
    drawn = np.random.default_rng(seed).integers(len(difference), size=(n_draws, len(difference)))
    low, high = np.quantile(difference[drawn].mean(axis=1), [LEVEL / 2, 1 - LEVEL / 2])
    return Interval(float(difference.mean()), float(low), float(high))


def friedman(table: pd.DataFrame) -> float:
    """The probability of such differences between the columns if all were the same (tasks x strategies, 3 or more)."""
    from scipy import stats

    if (table.nunique(axis=1) == 1).all():
        return 1.0
    return float(stats.friedmanchisquare(*(table[name] for name in table.columns)).pvalue)


def pairwise(table: pd.DataFrame) -> pd.DataFrame:
    """All pairs of columns by the signed-rank test over tasks (rows): a row a pair, a the one with the lower mean.

    ``difference``: mean of a less mean of b. ``p``: raw; ``p_holm``: corrected for the number of pairs. ``agrees``:
    whether a has the lower ranks too; where it has not, a few tasks decide the means and most others say the contrary.
    """
    from scipy import stats

    means = table.mean().sort_values(kind="stable")
    rows = []
    for a, b in itertools.combinations(means.index, 2):
        differences = (table[a] - table[b]).to_numpy()
        differences = differences[differences != 0]
        p, balance = 1.0, 0.0
        if len(differences):
            p = float(stats.wilcoxon(differences).pvalue)
            balance = float(np.sum(np.sign(differences) * stats.rankdata(np.abs(differences))))
        rows.append((a, b, means[a] - means[b], p, balance < 0))
    found = pd.DataFrame(rows, columns=["a", "b", "difference", "p", "agrees"])
    return found.assign(p_holm=holm(list(found["p"])))


def symmetric(pairs: pd.DataFrame) -> pd.DataFrame:
    """The corrected p-values of ``pairwise`` as a table with a row and a column a strategy, and 1 on the diagonal."""
    names = list(dict.fromkeys([*pairs["a"], *pairs["b"]]))
    result = pd.DataFrame(1.0, index=names, columns=names)
    for a, b, p in zip(pairs["a"], pairs["b"], pairs["p_holm"], strict=True):
        result.loc[a, b] = result.loc[b, a] = p
    return result


def holm(p_values: list[float]) -> list[float]:
    """Holm's step-down correction (S. Holm 1979): the k-th smallest of m times m - k + 1, never falling, at most 1."""
    order = np.argsort(p_values)
    factors = len(p_values) - np.arange(len(p_values))
    adjusted = np.minimum(1.0, np.maximum.accumulate(np.array(p_values)[order] * factors))
    result = np.empty(len(p_values))
    result[order] = adjusted
    return [float(p) for p in result]


def cliques(mean_ranks: pd.Series, p_values: pd.DataFrame, level: float = LEVEL) -> list[list[str]]:
    """The largest groups of neighbours in rank among whom no pair differs significantly; single ones left out."""
    names = list(mean_ranks.sort_values(kind="stable").index)
    found: list[list[str]] = []
    for i in range(len(names)):
        j = i + 1
        while j < len(names) and all(p_values.loc[names[k], names[j]] > level for k in range(i, j)):
            j += 1
        group = names[i:j]
        if len(group) > 1 and not any(set(group) <= set(other) for other in found):
            found.append(group)
    return found
