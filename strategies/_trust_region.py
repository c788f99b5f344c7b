"""The trust region of a search in many dimensions.

D. Eriksson et al., Scalable Global Optimization via Local Bayesian Optimization (NeurIPS 2019).
"""

from __future__ import annotations

import numpy as np

LENGTH_START, LENGTH_MIN, LENGTH_MAX = 0.8, 2.0**-6, 1.6
SUCCESSES, FAILURES = 3, 8  # number in a row that doubles or halves its side


def trust_region(
    points: np.ndarray, losses: np.ndarray, n_initial: int, lengths: np.ndarray, numeric: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The lower and upper bounds of a box around the best point, each (d,).

    ``points``: (n, d) in the unit cube. ``n_initial``: how many of them belong to the initial design. ``lengths``: (d,)
    lengthscales, to which the sides are proportional. ``numeric``: (d,); other hyperparameters keep their whole range.
    """
    half = trust_length(losses[n_initial:], losses[:n_initial]) / 2
    half = half * lengths / np.exp(np.log(lengths).mean())
    centre = points[losses.argmin()]
    sides = (np.clip(centre - half, 0, 1), np.clip(centre + half, 0, 1))
    return np.where(numeric, sides[0], 0.0), np.where(numeric, sides[1], 1.0)


def trust_length(losses: np.ndarray, before: np.ndarray) -> float:
    """The side of the trust region, doubled and halved by consecutive successes and failures among these losses."""
    length, best, won, lost = LENGTH_START, before.min(initial=np.inf), 0, 0
    for loss in losses:
        won, lost = (won + 1, 0) if loss < best else (0, lost + 1)
        best = min(best, loss)
        if won == SUCCESSES:
            length, won = min(2 * length, LENGTH_MAX), 0
        elif lost == FAILURES:
            length, lost = length / 2, 0
        if length < LENGTH_MIN:
            length = LENGTH_START
    return length
