"""Trials kept sorted by a number under insertions and removals."""

from __future__ import annotations

import bisect
import math


class Ranking:
    """Items in ascending order of their value, ties in ascending order of the items; NaN counts as infinite.

    Look-ups take a bisection; changes also shift part of a list.
    """

    def __init__(self) -> None:
        self._keys: list[tuple[float, int]] = []
        self._key_of: dict[int, tuple[float, int]] = {}

    def put(self, item: int, value: float) -> None:
        """Add an item, or change its value."""
        self.discard(item)
        key = (math.inf if math.isnan(value) else value, item)
        bisect.insort(self._keys, key)
        self._key_of[item] = key

    def discard(self, item: int) -> None:
        """Remove an item if it is there."""
        key = self._key_of.pop(item, None)
        if key is not None:
            del self._keys[bisect.bisect_left(self._keys, key)]

    def rank(self, item: int) -> int:
        """The number of items before this one."""
        return bisect.bisect_left(self._keys, self._key_of[item])

    def value(self, rank: int) -> float:
        """The value of the item with a rank, which may be negative to count from the end."""
        return self._keys[rank][0]

    def items(self, start: int = 0, stop: int | None = None) -> list[int]:
        """The items from one rank to another."""
        return [item for _, item in self._keys[start:stop]]

    def n_above(self, limit: float, shift: float = 0.0) -> int:
        """The number of items whose value plus ``shift`` is larger than ``limit``."""
        return len(self._keys) - bisect.bisect_right(self._keys, limit, key=lambda key: key[0] + shift)

    def median(self) -> float:
        """The median of the values. There is at least one."""
        half = len(self._keys) // 2
        upper = self._keys[half][0]
        return upper if len(self._keys) % 2 else (self._keys[half - 1][0] + upper) / 2

    def __len__(self) -> int:
        return len(self._keys)

    def __contains__(self, item: object) -> bool:
        return item in self._key_of
