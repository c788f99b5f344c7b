"""Losses of trainings of different lengths, and how to compare them.

A rung is a number of epochs. A loss is entered at the rung of the epoch at which it was measured. If the learning rate
follows a schedule, only the final loss counts, at the rung of the schedule's length.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from strategies.base import Outcome

ETA = 3  # one in ETA configs is promoted
N_RUNGS = 4  # the lowest is a 27th of a full training
MIN_PAIRS = 8  # configs at two rungs needed to compare the ranks at both,
MIN_CORRELATION = 0.3  # and the minimum rank correlation of the better half of them
MIN_KNOWN = 3  # configs at two rungs needed to convert losses from one to the other


def rungs(max_epochs: int, eta: int = ETA, n_rungs: int = N_RUNGS) -> list[int]:
    """Epochs at which trials are compared, in ascending order; the last one is max_epochs."""
    levels = {max(1, round(max_epochs / eta**k)) for k in range(n_rungs)}
    return sorted(levels)


def rungs_of(outcomes: Iterable[Outcome], max_epochs: int) -> list[int]:
    """The rungs at which these outcomes can be compared.

    The lengths of the schedules if there are short ones; else max_epochs if all were trained fully, or ``rungs``.
    """
    told = list(outcomes)
    schedules = {outcome.proposal.schedule or max_epochs for outcome in told}
    if min(schedules, default=max_epochs) < max_epochs:
        return sorted({*schedules, max_epochs})
    early = any(outcome.stopped or outcome.proposal.epochs < max_epochs for outcome in told)
    return rungs(max_epochs) if early else [max_epochs]


class Ladder:
    """The losses of all trials at all rungs. A promoted config is identified by its first trial."""

    def __init__(self, levels: list[int]) -> None:
        self.levels = levels
        self.losses: dict[int, dict[int, float]] = {}  # by trial: by rung

    def enter(self, outcome: Outcome) -> None:
        """Enter the curve of a trial so far; one that ended below the lowest rung is entered there."""
        losses, schedule = outcome.losses, outcome.proposal.schedule
        if schedule is not None and schedule not in self.levels:
            return  # from another study, with a schedule that is not comparable
        found = self.losses.setdefault(outcome.proposal.first, {})
        if schedule is not None:
            found[self.levels.index(schedule)] = losses[-1]
            return
        if not outcome.stopped:  # it may have reported fewer losses than epochs
            losses += losses[-1:] * (outcome.proposal.epochs - len(losses))
        reached = {rung: losses[level - 1] for rung, level in enumerate(self.levels) if level <= len(losses)}
        found.update(reached or {0: losses[-1]})

    def at(self, rung: int) -> dict[int, float]:
        """Losses at a rung, by trial."""
        return {trial: losses[rung] for trial, losses in self.losses.items() if rung in losses}

    @property
    def lowest(self) -> int:
        """The rung where new trials are first compared: the lowest whose ranks predict those at the next."""
        for rung in range(len(self.levels) - 1):
            correlation = self.correlation(rung)
            if correlation is None or correlation >= MIN_CORRELATION:
                return rung
        return len(self.levels) - 1

    def correlation(self, rung: int) -> float | None:
        """Rank correlation of the losses at a rung with those at the next, in the half that is better at the next.

        Bad configs are easy to identify; a search needs the order of the good ones. None if there are too few pairs.
        """
        pairs = self._pairs(rung)
        if len(pairs) < MIN_PAIRS:
            return None
        better = pairs[np.argsort(pairs[:, 1], kind="stable")[: (len(pairs) + 1) // 2]]
        return rank_correlation(better[:, 0], better[:, 1])

    def steps(self) -> list[float]:
        """The median change in loss from each rung to the next, over the trials that have both.

        Ends at the first rung with too few such trials.
        """
        found = []
        for rung in range(len(self.levels) - 1):
            pairs = self._pairs(rung)
            if len(pairs) < MIN_KNOWN:
                break
            found.append(float(np.median(pairs[:, 1] - pairs[:, 0])))
        return found

    def value(self, trial: int, steps: list[float]) -> float:
        """A trial's loss converted to the highest rung with a known step; ``steps`` as returned by ``steps()``."""
        losses = self.losses[trial]
        known = [rung for rung in losses if rung <= len(steps)]
        if not known:
            return losses[min(losses)]
        return losses[max(known)] + sum(steps[max(known) :])

    def _pairs(self, rung: int) -> np.ndarray:
        """Losses at a rung and at the next, (n, 2)."""
        both = [
            (losses[rung], losses[rung + 1]) for losses in self.losses.values() if {rung, rung + 1} <= losses.keys()
        ]
        return np.array(both).reshape(-1, 2)


def rank_correlation(a: np.ndarray, b: np.ndarray) -> float:
    """Spearman's rank correlation; 0 if one of the two is constant."""
    from scipy import stats

    if len(np.unique(a)) < 2 or len(np.unique(b)) < 2:
        return 0.0
    return float(stats.spearmanr(a, b).statistic)
