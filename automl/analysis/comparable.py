"""Trainings that can be compared: those of equal length. What a shorter one reached says little of a whole one.

Whole trainings are compared where there are enough of them; otherwise the losses after the most epochs that enough
trainings share. A short training with a learning-rate schedule of its own (``schedule`` in its proposal's info) is
compared with others of that schedule only: its learning rate has decayed when that of a whole training has not.
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

ENOUGH = 10  # trainings to compare
CHANCE = 0.05  # a pattern is told where chance makes it in at most so many runs


@dataclass(frozen=True)
class Compared:
    """Trials of equal length, by number, and the others that have a loss."""

    trials: list[Trial]
    values: np.ndarray  # of the metric after so many epochs, shape (n,); extreme ones at the edge of what plots show
    epochs: int
    schedule: int  # epochs of the learning-rate schedule that they share
    max_epochs: int
    others: list[Trial]

    @property
    def whole(self) -> bool:
        """Whether they were trained to the end."""
        return self.schedule == self.epochs == self.max_epochs

    @property
    def enough(self) -> bool:
        """Whether there are enough of them."""
        return len(self.trials) >= ENOUGH

    @property
    def length(self) -> str:
        """How long they were trained, in words that fit after "trained"."""
        if self.whole:
            return "to the end"
        own = " with a schedule of that length" if self.schedule < self.max_epochs else ""
        return f"for {self.epochs} of {self.max_epochs} epochs{own}"

    @property
    def after(self) -> str:
        """At what epoch they are compared, to be added to a phrase; nothing where it is the last one."""
        return "" if self.whole else f" after {self.epochs} of {self.max_epochs} epochs"

    @property
    def basis(self) -> str | None:
        """Which trials are compared, in a sentence; None where there are too few, or all of them are whole."""
        n, left_out = len(self.trials), len(self.others)
        if not self.enough or (self.whole and not left_out):
            return None
        if self.whole:
            shorter = (
                "1 that was trained for less is" if left_out == 1 else f"{left_out} that were trained for less are"
            )
            return f"Compared are the {n} trials that were trained to the end; {shorter} left out."
        if self.schedule < self.max_epochs:
            return f"Too few trials were trained to the end: compared are the {n} that were trained {self.length}."
        return f"Too few trials were trained to the end: compared is what {n} had reached{self.after}."

    def reached(self, trial: Trial, metric: str) -> float | None:
        """The metric of a trial at the length that is compared; None where it is no number or the trial too short."""
        return _reached(trial, metric, self.epochs, whole=self.whole)


def compared(study: Study, metric: str, maximize: bool) -> Compared:
    """The trials of a study that can be compared best.

    Values that are worse than the others by far count as the edge of the range that the plots show: a few would decide
    everything.
    """
    of = study.max_epochs
    known = [trial for trial in ordered(study) if trial.state in ("complete", "stopped", "paused") and trial.losses]
    whole = [
        t for t in known if t.state == "complete" and _schedule(t, of) == of and _reached(t, metric, of) is not None
    ]
    chosen, epochs, schedule = whole, of, of
    if len(whole) < ENOUGH:
        enough = [level for level in _levels(known, metric, of) if len(level[2]) >= ENOUGH]
        if enough:
            epochs, schedule, chosen = max(enough, key=lambda level: level[:2])
    is_whole = epochs == schedule == of
    values = np.array([_reached(trial, metric, epochs, whole=is_whole) for trial in chosen], dtype=float)
    if len(values):
        values = np.clip(values, *shown_range([float(v) for v in values], maximize))
    among = {trial.number for trial in chosen}
    others = [trial for trial in known if trial.number not in among]
    return Compared(chosen, values, epochs, schedule, of, others)


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
    """What a trial had reached after so many epochs; a whole one, at its end, which may come sooner by itself."""
    curve = trial.metrics.get(metric) or trial.losses
    if whole:
        return finite(curve[-1])
    return finite(curve[epochs - 1]) if len(curve) >= epochs else None


# --- what was hardly tried ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Barely:
    """A value of a choice, or an end of a range, whose trials were given up before they could be compared."""

    name: str  # of the hyperparameter
    side: str  # "below" or "above" the values of a range that were explored; "" of a choice
    where: str  # in words
    n_trials: int
    n_compared: int  # of these

    def in_words(self, length: str) -> str:
        """With how often it was tried, and whether trained so long."""
        n = f"{self.n_trials} trial{'s' if self.n_trials > 1 else ''}"
        return f"{self.where} ({n}, {self.n_compared or 'none'} trained {length})"


def barely_explored(encoding: Encoding, found: Compared) -> list[Barely]:
    """What at most one trial has that was trained as long as those that are compared: choices, and ends of ranges.

    Ends of ranges are told where chance would rarely leave them out, as in ``patterns``.
    """
    far = [*found.trials, *(trial for trial in found.others if len(trial.losses) >= found.epochs)]
    given_up = [trial for trial in found.others if len(trial.losses) < found.epochs]
    dims = [dim for dim in encoding.dimensions if dim.n_values > 1]
    n_looks = 2 * sum(dim.numeric for dim in dims)
    told = []
    for dim in dims:
        seen = np.array([dim.to_unit(t.config[dim.name]) for t in far if dim.name in t.config])
        short = np.array([dim.to_unit(t.config[dim.name]) for t in given_up if dim.name in t.config])
        if len(seen):  # else the choice that it depends on tells it
            told += list(_ends(dim, seen, short, n_looks) if dim.numeric else _values(dim, seen, short))
    return told


def _values(dim: Dimension, seen: np.ndarray, short: np.ndarray) -> Iterator[Barely]:
    for value in dim.values:
        n_seen, n_short = (int((units == dim.to_unit(value)).sum()) for units in (seen, short))
        if n_seen < 2 and n_short > n_seen:
            yield Barely(dim.name, "", f"{dim.name} = {setting(value)}", n_seen + n_short, n_seen)


def _ends(dim: Dimension, seen: np.ndarray, short: np.ndarray, n_looks: int) -> Iterator[Barely]:
    low, high = float(seen.min()), float(seen.max())
    for side, end, beyond in (("below", low, short < low), ("above", high, short > high)):
        n = int(beyond.sum())
        if n and chance_of_none(n, len(seen), len(seen) + len(short)) <= CHANCE / n_looks:
            yield Barely(dim.name, side, f"{dim.name} {side} {setting(dim.from_unit(end))}", n, 0)


def chance_of_none(n_drawn: int, n_good: int, n: int) -> float:
    """That n_drawn of n trials hold none of the good ones; also that the n_drawn lowest do (hypergeometric)."""
    return math.comb(n - n_drawn, n_good) / math.comb(n, n_good)
