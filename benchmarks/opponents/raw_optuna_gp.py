"""Optuna with its Gaussian process sampler.

https://optuna.readthedocs.io/en/stable/reference/samplers/generated/optuna.samplers.GPSampler.html
"""

from __future__ import annotations

import optuna
from optuna.trial import TrialState

from benchmarks.opponents.raw_optuna import RawOptuna


class RawOptunaGP(RawOptuna):
    """Everything else as in ``RawOptuna``."""

    def _sampler(self) -> optuna.samplers.BaseSampler:
        return optuna.samplers.GPSampler(seed=self.seed)

    def _forbid(self, asked: optuna.Trial) -> None:
        # It ignores failed trials and is deterministic, so it would propose the same config forever.
        complete = self.study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
        self._tell(asked, max((trial.values[0] for trial in complete), default=None))
