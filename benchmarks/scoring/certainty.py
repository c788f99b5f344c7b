"""How certain a comparison is, from the mean regrets of units: intervals and probabilities.

A unit is one task, or the mean over the variants of one. A. Benavoli et al., Time for a Change: a Tutorial for
Comparing Multiple Classifiers Through Bayesian Analysis (JMLR 18(77), 2017), for the signed-rank test with a region of
practical equivalence, and D. Rubin, The Bayesian Bootstrap (Annals of Statistics 9, 1981). Statements about a strategy
do not depend on which weaker ones took part.
"""

from __future__ import annotations

import bisect
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from benchmarks.scoring.statistics import N_DRAWS

MAX_REGRET = 1.0  # in probabilities, a unit's regret above that of a median random config counts as this
MARGIN = 0.01  # smaller differences in mean regret do not matter in practice
MIN_P = 0.9  # probability from which a statement is made
MIN_UNITS, FEW = 5, 30  # with fewer than MIN_UNITS no interval, with fewer than FEW Student's t
PRIOR = 0.5  # weight of a pseudo-observation of no difference, beside one of each unit
N_POSTERIOR = 10_000
SEED = 0  # the same table gives the same verdicts
N_ROUGH = 2_000  # draws for a rough estimate
MAX_UNITS = 200  # that is asked for


def expected(table: pd.DataFrame) -> pd.DataFrame:
    """By column, the ``mean`` over units and its intervals, ``low80`` to ``high80`` and ``low95`` to ``high95``.

    Student's t below FEW units, else the Bayesian bootstrap; NaN below MIN_UNITS. ``table``: mean regrets by
    unit.
    """
    from scipy import stats

    n, means = len(table), table.mean()
    ends = np.full((4, len(means)), np.nan)
    if n >= FEW:
        ends = np.quantile(_means(table.to_numpy(), N_DRAWS), [0.1, 0.9, 0.025, 0.975], axis=0)
    elif n >= MIN_UNITS:
        error = (table.std() / np.sqrt(n)).to_numpy()
        t80, t95 = (float(stats.t.isf(tail, n - 1)) for tail in (0.1, 0.025))
        ends = means.to_numpy() + np.outer([-t80, t80, -t95, t95], error)
    columns = dict(zip(("low80", "high80", "low95", "high95"), ends, strict=True))
    return pd.DataFrame({"mean": means, **columns})


@dataclass(frozen=True)
class PairProbabilities:
    """Probabilities that a strategy is better than another, practically equal, or worse; they sum to 1."""

    better: float
    equal: float
    worse: float

    @property
    def sure(self) -> bool:
        """Whether one of the three may be stated."""
        return max(self.better, self.equal, self.worse) >= MIN_P


def versus(
    a: np.ndarray, b: np.ndarray, margin: float = MARGIN, times: int = 1, n_draws: int = N_POSTERIOR
) -> PairProbabilities:
    """The Bayesian signed-rank test of paired mean regrets of units, both (n,): lower is better.

    The distribution of the differences is a Dirichlet process with a pseudo-observation of 0. For each draw from its
    posterior, the chances that the mean of two random differences lies below, within and above the margin are compared;
    the probability of a region is the share of draws in which it has the highest chance (section 4.2.1). ``times``: as
    if there were so many units with each of the differences.
    """
    z = np.concatenate([[0.0], a - b])
    pairs = z[:, None] + z  # twice the means of two
    draws = np.random.default_rng(SEED).dirichlet([PRIOR, *[float(times)] * len(a)], n_draws)

    def chance(region: np.ndarray) -> np.ndarray:
        return np.asarray(np.einsum("si,ij,sj->s", draws, region.astype(float), draws, optimize=True))

    better, worse = chance(pairs < -2 * margin), chance(pairs > 2 * margin)
    chances = np.stack([better, 1.0 - better - worse, worse])
    highest = np.isclose(chances, chances.max(axis=0), rtol=0, atol=1e-12)
    shares = (highest / highest.sum(axis=0)).mean(axis=1)  # ties are shared
    return PairProbabilities(*(float(share) for share in shares))


def among_best(table: pd.DataFrame, margin: float = MARGIN) -> pd.DataFrame:
    """By strategy, the ``probability`` that its expected regret is within the margin of the lowest, and the ``loss``
    that is expected by choosing it: its regret beyond the lowest. By Student's t below FEW units, else the Bayesian
    bootstrap.

    ``table``: mean regrets, units x strategies without NaN.
    """
    loss = _losses(table)
    columns = {"probability": (loss <= margin).mean(axis=0), "loss": loss.mean(axis=0)}
    return pd.DataFrame(columns, index=table.columns)


def one_among_best(table: pd.DataFrame, names: Sequence[str], margin: float = MARGIN) -> float:
    """The probability that at least one of some strategies is among the best; of a single one, as ``among_best``."""
    loss = pd.DataFrame(_losses(table), columns=table.columns)[list(names)]
    return float((loss.min(axis=1) <= margin).mean())


def _losses(table: pd.DataFrame) -> np.ndarray:
    """Draws of each strategy's expected regret beyond the lowest, (N_POSTERIOR, strategies).

    Without the bound, a weak strategy with one very bad unit would have such a wide distribution that it was the lowest
    in many draws, at the expense of all others.
    """
    draw = _means_of_few if len(table) < FEW else _means
    means = draw(np.minimum(table.to_numpy(), MAX_REGRET), N_POSTERIOR)
    return np.asarray(means - means.min(axis=1, keepdims=True))


def units_needed(a: np.ndarray, b: np.ndarray, margin: float = MARGIN, max_units: int = MAX_UNITS) -> int | None:
    """The number of units like these from which ``versus`` would be sure, None if more than ``max_units``.

    A rough estimate: the units seen so far are repeated.
    """

    def sure(times: int) -> bool:
        return versus(a, b, margin, times=times, n_draws=N_ROUGH).sure

    last = max_units // len(a)
    if last < 2 or not sure(last):
        return None
    return (2 + bisect.bisect_left(range(2, last), True, key=sure)) * len(a)


def _means(values: np.ndarray, n_draws: int) -> np.ndarray:
    """Draws of the means of units x strategies by the Bayesian bootstrap, (n_draws, strategies)."""
    weights: np.ndarray = np.random.default_rng(SEED).dirichlet(np.ones(len(values)), n_draws)
    return np.asarray(weights @ values)


def _means_of_few(values: np.ndarray, n_draws: int) -> np.ndarray:
    """As ``_means``, by the multivariate Student's t with the covariance over units, whose bootstrap is too narrow."""
    rng, n = np.random.default_rng(SEED), len(values)
    means = values.mean(axis=0)
    normal = rng.normal(size=(n_draws, n)) @ (values - means) / np.sqrt(n * (n - 1))  # has that covariance
    return np.asarray(means + normal / np.sqrt(rng.chisquare(n - 1, (n_draws, 1)) / (n - 1)))


def geometric_mean(logs: NDArray[Any]) -> tuple[float, float, float]:
    """The geometric mean of ratios with a 95% interval by Student's t, NaN for fewer than MIN_UNITS.

    ``logs``: their logarithms.
    """
    from scipy import stats

    mean, n = float(logs.mean()), len(logs)
    width = float(stats.t.isf(0.025, n - 1) * logs.std(ddof=1) / np.sqrt(n)) if n >= MIN_UNITS else np.nan
    return float(np.exp(mean)), float(np.exp(mean - width)), float(np.exp(mean + width))


def between(low: float, high: float) -> str:
    """An interval as text; empty if there is none."""
    return "" if np.isnan(low) else f"{low:.3f} to {high:.3f}"
