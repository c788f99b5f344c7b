"""Which strategy is better, and how sure that is: pure functions on regrets.

The unit is the task: seeds are averaged first. A. Benavoli et al. (JMLR 17(5), 2016) for Wilcoxon with Holm in place
of Nemenyi, whose verdict on A against B depends on who else takes part; R. Agarwal et al. (NeurIPS 2021) for the
stratified bootstrap.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd

MIN_TASKS = 10  # fewer give the tests no power
LEVEL = 0.05


@dataclass(frozen=True)
class Interval:
    """An estimate and its 95% interval."""

    mean: float
    low: float
    high: float


def stratified_interval(regret: pd.Series, n_draws: int = 2000, seed: int = 0) -> Interval:
    """The mean over tasks of the mean over seeds, seeds drawn anew within each task: sure of *these* tasks.

    ``regret``: by (suite, task, seed), of one strategy.
    """
    groups = [group.to_numpy() for _, group in regret.groupby(["suite", "task"])]
    return _bootstrap(lambda rng: float(np.mean([_redraw(g, rng).mean() for g in groups])), groups, n_draws, seed)


def two_level_interval(regret: pd.Series, n_draws: int = 2000, seed: int = 0) -> Interval:
    """The same mean, with tasks drawn anew as well: sure of *tasks like these*."""
    groups = [group.to_numpy() for _, group in regret.groupby(["suite", "task"])]

    def draw(rng: np.random.Generator) -> float:
        chosen = rng.integers(len(groups), size=len(groups))
        return float(np.mean([_redraw(groups[i], rng).mean() for i in chosen]))

    return _bootstrap(draw, groups, n_draws, seed)


def paired_interval(a: pd.Series, b: pd.Series, n_draws: int = 2000, seed: int = 0) -> Interval:
    """The mean of a - b over the seeds that both have on one task, seeds drawn anew; below 0, a is better."""
    difference = (a - b).dropna().to_numpy()
    return _bootstrap(lambda rng: float(_redraw(difference, rng).mean()), [difference], n_draws, seed)


def friedman(table: pd.DataFrame) -> float:
    """The probability of such differences between the columns if all were the same (tasks x strategies, 3 or more)."""
    from scipy import stats

    return float(stats.friedmanchisquare(*(table[name] for name in table.columns)).pvalue)


def wilcoxon_holm(table: pd.DataFrame) -> pd.DataFrame:
    """p-values of all pairs of columns by the signed-rank test over tasks, corrected by Holm: a symmetric table."""
    from scipy import stats

    names = list(table.columns)
    pairs = [(a, b) for i, a in enumerate(names) for b in names[i + 1 :]]
    raw = []
    for a, b in pairs:
        difference = (table[a] - table[b]).to_numpy()
        raw.append(1.0 if not difference.any() else float(stats.wilcoxon(difference).pvalue))
    result = pd.DataFrame(1.0, index=names, columns=names)
    for (a, b), p in zip(pairs, holm(raw), strict=True):
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


def winner(table: pd.DataFrame, margin: float = 0.0) -> tuple[str | None, str]:
    """The strategy that is better than every other, or None; and the reason in words.

    ``table``: regret, tasks x strategies. ``margin``: differences of the means below it do not count.
    """
    means = table.mean().sort_values(kind="stable")
    first, second = means.index[0], means.index[1]
    if len(table) < MIN_TASKS:
        return None, f"undecided: {len(table)} tasks are too few for a test (it takes {MIN_TASKS})"
    p = wilcoxon_holm(table)
    rivals = [name for name in means.index[1:] if p.loc[first, name] > LEVEL]
    if rivals:
        worst = max(rivals, key=lambda name: p.loc[first, name])
        return (
            None,
            f"no clear winner: {first} is not significantly better than {worst} (p = {p.loc[first, worst]:.2g})",
        )
    if means[second] - means[first] < margin:
        return (
            None,
            f"no clear winner: {first} leads by {means[second] - means[first]:.3f}, less than {margin:g} counts",
        )
    return str(
        first
    ), f"{first} is better than every other strategy (largest p = {p.loc[first, means.index[1:]].max():.2g})"


def _redraw(values: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return values[rng.integers(len(values), size=len(values))]


def _bootstrap(
    draw: Callable[[np.random.Generator], float], groups: list[np.ndarray], n_draws: int, seed: int
) -> Interval:
    rng = np.random.default_rng(seed)
    draws = [draw(rng) for _ in range(n_draws)]
    low, high = np.quantile(draws, [LEVEL / 2, 1 - LEVEL / 2])
    return Interval(float(np.mean([group.mean() for group in groups])), float(low), float(high))
