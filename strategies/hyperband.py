"""Hyperband around any strategy, asynchronously: ``bo+hyperband``.

L. Li et al., Hyperband: A Novel Bandit-Based Approach to Hyperparameter Optimization (JMLR 18, 2018), algorithm 1;
asynchronous as in section 3.2 of the paper of ``strategies.asha``. How far losses after a few epochs can be trusted is
not known beforehand: most trials start at the lowest rung, some at each of the higher ones. All share the rungs, so a
trial is compared with everyone who came as far.
"""

from __future__ import annotations

import functools
import math

from strategies._ladder import ETA
from strategies.asha import Asha


class Hyperband(Asha):
    """Its brackets are the rungs where trials pause first; trial n always has the same one of as many rungs."""

    def _entry(self, trial: int) -> int:
        lowest = self.ladder.lowest
        brackets = cycle(len(self.ladder.levels) - lowest)
        return lowest + brackets[trial % len(brackets)]


@functools.cache
def cycle(n_rungs: int) -> tuple[int, ...]:
    """The first rungs of so many trials as a round of Hyperband has, each kind evenly spread over the round."""
    sizes = [math.ceil(n_rungs / (s + 1) * ETA**s) for s in reversed(range(n_rungs))]
    places = [((i + 0.5) / size, rung) for rung, size in enumerate(sizes) for i in range(size)]
    return tuple(rung for _, rung in sorted(places))
