"""The losses of trials that were trained for different numbers of epochs, and how to compare them."""

from __future__ import annotations

import numpy as np

from strategies.base import Outcome

ETA = 3  # of as many configs, one goes on
N_RUNGS = 4  # the lowest is a 27th of a full training
MIN_PAIRS = 10  # trials at two rungs before their ranks tell whether the lower one tells anything,
MIN_CORRELATION = 0.3  # and how much it must
MIN_KNOWN = 3  # trials at two rungs before one is put on the other's scale


def rungs(max_epochs: int, eta: int = ETA, n_rungs: int = N_RUNGS) -> list[int]:
    """Epochs at which trials are compared, rising, the last of them max_epochs."""
    levels = {max(1, round(max_epochs / eta**k)) for k in range(n_rungs)}
    return sorted(levels)


class Ladder:
    """The losses of all trials at all rungs."""

    def __init__(self, levels: list[int]) -> None:
        self.levels = levels
        self.losses: dict[int, list[float]] = {}  # by trial: at each rung that it reached

    def enter(self, trial: int, outcome: Outcome) -> None:
        """The curve of a trial so far; of one that is below the lowest rung, where it ended."""
        losses = outcome.losses
        if not outcome.stopped:  # it may have told fewer losses than it had epochs
            losses += losses[-1:] * (outcome.proposal.epochs - len(losses))
        self.losses[trial] = [losses[level - 1] for level in self.levels if level <= len(losses)] or [losses[-1]]

    def at(self, rung: int) -> dict[int, float]:
        """Losses at a rung, by trial."""
        return {trial: losses[rung] for trial, losses in self.losses.items() if len(losses) > rung}

    @property
    def lowest(self) -> int:
        """The rung where new trials pause first: above all whose ranks say nothing of those at the next."""
        for rung in range(len(self.levels) - 1):
            pairs = [losses[rung : rung + 2] for losses in self.losses.values() if len(losses) > rung + 1]
            if len(pairs) < MIN_PAIRS or rank_correlation(*np.transpose(pairs)) >= MIN_CORRELATION:
                return rung
        return len(self.levels) - 1

    def steps(self) -> list[float]:
        """How much lower losses are at each rung than at the one below, in the median of the trials that reached both.

        As far up as there are enough of these.
        """
        found = []
        for rung in range(1, len(self.levels)):
            pairs = [losses[rung] - losses[rung - 1] for losses in self.losses.values() if len(losses) > rung]
            if len(pairs) < MIN_KNOWN:
                break
            found.append(float(np.median(pairs)))
        return found

    def value(self, trial: int, steps: list[float]) -> float:
        """The loss of a trial at the highest rung that is known well enough, put on its scale where it paused below."""
        losses = self.losses[trial]
        return losses[min(len(losses) - 1, len(steps))] + sum(steps[len(losses) - 1 :])


def rank_correlation(a: np.ndarray, b: np.ndarray) -> float:
    """Spearman's; 0 where one of the two is constant."""
    from scipy import stats

    return float(np.nan_to_num(stats.spearmanr(a, b).statistic))
