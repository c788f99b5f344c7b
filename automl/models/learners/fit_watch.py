"""Aborts a fit that would exceed its time limit, judging by its first rounds."""

from __future__ import annotations

import time

from automl.task import TooSlow

WARM_UP = 1  # rounds whose time is not representative
MIN_SECONDS = 0.5  # of the rounds that an estimate is based on


class FitWatch:
    """Receives the number of rounds done; raises TooSlow as soon as the rest would take too long."""

    def __init__(self, n_rounds: int, max_seconds: float | None, name: str) -> None:
        """``n_rounds``: minimum total. ``max_seconds``: limit of the fit, if any. ``name``: what rounds are called."""
        self._n_rounds, self._max_seconds, self._name = n_rounds, max_seconds, name
        self._start = time.perf_counter()
        self._warm: tuple[int, float] | None = None  # rounds and time when it was warm

    @property
    def is_over(self) -> bool:
        """Whether the time of the fit is up."""
        return self._max_seconds is not None and time.perf_counter() - self._start > self._max_seconds

    def done(self, n: int, n_rounds: int | None = None) -> None:
        """``n``: rounds done. ``n_rounds``: a better estimate of the minimum total, if known by now."""
        if self._max_seconds is None:
            return
        now = time.perf_counter()
        if self._warm is None:
            self._warm = (n, now) if n >= WARM_UP else None
            return
        before, since = self._warm
        least = max(n, n_rounds or self._n_rounds)
        a_round = (now - since) / (n - before)
        expected = now - self._start + (least - n) * a_round
        if now - since >= MIN_SECONDS and expected > self._max_seconds:
            raise TooSlow(
                f"{least} {self._name} would take {expected:.3g} s, "
                f"longer than the {self._max_seconds:.3g} s left for this fit"
            )
