"""Syne Tune's asynchronous successive halving with the kernel densities of BOHB, which gets every epoch's loss.

https://syne-tune.readthedocs.io/en/latest/schedulers.html
"""

from __future__ import annotations

import logging
from datetime import datetime
from typing import Any

from syne_tune.backend.trial_status import Trial
from syne_tune.config_space import choice, lograndint, loguniform, ordinal, randint, uniform
from syne_tune.optimizer.baselines import BOHB
from syne_tune.optimizer.scheduler import SchedulerDecision

from benchmarks.opponents.base import Isolated, Opponent
from strategies.base import Outcome, Proposal
from strategies.encoding import Dimension
from strategies.types import Config

LOSS, EPOCH = "loss", "epoch"  # the names of its metrics

logging.getLogger("syne_tune").setLevel(logging.ERROR)  # it warns about each failed trial


class RawSyneTune(Opponent):
    """No conditions: inactive hyperparameters are part of its configs and dropped from ours. Trials are stopped."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._isolated = Isolated(self.seed)
        default = {dim.name: dim.default for dim in self.dimensions}
        with self._isolated():
            self._scheduler = BOHB(
                {dim.name: _domain(dim) for dim in self.dimensions}, metric=LOSS, time_attr=EPOCH,
                max_t=self.max_epochs, random_seed=self.seed, points_to_evaluate=[default],
            )  # fmt: skip
        self._n_trials = 0  # its own count, including forbidden ones

    def _ask(self) -> tuple[Config, Any] | None:
        with self._isolated():
            suggestion = self._scheduler.suggest()
            if suggestion is None:
                return None
            trial = Trial(self._n_trials, suggestion.config, datetime.now())
            self._n_trials += 1
            self._scheduler.on_trial_add(trial)
        return self.config(trial.config), trial

    def should_stop(self, proposal: Proposal, losses: tuple[float, ...]) -> bool:
        result = {LOSS: losses[-1], EPOCH: len(losses)}
        decision = self._scheduler.on_trial_result(self.pending[proposal.trial], result)
        return bool(decision == SchedulerDecision.STOP)

    def _learn(self, asked: Trial, outcome: Outcome) -> None:
        if outcome.loss is not None and outcome.stopped:
            self._scheduler.on_trial_remove(asked)
        elif outcome.loss is not None:
            self._scheduler.on_trial_complete(asked, {LOSS: outcome.loss, EPOCH: self.max_epochs})
        else:
            self._tell(asked, None)

    def _tell(self, asked: Trial, loss: float | None) -> None:
        assert loss is None
        self._scheduler.on_trial_error(asked)


def _domain(dim: Dimension) -> Any:
    if dim.kind == "choice":
        return choice(list(dim.values))
    if dim.kind == "ordinal":
        return ordinal(list(dim.values))
    low, high = dim.low, dim.high
    if dim.kind == "int":
        return (lograndint if dim.log else randint)(int(low), int(high))
    return (loguniform if dim.log else uniform)(low, high)
