"""When the fitted process is doubtful: equal losses that rule out its noise, and a search without gain for long.

Glossary: n observations, n_ties of them equal to the loss before, in ascending order; v noise variance.
"""

from __future__ import annotations

import numpy as np

from strategies._gp import BOUNDS, GP

MIN_CEILING = -12.0  # log v, of standardised losses
STUCK_AFTER = 5  # trials without a new best; from then on every second search doubts the lengthscales,
HALVED_EVERY, SHORTEST = 5.0, 0.25  # which are halved with every five further trials, twice at most


def noise_ceiling(y: np.ndarray) -> float:
    """The largest log v under which so many of the losses (n,) could be equal to the last digit.

    Of two losses with the same mean, normal noise of the deviation s makes the same multiple of q with the probability
    q / (2 sqrt(pi) s). Were all means the same, as many ties as there are would be expected from s = q n_pairs /
    (2 sqrt(pi) n_ties); different means leave less. The resolution q is the smallest step between two losses, and of
    the ties a standard deviation may be chance. Only the better half counts, without the worst loss: trainings that
    fail or diverge are equal though others are noisy.
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
    """Trials since the best of these losses (n,), in the order in which they were told."""
    return len(losses) - 1 - int(losses.argmin())


def shrinkage(losses: np.ndarray) -> float:
    """What the lengthscales are to be multiplied by after these losses."""
    n_stuck = n_without_gain(losses)
    return float(max(SHORTEST, min(1.0, 2.0 ** ((STUCK_AFTER - n_stuck) / HALVED_EVERY))))


def doubted(gp: GP, factor: float, d: int) -> GP:
    """The process with the lengthscales of its first d hyperparameters multiplied by the factor.

    It is less sure away from what it saw. F. Berkenkamp et al., No-Regret Bayesian Optimization with Unknown
    Hyperparameters (JMLR 2019) shrink lengthscales in the course of a search, since those that were fitted to what was
    seen can be too long to ever look where the loss is lower.
    """
    if factor == 1.0:
        return gp
    theta = gp.theta.copy()
    theta[:d] += np.log(factor)
    return GP.given(gp.X, gp.Y, theta, gp.hyperparameter)
