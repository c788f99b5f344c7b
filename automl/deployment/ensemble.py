"""Several trained models as one: which of them, and how often each (Caruana et al., Ensemble Selection, ICML 2004).

Models are added one after the other, each time the one with which the mean of the predictions is best; one that is
added twice counts twice. So a model that only does harm is never in it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

ROUNDS = 20  # models that are added, the same ones included


def greedy_ensemble(
    predictions: Sequence[NDArray[Any]], loss: Callable[[NDArray[Any]], float], most: int
) -> dict[int, float]:
    """The place of each chosen model in the list, and its weight; weights sum to 1.

    predictions: of each model on the same examples, (n, ...). loss: of predictions, lower is better. most: different
    models at most. Of the ensembles on the way the best is taken, the smallest of equal ones.
    """
    added: list[int] = []
    total: NDArray[Any] = np.zeros_like(predictions[0], dtype=np.float64)
    best, best_loss = 0, np.inf
    for n in range(1, ROUNDS + 1):
        allowed = range(len(predictions)) if len(set(added)) < most else sorted(set(added))
        losses = {i: loss((total + predictions[i]) / n) for i in allowed}
        chosen = min(losses, key=lambda i: losses[i])
        added.append(chosen)
        total += predictions[chosen]
        if losses[chosen] < best_loss:
            best, best_loss = n, losses[chosen]
    counts = Counter(added[:best])
    return {i: count / best for i, count in sorted(counts.items())}
