"""The folds of cross-validation, drawn from all training and validation rows."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from automl.data.ingest.split import dealt
from automl.data.splits import SPLIT_SEED

N_FOLDS = 8  # folds drawn; merged in pairs, they make four
OF_EQUAL_SIZE = [1] * N_FOLDS
TRAIN_ONLY = -1  # the fold of rows that are only trained on


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


def time_folds(times: NDArray[Any], y: NDArray[Any]) -> NDArray[np.int8] | None:
    """The fold of each row, (n,), from old to new; the older half is only trained on. None for too few times.

    A fold is predicted from the rows before it, at least half of all, so that no model of few rows is judged in place
    of one of all rows; more, up to three quarters, if the target does not vary in these or in the first fold. Rows of
    the same time stay together.
    """
    different, codes = np.unique(times, return_inverse=True)
    if len(different) < 4 * N_FOLDS:
        return None
    rank, n = np.searchsorted(np.sort(codes), codes), len(times)  # rank: the number of older rows
    for parts in range(N_FOLDS, 3 * N_FOLDS // 2 + 1):  # of 2 * N_FOLDS, which are only trained on
        places = (2 * N_FOLDS * rank - parts * n) * N_FOLDS // ((2 * N_FOLDS - parts) * n)
        folds = np.maximum(places, TRAIN_ONLY).astype(np.int8)
        if len(np.unique(folds)) == N_FOLDS + 1 and _varies(y[folds == TRAIN_ONLY]) and _varies(y[folds == 0]):
            return folds
    return None


def first_varied(folds: NDArray[np.int8], y: NDArray[Any]) -> NDArray[np.int8] | None:
    """The folds, renumbered so that those in which the target varies come first: metrics such as AUC, of the folds so
    far, need two classes. None if it varies in no fold, or not in the other folds of one, which are trained on."""
    numbers = range(N_FOLDS)
    varied = [_varies(y[folds == fold]) for fold in numbers]
    if not any(varied) or not all(_varies(y[folds != fold]) for fold in numbers):
        return None
    return np.argsort(sorted(numbers, key=lambda fold: not varied[fold])).astype(np.int8)[folds]


def _varies(y: NDArray[Any]) -> bool:
    return len(np.unique(y)) > 1


def merged(folds: NDArray[np.int8], n: int) -> NDArray[np.int8]:
    """The drawn folds merged to ``n``, a divisor of ``N_FOLDS``: neighbours if they are in order of time, else distant
    ones, so that the first, in which the target varies, do not become one, without a second class in the others."""
    if (folds == TRAIN_ONLY).any():
        return np.where(folds == TRAIN_ONLY, TRAIN_ONLY, folds // (N_FOLDS // n)).astype(np.int8)
    return (folds % n).astype(np.int8)
