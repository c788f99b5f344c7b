"""Gives up a fit that will take longer than it may, by what its first rounds took."""

from __future__ import annotations

import time

from automl.task import TooSlow

WARM_UP = 1  # rounds that say nothing of the others
LEAST_SECONDS = 0.5  # of the rounds that a verdict is based on
USEFUL_ROUNDS = 100  # of boosting, from which on a fit is worth keeping when its time is up


class FitWatch:
    """Told the number of rounds done; raises TooSlow as soon as the rest would take too long."""

    def __init__(self, n_rounds: int, most_seconds: float | None, name: str) -> None:
        """``n_rounds``: in all, at least. ``most_seconds``: of the fit; None: any. ``name``: of rounds."""
        self._n_rounds, self._most, self._name = n_rounds, most_seconds, name
        self._start = time.perf_counter()
        self._warm: tuple[int, float] | None = None  # rounds and time when it was warm

    @property
    def is_over(self) -> bool:
        """Whether the time of the fit is up."""
        return self._most is not None and time.perf_counter() - self._start > self._most

    def done(self, n: int, n_rounds: int | None = None) -> None:
        """``n``: rounds done. ``n_rounds``: in all, at least, where that is known better by now."""
        if self._most is None:
            return
        now = time.perf_counter()
        if self._warm is None:
            self._warm = (n, now) if n >= WARM_UP else None
            return
        before, since = self._warm
        least = max(n, n_rounds or self._n_rounds)
        a_round = (now - since) / (n - before)
        expected = now - self._start + (least - n) * a_round
        if now - since >= LEAST_SECONDS and expected > self._most:
            raise TooSlow(f"{least} {self._name} would take {expected:.3g} s, longer than the {self._most:.3g} s left")
