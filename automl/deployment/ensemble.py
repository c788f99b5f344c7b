"""Greedy ensemble selection with replacement (Caruana et al., Ensemble Selection, ICML 2004).

Each round adds the model with which the mean of the predictions is best; a model added twice counts twice.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

ROUNDS = 20  # models added, counting repetitions


def greedy_ensemble(
    predictions: Sequence[NDArray[Any]], loss: Callable[[NDArray[Any]], float], max_members: int
) -> dict[int, float]:
    """The index of each chosen model and its weight; weights sum to 1.

    ``predictions``: of each model on the same examples, (n, ...). ``loss``: of predictions, lower is better.
    ``max_members``: number of distinct models. Returns the best ensemble of all rounds, the smallest if tied.
    """
    added: list[int] = []
    total: NDArray[Any] = np.zeros_like(predictions[0], dtype=np.float64)
    best, best_loss = 1, np.inf  # if the loss is undefined, the first one
    for n in range(1, ROUNDS + 1):
        allowed = range(len(predictions)) if len(set(added)) < max_members else sorted(set(added))
        losses = {i: loss((total + predictions[i]) / n) for i in allowed}
        chosen = min(losses, key=lambda i: losses[i])
        added.append(chosen)
        total += predictions[chosen]
        if losses[chosen] < best_loss:
            best, best_loss = n, losses[chosen]
    counts = Counter(added[:best])
    return {i: count / best for i, count in sorted(counts.items())}
