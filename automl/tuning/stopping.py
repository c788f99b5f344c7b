"""When a search ends before its budget is spent: its target, its patience, a bound on its simple regret.

A. Makarova et al., Automatic Termination for Hyperparameter Optimization (AutoML-Conf 2022).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from automl.errors import UserError
from automl.study.trial import TellEntry

if TYPE_CHECKING:
    from automl.study.study import Study
    from automl.task import Task
    from strategies.base import RegretBound, Strategy

GIVE_UP_AFTER = 10  # number of failures, if there was no other outcome

Within: TypeAlias = float | Literal["noise"]
"""The regret bound at which a search ends: in units of the loss, or the noise of repeated trainings of a config."""


def as_within(asked: Any) -> Within | None:
    """The option's value, from the command line or Python. UserError if it is neither a loss nor ``noise``."""
    if asked is None:
        return None
    if asked == "noise":
        return "noise"
    try:
        loss = float(asked)
    except (TypeError, ValueError):
        loss = math.nan
    if not 0 < loss < math.inf:
        raise UserError(f"sure-within must be a loss above 0, or the word noise, got {asked!r}")
    return loss


def check_is_possible(within: Within | None, strategy: Strategy, name: str) -> None:
    """UserError if the strategy has no model that bounds the regret."""
    if within is not None and not strategy.bounds_regret:
        raise UserError(f"sure-within needs a strategy with a model of the loss, such as bo; {name} has none")


def sure(bound: RegretBound | None, within: Within) -> str | None:
    """The reason to end the search, or None while the regret bound is larger than ``within``."""
    if bound is None or bound.regret > (bound.noise if within == "noise" else within):
        return None
    limit = f"the noise of a training, {bound.noise:.2g}" if within == "noise" else f"{within:g}"
    return f"sure that no config is better than the best by more than {bound.regret:.2g}, within {limit}"


class StoppingRules:
    """The stopping rules of a run."""

    def __init__(
        self, study: Study, task: Task, target: float | None, patience: int | None, sure_within: Within | None
    ) -> None:
        """``target``: of the task's metric. ``patience``: in full trainings."""
        self._study, self._task = study, task
        self._target, self._patience, self._sure_within = target, patience, sure_within
        self._sure: str | None = None
        self._n_restored = len(study.log)

    def update(self, strategy: Strategy) -> None:
        """Update the regret bound after a tell; the strategy may fit its model."""
        self._sure = None if self._sure_within is None else sure(strategy.regret_bound(), self._sure_within)

    @property
    def reason(self) -> str | None:
        """Why the search ends now; None if it continues."""
        if self._target_reached():
            return f"target of {self._target:g} reached"
        if self._only_failures():
            return f"the first {self._study.counts['failed']} trials all failed"
        if self._out_of_patience():
            return f"no better trial within the epochs of {self._patience} full training{'s' * (self._patience != 1)}"
        return self._sure

    def _target_reached(self) -> bool:
        best = self._study.best
        if self._target is None or best is None:
            return False
        value = best.mean(self._task.metric)
        assert value is not None
        return value >= self._target if self._task.maximize else value <= self._target

    def _only_failures(self) -> bool:
        """Whether all trials failed, enough of them in this session: a resumed run may have been fixed."""
        counts = self._study.counts
        if counts["failed"] + counts["running"] < len(self._study.trials):
            return False
        session = self._study.log[self._n_restored :]
        return sum(isinstance(each, TellEntry) and each.outcome.loss is None for each in session) >= GIVE_UP_AFTER

    def _out_of_patience(self) -> bool:
        if self._patience is None or self._study.best is None:
            return False
        return self._study.epochs_since_best >= self._patience * self._task.max_epochs
