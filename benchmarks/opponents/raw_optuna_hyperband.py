"""Optuna with its default sampler and the Hyperband pruner, which hears of every epoch.

https://optuna.readthedocs.io/en/stable/reference/generated/optuna.pruners.HyperbandPruner.html
"""

from __future__ import annotations

import optuna
from optuna.trial import TrialState

from benchmarks.opponents.raw_optuna import RawOptuna
from strategies.base import Outcome, Proposal


class RawOptunaHyperband(RawOptuna):
    """With one epoch there is nothing to prune: then it is ``RawOptuna``."""

    def _pruner(self) -> optuna.pruners.BasePruner:
        return optuna.pruners.HyperbandPruner(min_resource=1, max_resource=self.max_epochs, reduction_factor=3)

    def should_stop(self, proposal: Proposal, losses: tuple[float, ...]) -> bool:
        # The pruner looks at whatever was reported until now, as it does for everyone who uses it.
        return _prunes(self.pending[proposal.trial], losses)

    def _learn(self, asked: optuna.Trial, outcome: Outcome) -> None:
        # The documented loop asks after the last epoch, too, where the answer only decides how the trial is counted.
        complete = outcome.loss is not None and not outcome.stopped
        if outcome.stopped or (complete and _prunes(asked, outcome.losses)):
            self.study.tell(asked, state=TrialState.PRUNED)
        else:
            super()._learn(asked, outcome)


def _prunes(trial: optuna.Trial, losses: tuple[float, ...]) -> bool:
    trial.report(losses[-1], step=len(losses) - 1)
    return trial.should_prune()
