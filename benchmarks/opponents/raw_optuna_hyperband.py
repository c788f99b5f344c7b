"""Optuna with its default sampler and the Hyperband pruner, which gets the loss of every epoch.

https://optuna.readthedocs.io/en/stable/reference/generated/optuna.pruners.HyperbandPruner.html
"""

from __future__ import annotations

import optuna
from optuna.trial import TrialState

from benchmarks.opponents.raw_optuna import RawOptuna
from strategies.base import Outcome, Proposal


class RawOptunaHyperband(RawOptuna):
    """With one epoch there is nothing to prune, and it is equivalent to ``RawOptuna``."""

    def _pruner(self) -> optuna.pruners.BasePruner:
        return optuna.pruners.HyperbandPruner(min_resource=1, max_resource=self.max_epochs, reduction_factor=3)

    def should_stop(self, proposal: Proposal, losses: tuple[float, ...]) -> bool:
        # The pruner uses everything reported so far, as in ordinary use.
        return _prunes(self.pending[proposal.trial], losses)

    def _learn(self, asked: optuna.Trial, outcome: Outcome) -> None:
        # The documented loop also asks after the last epoch, which only decides the state of the trial.
        complete = outcome.loss is not None and not outcome.stopped
        if outcome.stopped or (complete and _prunes(asked, outcome.losses)):
            self.study.tell(asked, state=TrialState.PRUNED)
        else:
            super()._learn(asked, outcome)


def _prunes(trial: optuna.Trial, losses: tuple[float, ...]) -> bool:
    trial.report(losses[-1], step=len(losses) - 1)
    return trial.should_prune()
