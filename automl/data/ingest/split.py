"""Disjoint splits into training, validation and test set: at random, by group, by time or by scaffold."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from automl.data.ingest.notes import left_out
from automl.data.splits import SPLIT_SEED, Indices, held_out
from automl.errors import UserError

MIN_ROWS = 40
MANY = 100_000  # rows from which a tenth is enough for validation and for test


@dataclass(frozen=True)
class SplitRows:
    """Row indices of the three sets, and a description of the split."""

    train: Indices
    valid: Indices
    test: Indices
    how: str

    def __iter__(self) -> Any:
        return iter((self.train, self.valid, self.test))


def check_enough(n: int, min_rows: int = MIN_ROWS, hints: Sequence[str] = ()) -> None:
    """Raise UserError, with hints, for too few rows to split."""
    if n < min_rows:
        raise UserError(
            "; ".join([f"at least {min_rows} usable rows are needed to split the data, there are {n}", *hints])
        )


def check_classes(parts: SplitRows, y: NDArray[Any], classes: Sequence[str], *, asked: bool) -> list[str]:
    """Notes on the classes that each set lacks.

    ``asked``: the user requested this split; UserError if a set then has only one class, as any model would be right.
    """
    notes = []
    if len(parts.test) and not len(np.intersect1d(y[parts.train], y[parts.test])):
        raise UserError(
            "the test set has no class of the training set: it has "
            + ", ".join(classes[i] for i in np.unique(y[parts.test])[:5])
        )
    for name, part in zip(("training", "validation", "test"), parts, strict=True):
        if not len(part):
            continue
        present = np.unique(y[part])
        if len(present) == 1 and asked:
            raise UserError(
                f"the {name} set, split {parts.how.partition(':')[0]}, has only one class, {classes[present[0]]!r}; "
                "leave --group or --time out, or give data in which each set has all classes"
            )
        lacking = [classes[i] for i in range(len(classes)) if i not in present]
        if lacking:
            shown = ", ".join(lacking[:5]) + (", ..." if len(lacking) > 5 else "")
            notes.append(f"the {name} set lacks {len(lacking)} of {len(classes)} classes: {shown}")
    return notes


def share(n: int) -> int:
    """The size of the validation set and of the test set, for n rows."""
    return n // 10 if n >= MANY else n // 5


def at_random(y: NDArray[Any], *, hold_out: bool = True) -> SplitRows:
    """A random split, stratified by class or by range of a number. Without ``hold_out``, the test set is empty."""
    n = share(len(y))
    test, rest = held_out(y, n if hold_out else 0)
    valid, train = held_out(y[rest], n)
    return SplitRows(rest[train], rest[valid], test, "stratified at random")


def by_time(times: NDArray[Any], *, hold_out: bool = True) -> SplitRows:
    """The newest rows are the test set, those before them the validation set. Rows of the same time stay together.

    Without ``hold_out``, the test set is empty.
    """
    order = np.argsort(times, kind="stable")
    n = share(len(times))
    cuts = []
    for place in (len(order) - 2 * n, len(order) - n) if hold_out else (len(order) - n,):
        while place > 0 and times[order[place]] == times[order[place - 1]]:
            place -= 1
        cuts.append(place)
    cuts += [] if hold_out else [len(order)]
    if not 0 < cuts[0] < cuts[1]:
        raise UserError("the --time column has too few values to split by; leave --time out")
    train, valid, test = np.split(order, cuts)
    return SplitRows(train, valid, test, "by time: the newest rows are for test")


def without_overlaps(parts: SplitRows, newest: NDArray[np.int64]) -> SplitRows:
    """The split by time without training and validation rows whose label is known only after a later set begins.

    ``newest``: for each row, the newest one that is predicted before its label is known, (n,). UserError if few rows
    are left.
    """
    place = np.zeros(len(newest), np.int8)
    place[parts.valid], place[parts.test] = 1, 2
    train = parts.train[place[newest[parts.train]] == 0]
    valid = parts.valid[place[newest[parts.valid]] <= 1]
    n = len(parts.train) + len(parts.valid) - len(train) - len(valid)
    if not n:
        return parts
    if min(len(train), len(valid)) < MIN_ROWS // 5:
        raise UserError(
            f"too few rows for this --horizon: {n:,} before the validation and the test set cannot be used, as what "
            "they predict is known only later; give more rows or a smaller --horizon"
        )
    how = f"{parts.how}; {left_out(n, 'before the sets')}, as what is predicted is known only later"
    return SplitRows(train, valid, parts.test, how)


def can_be_grouped(groups: NDArray[Any]) -> bool:
    """Whether ``by_group`` can split these groups into three sets."""
    sizes = np.unique(groups, return_counts=True)[1]
    return len(sizes) >= 3 and bool(sizes.max() <= len(groups) - 2 * share(len(groups)))


def by_group(groups: NDArray[Any], what: str, *, hold_out: bool = True) -> SplitRows:
    """All rows of a group are in one set; set sizes are as close to the targets as that allows.

    Without ``hold_out``, the test set is empty.
    """
    _, codes = np.unique(groups, return_inverse=True)
    sizes = np.bincount(codes)
    n = share(len(groups))
    if len(sizes) < 3 or sizes.max() > len(groups) - 2 * n:
        raise UserError(f"a split by group needs at least three groups, none too large; {what} has {len(sizes)}")
    part = dealt(sizes, _targets(len(groups), hold_out))[0]
    train, valid, test = (np.flatnonzero(part[codes] == i) for i in range(3))
    return SplitRows(train, valid, test, f"by {what}: rows of a group stay in one set")


def by_copies(y: NDArray[Any], keys: NDArray[Any], *, hold_out: bool = True) -> SplitRows:
    """As ``at_random``, but all copies of an example are in one set. No row is lost.

    ``keys``: one value per row, equal for equal examples; see ``can_be_grouped``.
    """
    _, codes, sizes = np.unique(keys, return_inverse=True, return_counts=True)
    part, targets = np.full(len(sizes), -1), _targets(len(y), hold_out)
    # A few examples with many copies each would decide the scores of a small set.
    part[sizes > 1], left = dealt(sizes[sizes > 1], targets, max_size=share(len(y)) // 4)
    part = part[codes]
    single = np.flatnonzero(part < 0)
    n_valid, n_test = (max(0, n) for n in (*left, 0)[1:3])
    test, rest = held_out(y[single], min(n_test, len(single)))
    valid, train = held_out(y[single][rest], min(n_valid, len(rest)))
    train, valid, test = (
        np.concatenate([np.flatnonzero(part == i), rows])
        for i, rows in enumerate((single[rest][train], single[rest][valid], single[test]))
    )
    return SplitRows(train, valid, test, "stratified at random, copies of an example in the same set")


def _targets(n: int, hold_out: bool) -> list[int]:
    """The intended sizes of the sets of n rows."""
    return [n - 2 * share(n), share(n), share(n)] if hold_out else [n - share(n), share(n)]


def dealt(sizes: NDArray[Any], targets: Sequence[int], max_size: float = math.inf) -> tuple[NDArray[Any], list[int]]:
    """The set of each group, given its number of rows, and what each set still lacks: large groups first, each in the
    set that lacks most. Groups of over ``max_size`` rows are in the first set while it has room."""
    part, left = np.zeros(len(sizes), dtype=int), list(targets)
    order = np.random.default_rng(SPLIT_SEED).permutation(len(sizes))
    for group in order[np.argsort(-sizes[order], kind="stable")]:
        if not max_size < sizes[group] <= left[0]:
            part[group] = max(range(len(targets)), key=lambda i: left[i] / targets[i])
        left[part[group]] -= sizes[group]
    return part, left


def without_duplicates(parts: SplitRows, keys: NDArray[Any]) -> tuple[SplitRows, int]:
    """The split without training rows that are also in validation or test, and validation rows also in test.

    ``keys``: one value per row, equal for equal examples. Also returns the number of rows removed.
    """
    valid = parts.valid[~np.isin(keys[parts.valid], keys[parts.test])]
    seen = np.concatenate([keys[parts.test], keys[valid]])
    train = parts.train[~np.isin(keys[parts.train], seen)]
    gone = len(parts.train) - len(train) + len(parts.valid) - len(valid)
    if min(len(train), len(valid)) < MIN_ROWS // 5:
        raise UserError("nearly all rows are duplicates; too few are left to train on")
    return SplitRows(train, valid, parts.test, parts.how), gone
