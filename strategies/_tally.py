"""Epochs by trial, and their sum."""

from __future__ import annotations


class Tally(dict[int, int]):
    """A dictionary that keeps the sum of its values. Entries are set one by one, and never removed."""

    total = 0

    def __setitem__(self, trial: int, n: int) -> None:
        self.total += n - self.get(trial, 0)
        super().__setitem__(trial, n)
