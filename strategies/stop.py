"""A running trial is stopped once its curve is very unlikely to end below the best: ``bo+stop``.

The idea is that of T. Domhan et al., Speeding Up Automatic Hyperparameter Optimization of Deep Neural Networks by
Extrapolation of Learning Curves (IJCAI 2015). What is known of curves comes from the trials of this study that reached
the end: a Bayesian linear regression of the losses at the end on those after as many epochs (A. Gelman et al., Bayesian
Data Analysis, chapter 14), whose prediction has the t distribution. It takes microseconds, and needs no pauses.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.special import stdtr

from strategies._wrapper import Wrapper
from strategies.base import Outcome, Proposal

MIN_COMPLETE = 4  # trials that reached the end before any is stopped
UNLIKELY = 0.05  # the probability of ending below the best under which a trial is stopped,
IN_A_ROW = 3  # after each of so many epochs: one bad epoch may be chance
SAME_DROP = 5.0  # the prior, worth so many trials, that what is still to come depends on nothing
WILD = 10.0  # a loss so many times as far from the median as the best one is cut off there


class Stop(Wrapper):
    """What a verdict depends on is what was told before its proposal was asked."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._complete: list[tuple[float, ...]] = []  # curves that reached the end, in the order of the telling
        self._n_known: dict[int, int] = {}  # of these, when a trial was last proposed

    def tell(self, outcome: Outcome) -> None:
        if outcome.loss is not None and len(outcome.losses) == self.max_epochs and np.isfinite(outcome.losses).all():
            self._complete.append(outcome.losses)
        super().tell(outcome)

    def should_stop(self, proposal: Proposal, losses: tuple[float, ...]) -> bool:
        if super().should_stop(proposal, losses):
            return True
        known = np.array(self._complete[: self._n_known[proposal.trial]])
        if len(known) < MIN_COMPLETE or not IN_A_ROW <= len(losses) < self.max_epochs:
            return False
        with np.errstate(over="ignore", invalid="ignore"):
            return bool((chances(known, np.array(losses))[-IN_A_ROW:] < UNLIKELY).all())

    def _note(self, proposal: Proposal) -> None:
        super()._note(proposal)
        self._n_known[proposal.trial] = len(self._complete)


def chances(known: np.ndarray, losses: np.ndarray) -> np.ndarray:
    """The probability that a curve ends below the best of those known, as of each of its epochs, (n_epochs,).

    ``known``: (n, max_epochs). By how much the loss still sinks is regressed on the loss so far, standardised; the
    slope has a prior of mean 0. A loss above all known ones counts as the highest of them: it is no evidence of more.
    NaN where numbers are too large.
    """
    n, n_epochs = len(known), len(losses)
    median = np.median(known, axis=0)
    known = np.minimum(known, median + WILD * (median - known.min(axis=0)))
    seen, ends = known[:, :n_epochs], known[:, -1]
    drops = ends[:, None] - seen
    sd = seen.std(axis=0) + 1e-12
    x = (seen - seen.mean(axis=0)) / sd
    x_new = (np.minimum(losses, seen.max(axis=0)) - seen.mean(axis=0)) / sd
    precision = n * x.var(axis=0) + SAME_DROP
    slope = (x * (drops - drops.mean(axis=0))).sum(axis=0) / precision
    residuals = drops - drops.mean(axis=0) - slope * x
    degrees = n - 1 - n * x.var(axis=0) / precision
    variance = (residuals**2).sum(axis=0) / degrees * (1 + 1 / n + x_new**2 / precision)
    end = np.minimum(losses, seen.max(axis=0)) + drops.mean(axis=0) + slope * x_new
    return np.asarray(stdtr(degrees, (ends.min() - end) / np.sqrt(variance + 1e-24)))
