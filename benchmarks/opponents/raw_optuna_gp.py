"""Optuna with its Gaussian process sampler.

https://optuna.readthedocs.io/en/stable/reference/samplers/generated/optuna.samplers.GPSampler.html
"""

from __future__ import annotations

import optuna
from optuna.trial import TrialState

from benchmarks.opponents.raw_optuna import RawOptuna


class RawOptunaGP(RawOptuna):
    """A failed trial has the worst loss so far, as soon as there is one: the sampler ignores trials marked as failed
    and is deterministic, so it would propose the same config forever. Everything else is as in ``RawOptuna``."""

    def _sampler(self) -> optuna.samplers.BaseSampler:
        return optuna.samplers.GPSampler(seed=self.seed)

    def _tell(self, asked: optuna.Trial, loss: float | None) -> None:
        if loss is None:
            complete = self.study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
            loss = max((trial.values[0] for trial in complete), default=None)
        super()._tell(asked, loss)
