"""The folds of cross-validation, drawn from all training and validation rows."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from automl.data.ingest.split import dealt
from automl.data.splits import SPLIT_SEED

N_FOLDS = 8  # folds drawn; merged in pairs, they make four
OF_EQUAL_SIZE = [1] * N_FOLDS
NEVER = -1  # the fold of rows that are only trained on


def random_folds(y: NDArray[Any]) -> NDArray[np.int8]:
    """The fold of each row, (n,): each fold has its share of every class, or of every range of a number."""
    rng = np.random.default_rng(SPLIT_SEED)
    order = rng.permutation(len(y))
    by_value = order[np.argsort(y[order], kind="stable")]
    in_turn = np.tile(np.arange(N_FOLDS, dtype=np.int8), (-(-len(y) // N_FOLDS), 1))
    if np.issubdtype(y.dtype, np.floating):
        in_turn = rng.permuted(in_turn, axis=1)  # otherwise, the first fold would have the lowest number of each range
    folds = np.empty(len(y), np.int8)
    folds[by_value] = in_turn.reshape(-1)[: len(y)]
    return folds


def group_folds(groups: NDArray[Any]) -> NDArray[np.int8] | None:
    """The fold of each row, (n,), the same for all rows of a group. None for fewer groups than folds."""
    _, codes, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    return None if len(sizes) < N_FOLDS else dealt(sizes, OF_EQUAL_SIZE)[0][codes].astype(np.int8)


def copy_folds(y: NDArray[Any], keys: NDArray[Any]) -> NDArray[np.int8] | None:
    """As ``random_folds``, but all copies of an example, which have the same key, are in one fold. None for fewer
    distinct examples than folds."""
    _, codes, sizes = np.unique(keys, return_inverse=True, return_counts=True)
    single = sizes[codes] == 1
    if np.count_nonzero(single) < max(len(y) / 2, N_FOLDS):
        return group_folds(keys)
    folds = np.empty(len(y), np.int8)
    folds[single] = random_folds(y[single])
    fold_of = np.zeros(len(sizes), np.int8)
    fold_of[sizes > 1] = dealt(sizes[sizes > 1], OF_EQUAL_SIZE)[0]
    folds[~single] = fold_of[codes[~single]]
    return folds


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
