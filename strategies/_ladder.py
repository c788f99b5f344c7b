"""Losses of trainings of different lengths, and how to compare them.

A rung is a number of epochs. A loss is entered at the rung of the epoch at which it was measured. If the learning rate
follows a schedule, only the final loss counts, at the rung of the schedule's length.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np

from strategies._ranking import Ranking
from strategies.base import Outcome

ETA = 3  # one in ETA configs is promoted
N_RUNGS = 4  # the lowest is a 27th of a full training
MIN_PAIRS = 8  # configs at two rungs needed to compare the ranks at both,
MIN_CORRELATION = 0.3  # and the minimum rank correlation of the better half of them
Z_ONE_SIDED = 1.645  # standard errors from an estimate to its one-sided 95% bound
MIN_KNOWN = 3  # configs at two rungs needed to convert losses from one to the other


def rungs(max_epochs: int) -> list[int]:
    """Epochs at which trials are compared, in ascending order; the last one is max_epochs."""
    levels = {max(1, round(max_epochs / ETA**k)) for k in range(N_RUNGS)}
    return sorted(levels)


def rungs_of(outcomes: Iterable[Outcome], max_epochs: int) -> list[int]:
    """The rungs at which these outcomes can be compared.

    The lengths of the schedules if there are short ones; else max_epochs if all were trained fully, or ``rungs``.
    """
    known = list(outcomes)
    schedules = {outcome.proposal.schedule or max_epochs for outcome in known}
    if min(schedules, default=max_epochs) < max_epochs:
        return sorted({*schedules, max_epochs})
    early = any(outcome.stopped or outcome.proposal.epochs < max_epochs for outcome in known)
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
        if schedule is not None:
            reached = {self.levels.index(schedule): losses[-1]}
        else:
            if not outcome.stopped:  # it may have reported fewer losses than epochs, or more
                epochs = outcome.proposal.epochs
                losses = (*losses[: epochs - 1], *losses[-1:] * max(1, epochs - len(losses)))
            below = {rung: losses[level - 1] for rung, level in enumerate(self.levels) if level <= len(losses)}
            # Some scores are undefined in the first epochs; a NaN would spread to the converted losses of all trials.
            reached = {rung: loss for rung, loss in below.items() if math.isfinite(loss)}
        self._record(outcome.proposal.first, reached or {0: losses[-1]})

    def _record(self, trial: int, losses: dict[int, float]) -> None:
        self.losses.setdefault(trial, {}).update(losses)

    def steps(self) -> list[float]:
        """The median change in loss from each rung to the next, over the trials that have both.

        Ends at the first rung with too few such trials.
        """
        found: list[float] = []
        for rung in range(len(self.levels) - 1):
            both = [each for each in self.losses.values() if {rung, rung + 1} <= each.keys()]
            if len(both) < MIN_KNOWN:
                break
            found.append(float(np.median([each[rung + 1] - each[rung] for each in both])))
        return found

    def compared_at(self, trial: int, n_steps: int) -> int:
        """A trial's highest rung that the first ``n_steps`` steps reach; if there is none, its lowest."""
        losses = self.losses[trial]
        known = [rung for rung in losses if rung <= n_steps]
        return max(known) if known else min(losses)

    def value(self, trial: int, steps: list[float]) -> float:
        """A trial's loss converted to the highest rung with a known step; ``steps`` as returned by ``steps()``."""
        rung = self.compared_at(trial, len(steps))
        return self.losses[trial][rung] + sum(steps[rung:])


class RankedLadder(Ladder):
    """A ladder that keeps its rankings, steps and correlations up to date, so that reading them is cheap."""

    def __init__(self, levels: list[int]) -> None:
        super().__init__(levels)
        self.ranked = [Ranking() for _ in levels]  # by rung: its trials, best first
        self._trials: list[int] = []  # in the order in which they were entered
        self._place: dict[int, int] = {}  # position in this order
        self._both = [
            Ranking() for _ in levels[1:]
        ]  # by rung: places of trials at it and the next, by loss at the next
        self._changes = [Ranking() for _ in levels[1:]]  # by rung: these places by the change in loss to the next
        self._correlations: dict[int, float | None] = {}  # by rung

    def _record(self, trial: int, losses: dict[int, float]) -> None:
        if trial not in self._place:
            self._place[trial] = len(self._trials)
            self._trials.append(trial)
        before = self.losses.get(trial, {})
        new = {rung: loss for rung, loss in losses.items() if before.get(rung) != loss}
        super()._record(trial, losses)
        for rung, loss in new.items():
            self.ranked[rung].put(trial, loss)
        for rung in sorted({rung - below for rung in new for below in (0, 1)}):
            self._compare(trial, rung)

    def _compare(self, trial: int, rung: int) -> None:
        """Note the losses of a trial at a rung and at the next, if it has both."""
        found, place = self.losses[trial], self._place[trial]
        if not {rung, rung + 1} <= found.keys():
            return
        self._both[rung].put(place, found[rung + 1])
        self._changes[rung].put(place, found[rung + 1] - found[rung])
        self._correlations.pop(rung, None)

    @property
    def lowest(self) -> int:
        """The rung where new trials are first compared: the lowest whose ranks predict those at the next, and that is
        above all rungs whose ranks surely do not.

        Only promoted configs, of similar quality, are at a higher rung and the next, so a low correlation of a few of
        them may be chance.
        """
        top = len(self.levels) - 1
        misleading = [rung for rung in range(top) if self._is_misleading(rung)]
        for rung in range(max(misleading, default=-1) + 1, top):
            correlation = self.correlation(rung)
            if correlation is None or correlation >= MIN_CORRELATION:
                return rung
        return top

    def _is_misleading(self, rung: int) -> bool:
        """Whether the upper 95% bound of a rung's correlation, by Fisher's z, is below the minimum."""
        correlation = self.correlation(rung)
        if correlation is None or correlation >= MIN_CORRELATION:
            return False
        n = (len(self._both[rung]) + 1) // 2
        return math.atanh(max(correlation, -1.0 + 1e-9)) + Z_ONE_SIDED / math.sqrt(n - 3) < math.atanh(MIN_CORRELATION)

    def correlation(self, rung: int) -> float | None:
        """Rank correlation of the losses at a rung with those at the next, in the half that is better at the next.

        Bad configs are easy to identify; a search needs the order of the good ones. None if there are too few pairs.
        """
        n = len(self._both[rung])
        if n < MIN_PAIRS:
            return None
        if rung not in self._correlations:
            better = [self.losses[self._trials[place]] for place in self._both[rung].items(0, (n + 1) // 2)]
            here, above = (np.array([found[k] for found in better]) for k in (rung, rung + 1))
            self._correlations[rung] = rank_correlation(here, above)
        return self._correlations[rung]

    def steps(self) -> list[float]:
        found: list[float] = []
        for changes in self._changes:
            if len(changes) < MIN_KNOWN:
                break
            found.append(changes.median())
        return found


def rank_correlation(a: np.ndarray, b: np.ndarray) -> float:
    """Spearman's rank correlation; 0 if one of the two is constant."""
    from scipy import stats

    if len(np.unique(a)) < 2 or len(np.unique(b)) < 2:
        return 0.0
    return float(stats.spearmanr(a, b).statistic)
