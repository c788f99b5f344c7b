"""Comparable trials: those trained for the same number of epochs, since short trainings predict little of full ones.

Complete trials are compared if there are enough; otherwise losses at the highest epoch that enough trials reached. A
short training with its own learning-rate schedule (``schedule`` in its proposal's info) is compared only with others of
that schedule: its learning rate has already decayed, unlike that of a full training.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from automl.analysis.formatting import finite, ordered, setting, shown_range
from automl.study.study import Study
from automl.study.trial import Trial
from strategies.encoding import Dimension, Encoding

MIN_COMPARED = 10  # trials
SIGNIFICANCE_LEVEL = 0.05  # of patterns


@dataclass(frozen=True)
class ComparedTrials:
    """Trials of equal length, by number, and the others with a loss."""

    trials: list[Trial]
    values: np.ndarray  # of the metric after ``epochs``, shape (n,); outliers are clipped to the plots' range
    epochs: int
    schedule: int  # epochs of their learning-rate schedule
    max_epochs: int
    others: list[Trial]
    unit: str = "epochs"  # what the report calls them, such as folds

    @property
    def whole(self) -> bool:
        """Whether they are full trainings."""
        return self.schedule == self.epochs == self.max_epochs

    @property
    def enough(self) -> bool:
        """Whether there are enough trials to compare."""
        return len(self.trials) >= MIN_COMPARED

    @property
    def length(self) -> str:
        """How long they were trained, as a phrase after "trained"."""
        if self.whole:
            return "to the end"
        own = " with a schedule of that length" if self.schedule < self.max_epochs else ""
        return f"for {self.epochs} of {self.max_epochs} {self.unit}{own}"

    @property
    def after(self) -> str:
        """The epoch at which they are compared, as a suffix of a phrase; empty for the last one."""
        return "" if self.whole else f" after {self.epochs} of {self.max_epochs} {self.unit}"

    @property
    def basis(self) -> str | None:
        """A sentence on which trials are compared; None if there are too few, or if all are full trainings."""
        n, left_out = len(self.trials), len(self.others)
        if not self.enough or (self.whole and not left_out):
            return None
        if self.whole:
            shorter = "1 with a shorter training is" if left_out == 1 else f"{left_out} with shorter trainings are"
            return f"Only the {n} fully trained trials are compared; {shorter} left out."
        if self.schedule < self.max_epochs:
            return f"Too few trials were fully trained: the {n} trained {self.length} are compared."
        return f"Too few trials were fully trained: the values of {n}{self.after} are compared."

    def reached(self, trial: Trial, metric: str) -> float | None:
        """The metric of a trial at the compared length; None if it is not a number or the trial is too short."""
        return _reached(trial, metric, self.epochs, whole=self.whole)


def compared(study: Study, metric: str, maximize: bool, unit: str = "epochs") -> ComparedTrials:
    """The trials of a study to compare.

    Outliers, values far worse than the others, are clipped to the plots' range, since a few would dominate everything.
    """
    of = study.max_epochs
    known = [trial for trial in ordered(study) if trial.state in ("complete", "stopped", "paused") and trial.losses]
    whole = [
        t for t in known if t.state == "complete" and _schedule(t, of) == of and _reached(t, metric, of) is not None
    ]
    chosen, epochs, schedule = whole, of, of
    if len(whole) < MIN_COMPARED:
        enough = [level for level in _levels(known, metric, of) if len(level[2]) >= MIN_COMPARED]
        if enough:
            epochs, schedule, chosen = max(enough, key=lambda level: level[:2])
    is_whole = epochs == schedule == of
    values = np.array([_reached(trial, metric, epochs, whole=is_whole) for trial in chosen], dtype=float)
    if len(values):
        values = np.clip(values, *shown_range([float(v) for v in values], maximize))
    among = {trial.number for trial in chosen}
    others = [trial for trial in known if trial.number not in among]
    return ComparedTrials(chosen, values, epochs, schedule, of, others, unit)


def _levels(trials: Sequence[Trial], metric: str, max_epochs: int) -> Iterator[tuple[int, int, list[Trial]]]:
    """Every (epochs, schedule) at which trials ended, with the trials that have a value there."""
    for schedule in {_schedule(trial, max_epochs) for trial in trials}:
        same = [trial for trial in trials if _schedule(trial, max_epochs) == schedule]
        for epochs in {len(trial.losses) for trial in same if len(trial.losses) <= schedule}:
            yield epochs, schedule, [t for t in same if _reached(t, metric, epochs, whole=False) is not None]


def _schedule(trial: Trial, max_epochs: int) -> int:
    """Epochs of its learning-rate schedule."""
    own = trial.proposals[0].info.get("schedule") if trial.proposals else None
    return min(own, max_epochs) if isinstance(own, int) else max_epochs


def _reached(trial: Trial, metric: str, epochs: int, *, whole: bool = True) -> float | None:
    """A trial's metric after ``epochs``; for a complete trial at its end, which may be earlier."""
    curve = trial.metrics.get(metric) or trial.losses
    if whole:
        return finite(curve[-1])
    return finite(curve[epochs - 1]) if len(curve) >= epochs else None


# --- barely explored regions --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class BarelyExplored:
    """A categorical value or an end of a range whose trials were stopped before they could be compared."""

    name: str  # of the hyperparameter
    side: str  # "below" or "above" the explored values of a range; "" for a choice
    where: str  # in words
    n_trials: int
    n_compared: int  # of these

    def in_words(self, length: str) -> str:
        """The region, how often it was tried, and how many of these trials were trained long enough."""
        n = f"{self.n_trials} trial{'s' if self.n_trials > 1 else ''}"
        return f"{self.where} ({n}, {self.n_compared or 'none'} trained {length})"


def barely_explored(encoding: Encoding, found: ComparedTrials) -> list[BarelyExplored]:
    """Choices and ends of ranges with at most one trial trained to the compared length.

    Ends of ranges are reported only if they are unlikely to be missing by chance, as in ``patterns``.
    """
    far = [*found.trials, *(trial for trial in found.others if len(trial.losses) >= found.epochs)]
    given_up = [trial for trial in found.others if len(trial.losses) < found.epochs]
    dims = [dim for dim in encoding.dimensions if dim.n_values > 1]
    n_looks = 2 * sum(dim.numeric for dim in dims)
    regions = []
    for dim in dims:
        seen = np.array([dim.to_unit(t.config[dim.name]) for t in far if dim.name in t.config])
        short = np.array([dim.to_unit(t.config[dim.name]) for t in given_up if dim.name in t.config])
        if len(seen):  # otherwise its parent is reported
            regions += list(_ends(dim, seen, short, n_looks) if dim.numeric else _values(dim, seen, short))
    return regions


def _values(dim: Dimension, seen: np.ndarray, short: np.ndarray) -> Iterator[BarelyExplored]:
    for value in dim.values:
        n_seen, n_short = (int((units == dim.to_unit(value)).sum()) for units in (seen, short))
        if n_seen < 2 and n_short > n_seen:
            yield BarelyExplored(dim.name, "", f"{dim.name} = {setting(value)}", n_seen + n_short, n_seen)


def _ends(dim: Dimension, seen: np.ndarray, short: np.ndarray, n_looks: int) -> Iterator[BarelyExplored]:
    low, high = float(seen.min()), float(seen.max())
    for side, end, beyond in (("below", low, short < low), ("above", high, short > high)):
        n = int(beyond.sum())
        if n and chance_of_none(n, len(seen), len(seen) + len(short)) <= SIGNIFICANCE_LEVEL / n_looks:
            yield BarelyExplored(dim.name, side, f"{dim.name} {side} {setting(dim.from_unit(end))}", n, 0)


def chance_of_none(n_drawn: int, n_good: int, n: int) -> float:
    """The probability that n_drawn of n trials include none of the n_good (hypergeometric)."""
    return math.comb(n - n_drawn, n_good) / math.comb(n, n_good)
