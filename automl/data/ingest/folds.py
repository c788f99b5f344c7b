"""The folds of cross-validation, drawn from all training and validation rows."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from automl.data.splits import SPLIT_SEED

N_FOLDS = 8  # folds drawn; merged in pairs, they make four
NEVER = -1  # the fold of rows that are only trained on


def random_folds(y: NDArray[Any]) -> NDArray[np.int8]:
    """The fold of each row, (n,): each fold has its share of every class, or of every range of a number."""
    rng = np.random.default_rng(SPLIT_SEED)
    order = rng.permutation(len(y))
    by_value = order[np.argsort(y[order], kind="stable")]
    dealt = np.tile(np.arange(N_FOLDS, dtype=np.int8), (-(-len(y) // N_FOLDS), 1))
    if np.issubdtype(y.dtype, np.floating):
        dealt = rng.permuted(dealt, axis=1)  # otherwise, the first fold would have the lowest number of each range
    folds = np.empty(len(y), np.int8)
    folds[by_value] = dealt.reshape(-1)[: len(y)]
    return folds


def group_folds(groups: NDArray[Any]) -> NDArray[np.int8] | None:
    """The fold of each row, (n,), the same for all rows of a group. None for fewer groups than folds."""
    _, codes = np.unique(groups, return_inverse=True)
    sizes = np.bincount(codes)
    if len(sizes) < N_FOLDS:
        return None
    fold_of = np.empty(len(sizes), np.int8)
    filled = np.zeros(N_FOLDS, int)
    order = np.random.default_rng(SPLIT_SEED).permutation(len(sizes))
    for group in order[np.argsort(-sizes[order], kind="stable")]:  # large groups first, each to the smallest fold
        fold_of[group] = filled.argmin()
        filled[fold_of[group]] += sizes[group]
    return fold_of[codes]


def time_folds(times: NDArray[Any]) -> NDArray[np.int8] | None:
    """The fold of each row, (n,), from old to new; the older half is only trained on. None for too few times.

    A fold is predicted from the rows before it, at least half of all, so that no model of few rows is judged in place
    of one of all rows. Rows of the same time stay together.
    """
    different, codes = np.unique(times, return_inverse=True)
    if len(different) < 4 * N_FOLDS:
        return None
    rank = np.searchsorted(np.sort(codes), codes)  # the number of older rows
    folds = np.maximum(rank * 2 * N_FOLDS // len(times) - N_FOLDS, NEVER)
    return folds.astype(np.int8) if len(np.unique(folds)) == N_FOLDS + 1 else None


def merged(folds: NDArray[np.int8], n: int) -> NDArray[np.int8]:
    """The drawn folds merged to ``n``, a divisor of ``N_FOLDS``."""
    return np.where(folds == NEVER, NEVER, folds // (N_FOLDS // n)).astype(np.int8)
