"""Multivariate tree-structured Parzen estimator, from Optuna.

J. Bergstra et al., Algorithms for Hyper-Parameter Optimization (NeurIPS 2011); S. Falkner et al., BOHB (ICML 2018) for
the multivariate form; S. Watanabe (arXiv 2304.11127) for the effect of its settings.
"""

from __future__ import annotations

import sys
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np

from strategies.base import Outcome, Proposal
from strategies.config_strategy import ConfigStrategy
from strategies.encoding import Dimension
from strategies.quiet_optuna import quiet_optuna
from strategies.types import JSON, Config, Value

if TYPE_CHECKING:
    import optuna

WIDE = 2**31  # ints with more values are floats to Optuna, whose int densities are differences between cells


class TPE(ConfigStrategy):
    """Optuna's sampler on an in-memory study that mirrors the outcomes and the pending proposals."""

    n_initial = 8  # instead of Optuna's ten random trials

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._study: optuna.Study | None = None  # built on first use: importing Optuna is slow
        self._mirrored: dict[int, int] = {}  # our trial number -> Optuna's trial id
        # Trials in the order in which they were asked or, for warm starts, told (a dict as an ordered set).
        self._first_seen: dict[int, None] = {}
        self._changed: dict[int, None] = {}  # those still to be mirrored, in the same order
        self._asking = -1  # id of the trial used for every ask: the sampler stores its draws in it

    def _suggest(self, rng: np.random.Generator) -> tuple[Config, dict[str, JSON]]:
        import optuna

        study = self._mirror()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            sampler = optuna.samplers.TPESampler(
                n_startup_trials=1,
                multivariate=True,  # much better than the univariate form
                group=True,  # conditional hyperparameters are modelled jointly with those they occur with
                constant_liar=True,  # pending proposals count as bad
                seed=int(rng.integers(2**31)),
            )
        trial = study._storage.get_trial(self._asking)
        together = sampler.sample_relative(study, trial, sampler.infer_relative_search_space(study, trial))

        def choose(dim: Dimension) -> Value:
            if dim.name in together:
                return _from_optuna(dim, together[dim.name])
            if dim.n_values == 1:
                return dim.default
            return _from_optuna(dim, sampler.sample_independent(study, trial, dim.name, _distribution(dim)))

        return self.encoding.build(choose), {"from": "tpe"}

    def restore(self, proposal: Proposal) -> None:
        super().restore(proposal)
        self._first_seen.setdefault(proposal.trial)
        self._changed.setdefault(proposal.trial)

    def tell(self, outcome: Outcome) -> None:
        if outcome.proposal.trial in self.outcomes:
            self._study = None  # Optuna refuses to change a finished trial, so the mirror is rebuilt
        super().tell(outcome)
        self._first_seen.setdefault(outcome.proposal.trial)
        self._changed.setdefault(outcome.proposal.trial)

    def _mirror(self) -> optuna.Study:
        import optuna

        if self._study is None:
            with quiet_optuna():
                self._study = optuna.create_study(storage=optuna.storages.InMemoryStorage())
            self._asking = self._study._storage.create_new_trial(self._study._study_id)
            self._mirrored = {}
            self._changed = dict(self._first_seen)
        # Optuna breaks ties by its trial numbers, so these must not depend on when the mirror was last rebuilt.
        for trial in self._changed:
            outcome = self.outcomes.get(trial)
            self._mirror_trial(self._study, trial, outcome.proposal if outcome else self.pending[trial], outcome)
        self._changed = {}
        # Optuna finds the groups of hyperparameters in a cache that only its own ask() clears.
        self._study._thread_local.cached_all_trials = None
        return self._study

    def _mirror_trial(self, study: optuna.Study, trial: int, proposal: Proposal, outcome: Outcome | None) -> None:
        import optuna

        storage, state = study._storage, optuna.trial.TrialState
        if trial not in self._mirrored:
            dims = [dim for dim in self.encoding.dimensions if dim.name in proposal.config and dim.n_values > 1]
            template = optuna.trial.create_trial(
                state=state.RUNNING,
                params={dim.name: _to_optuna(dim, proposal.config[dim.name]) for dim in dims},
                distributions={dim.name: _distribution(dim) for dim in dims},
            )
            self._mirrored[trial] = storage.create_new_trial(study._study_id, template)
        if outcome is not None and storage.get_trial(self._mirrored[trial]).state == state.RUNNING:
            # Only the order of values matters, so a failure is the largest number: avoided, not forgotten.
            value = sys.float_info.max if outcome.loss is None else outcome.loss
            storage.set_trial_state_values(self._mirrored[trial], state.COMPLETE, [value])


def _distribution(dim: Dimension) -> optuna.distributions.BaseDistribution:
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    if dim.n_values > WIDE:
        return FloatDistribution(dim.low, dim.high, log=dim.log)
    if dim.kind == "int":
        return IntDistribution(int(dim.low), int(dim.high), log=dim.log)
    if dim.kind == "ordinal":
        return IntDistribution(0, len(dim.values) - 1)  # the index in the order
    return CategoricalDistribution(list(range(len(dim.values))))


def _to_optuna(dim: Dimension, value: Value) -> Value:
    if dim.values:
        return int(dim.to_unit(value) * len(dim.values))
    return float(value) if dim.n_values > WIDE else value


def _from_optuna(dim: Dimension, value: Any) -> Value:
    if dim.values:
        return dim.values[int(value)]
    if dim.kind == "int":
        value = int(min(max(round(value), dim.low), dim.high))
    return dim.from_unit(dim.to_unit(value))
