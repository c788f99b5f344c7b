"""Hyperband around any strategy, asynchronously: ``bo+hyperband``.

L. Li et al., Hyperband: A Novel Bandit-Based Approach to Hyperparameter Optimization (JMLR 18, 2018), algorithm 1;
asynchronous as in section 3.2 of the paper cited in ``strategies.asha``. How well losses after a few epochs predict the
final ones is unknown in advance, so each round hedges: many trials start at the lowest rung, fewer at higher rungs, and
the last ones are trained to the end. All brackets share the rungs: a trial is compared with all that reached its rung.
"""

from __future__ import annotations

import functools
import math

from strategies._ladder import ETA
from strategies.asha import Asha
from strategies.base import Proposal


class Hyperband(Asha):
    """A bracket is the rung where trials first pause; it is determined by the trial number and the lowest rung."""

    def _entry(self, proposal: Proposal) -> int:
        lowest = self.ladder.lowest
        round_ = brackets(len(self.ladder.levels) - lowest)
        return lowest + round_[proposal.trial % len(round_)]


@functools.cache
def brackets(n_rungs: int) -> tuple[int, ...]:
    """The first rung of each trial in a round: algorithm 1 with s from s_max down to 0."""
    sizes = [math.ceil(n_rungs / (s + 1) * ETA**s) for s in reversed(range(n_rungs))]
    return tuple(rung for rung, size in enumerate(sizes) for _ in range(size))
