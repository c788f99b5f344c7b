"""Corrections to the fitted process: a noise ceiling from tied losses, and shorter lengthscales when the search stalls.

Glossary: n observations, n_ties of them equal to the preceding loss in ascending order; v noise variance.
"""

from __future__ import annotations

import numpy as np

from strategies.gaussian_process import BOUNDS, GP

MIN_CEILING = -12.0  # log v, for standardised losses
STUCK_AFTER = 5  # trials without improvement, after which every second ask uses shorter lengthscales,
HALVED_EVERY, MIN_FACTOR = 5.0, 0.25  # halved for every five further trials, at most twice


def noise_ceiling(y: np.ndarray) -> float:
    """The largest log v that is consistent with the number of exact ties among the losses (n,).

    Two losses with the same mean and normal noise of standard deviation s round to the same multiple of q with
    probability q / (2 sqrt(pi) s). If all means were equal, the observed number of ties would be expected at
    s = q n_pairs / (2 sqrt(pi) n_ties); with different means s is smaller. The resolution q is the smallest step
    between two losses, and the number of ties is reduced by one standard deviation. Only the better half counts, and
    not the worst loss: failed or diverged trainings tie however noisy the others are.
    """
    low = np.sort(y)[: (len(y) + 1) // 2]
    steps = np.diff(low[low < y.max()])
    n_ties = int((steps == 0).sum())
    if n_ties < 2 or not (steps > 0).any():
        return BOUNDS["noise"][1]
    n_pairs = (len(steps) + 1) * len(steps) / 2
    s = steps[steps > 0].min() * n_pairs / (2.0 * np.sqrt(np.pi) * (n_ties - np.sqrt(n_ties)))
    return float(np.clip(2.0 * np.log(s), MIN_CEILING, BOUNDS["noise"][1]))


def n_without_gain(losses: np.ndarray) -> int:
    """Trials since the best of these losses (n,), in the order of the tells."""
    return len(losses) - 1 - int(losses.argmin())


def shrinkage(losses: np.ndarray) -> float:
    """The factor for the lengthscales after these losses."""
    n_stuck = n_without_gain(losses)
    return float(max(MIN_FACTOR, min(1.0, 2.0 ** ((STUCK_AFTER - n_stuck) / HALVED_EVERY))))


def doubted(gp: GP, factor: float, d: int) -> GP:
    """The process with the lengthscales of its first d hyperparameters multiplied by the factor.

    This makes it less certain away from the observations. F. Berkenkamp et al., No-Regret Bayesian Optimization with
    Unknown Hyperparameters (JMLR 2019) shrink lengthscales during the search, since fitted ones can be too long for the
    search to ever reach the optimum.
    """
    if factor == 1.0:
        return gp
    theta = gp.theta.copy()
    theta[:d] += np.log(factor)
    return GP.given(gp.X, gp.Y, theta, gp.hyperparameter)
