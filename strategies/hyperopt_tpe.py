"""The original tree-structured Parzen estimator, from hyperopt: J. Bergstra et al. (NeurIPS 2011; ICML 2013)."""

from __future__ import annotations

import sys
from functools import cached_property
from typing import Any

import numpy as np

from strategies.base import Outcome, Proposal
from strategies.config_strategy import ConfigStrategy
from strategies.types import JSON, Config


class HyperoptTPE(ConfigStrategy):
    """hyperopt has no ask-and-tell interface, so its trial documents are rebuilt from the history at each ask."""

    n_initial = 8  # instead of hyperopt's twenty random trials

    def _suggest(self, rng: np.random.Generator) -> tuple[Config, dict[str, JSON]]:
        from hyperopt import tpe
        from hyperopt.base import trials_from_docs

        completed = [self._document(i, outcome.proposal, outcome) for i, outcome in enumerate(self.outcomes.values())]
        # A document without a loss counts as infinitely bad, which keeps proposals away from pending configs.
        pending = [self._document(len(completed) + i, p, None) for i, p in enumerate(self.pending.values())]
        trials = trials_from_docs(completed + pending, validate=False)
        new = tpe.suggest(
            [len(completed) + len(pending)],
            self._domain,
            trials,
            seed=int(rng.integers(2**31)),
            n_startup_jobs=1,
            verbose=False,
        )
        values = new[0]["misc"]["vals"]
        point = self.encoding.encode({})
        for i, dim in enumerate(self.encoding.dimensions):
            if dim.n_values > 1:
                value = float(values[dim.name][0])
                point[i] = value if dim.numeric else (value + 0.5) / len(dim.values)
        return self.encoding.decode(point), {"from": "hyperopt"}

    @cached_property
    def _domain(self) -> Any:
        from hyperopt import hp
        from hyperopt.base import Domain

        # All hyperparameters are declared flat; a document lacks the inactive ones, and each hyperparameter's densities
        # are estimated from the documents that have it. This implements the tree in the method's name.
        space = {
            dim.name: hp.uniform(dim.name, 0.0, 1.0) if dim.numeric else hp.randint(dim.name, len(dim.values))
            for dim in self.encoding.dimensions
            if dim.n_values > 1
        }
        return Domain(lambda config: 0.0, space, pass_expr_memo_ctrl=False)

    def _document(self, tid: int, proposal: Proposal, outcome: Outcome | None) -> dict[str, Any]:
        from hyperopt.base import JOB_STATE_DONE, JOB_STATE_RUNNING, STATUS_NEW, STATUS_OK

        point = self.encoding.encode(proposal.config)
        vals: dict[str, list[float | int]] = {}
        for dim, u in zip(self.encoding.dimensions, point, strict=True):
            if dim.n_values > 1:
                value = float(u) if dim.numeric else int(u * len(dim.values))
                vals[dim.name] = [value] if dim.name in proposal.config else []
        result: dict[str, Any] = {"status": STATUS_NEW}
        if outcome is not None:
            # Only the order of losses matters, so a failure is the largest number: avoided, not forgotten.
            result = {"status": STATUS_OK, "loss": sys.float_info.max if outcome.loss is None else outcome.loss}
        return {
            "tid": tid,
            "spec": None,
            "state": JOB_STATE_RUNNING if outcome is None else JOB_STATE_DONE,
            "result": result,
            "misc": {
                "tid": tid,
                "cmd": None,
                "idxs": {name: [tid] if value else [] for name, value in vals.items()},
                "vals": vals,
            },
            "exp_key": None,
            "owner": None,
            "version": 0,
            "book_time": None,
            "refresh_time": None,
        }
