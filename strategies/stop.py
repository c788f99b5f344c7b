"""Stops a running trial once its curve is very unlikely to end below the best: ``bo+stop``.

The idea follows T. Domhan et al., Speeding Up Automatic Hyperparameter Optimization of Deep Neural Networks by
Extrapolation of Learning Curves (IJCAI 2015). The prediction is learned from the completed trials of this study: a
Bayesian linear regression of the final losses on those after the same number of epochs (A. Gelman et al., Bayesian
Data Analysis, chapter 14), with a t-distributed prediction. It takes microseconds and needs no pausing.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.special import stdtr

from strategies._wrapper import Wrapper
from strategies.base import Outcome, Proposal

MIN_COMPLETE = 4  # completed trials needed before any is stopped
MIN_PROBABILITY = 0.05  # a trial is stopped when its probability of ending below the best is lower than this
N_CONSECUTIVE = 3  # for this many consecutive epochs: one bad epoch may be chance
PRIOR_WEIGHT = 5.0  # weight, in trials, of the prior that the remaining drop is independent of the loss
CLIP_FACTOR = 10.0  # losses are clipped at this multiple of the best one's distance to the median


class Stop(Wrapper):
    """A decision depends only on what was told before its proposal was asked."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._complete: list[tuple[float, ...]] = []  # complete curves, in the order of the tells
        self._n_known: dict[int, int] = {}  # by trial: the number of these when it was last proposed

    def tell(self, outcome: Outcome) -> None:
        if outcome.loss is not None and len(outcome.losses) == self.max_epochs and np.isfinite(outcome.losses).all():
            self._complete.append(outcome.losses)
        super().tell(outcome)

    def should_stop(self, proposal: Proposal, losses: tuple[float, ...]) -> bool:
        if super().should_stop(proposal, losses):
            return True
        if proposal.trial == self._default:
            return False
        known = np.array(self._complete[: self._n_known[proposal.trial]])
        if len(known) < MIN_COMPLETE or not N_CONSECUTIVE <= len(losses) < self.max_epochs:
            return False
        with np.errstate(over="ignore", invalid="ignore"):
            return bool((chances(known, np.array(losses))[-N_CONSECUTIVE:] < MIN_PROBABILITY).all())

    def _note(self, proposal: Proposal) -> None:
        super()._note(proposal)
        self._n_known[proposal.trial] = len(self._complete)


def chances(known: np.ndarray, losses: np.ndarray) -> np.ndarray:
    """The probability that a curve ends below the best known one, estimated after each of its epochs, (n_epochs,).

    ``known``: (n, max_epochs). The remaining drop of the loss is regressed on the standardised loss so far; the slope
    has a zero-mean prior. A loss above all known ones is clipped to the highest of them, to avoid extrapolation. NaN on
    overflow.
    """
    n, n_epochs = len(known), len(losses)
    median = np.median(known, axis=0)
    known = np.minimum(known, median + CLIP_FACTOR * (median - known.min(axis=0)))
    seen, ends = known[:, :n_epochs], known[:, -1]
    drops = ends[:, None] - seen
    sd = seen.std(axis=0) + 1e-12
    x = (seen - seen.mean(axis=0)) / sd
    x_new = (np.minimum(losses, seen.max(axis=0)) - seen.mean(axis=0)) / sd
    precision = n * x.var(axis=0) + PRIOR_WEIGHT
    slope = (x * (drops - drops.mean(axis=0))).sum(axis=0) / precision
    residuals = drops - drops.mean(axis=0) - slope * x
    degrees = n - 1 - n * x.var(axis=0) / precision
    variance = (residuals**2).sum(axis=0) / degrees * (1 + 1 / n + x_new**2 / precision)
    end = np.minimum(losses, seen.max(axis=0)) + drops.mean(axis=0) + slope * x_new
    return np.asarray(stdtr(degrees, (ends.min() - end) / np.sqrt(variance + 1e-24)))
