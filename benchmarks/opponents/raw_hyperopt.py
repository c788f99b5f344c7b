"""hyperopt's fmin with tpe.suggest, with its loop unrolled: fmin calls the objective, but ask must return a config.

https://hyperopt.github.io/hyperopt/getting-started/search_spaces/
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from ConfigSpace import AndConjunction, EqualsCondition, InCondition
from hyperopt import JOB_STATE_DONE, JOB_STATE_RUNNING, STATUS_FAIL, STATUS_OK, hp, tpe
from hyperopt.base import Domain
from hyperopt.fmin import generate_trials_to_calculate

from benchmarks.opponents.base import Opponent
from strategies.encoding import Dimension
from strategies.types import Config, Value

Document = dict[str, Any]


class RawHyperopt(Opponent):
    """Hyperparameters that depend on a choice are nested in it, as documented; other conditions are not supported."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._children: dict[str, list[tuple[Dimension, list[Value]]]] = {}  # by choice, with the values for each
        roots = []
        for dim in self.dimensions:
            parent, values = self._branches(dim)
            if parent is None:
                roots.append(dim)
            else:
                self._children.setdefault(parent, []).append((dim, values))
        self._domain = Domain(lambda config: 0.0, {dim.name: self._node(dim) for dim in roots})
        self._seeds = np.random.default_rng(self.seed)
        default = {dim.name: _to_hyperopt(dim, dim.default) for dim in self.dimensions}
        active = self._active(default)
        self._trials = generate_trials_to_calculate([active])  # as fmin does with points_to_evaluate
        self._trials.refresh()
        misc = self._trials.trials[0]["misc"]
        for name in default.keys() - active.keys():
            misc["idxs"][name], misc["vals"][name] = [], []  # omitted by fmin, but required by tpe.suggest

    def _ask(self) -> tuple[Config, Document]:
        if self._n_proposed > 0:
            ids = self._trials.new_trial_ids(1)
            self._trials.refresh()
            seed = self._seeds.integers(2**31 - 1)
            self._trials.insert_trial_docs(tpe.suggest(ids, self._domain, self._trials, seed, verbose=False))
            self._trials.refresh()
        document: Document = self._trials.trials[-1]
        document["state"] = JOB_STATE_RUNNING
        drawn = {name: found[0] for name, found in document["misc"]["vals"].items() if found}
        values = {dim.name: _from_hyperopt(dim, drawn[dim.name]) for dim in self.dimensions if dim.name in drawn}
        return self.config(values), document

    def _tell(self, asked: Document, loss: float | None) -> None:
        asked["state"] = JOB_STATE_DONE
        asked["result"] = {"status": STATUS_FAIL} if loss is None else {"status": STATUS_OK, "loss": loss}
        self._trials.refresh()

    def _branches(self, dim: Dimension) -> tuple[str | None, list[Value]]:
        """The choice that a hyperparameter depends on, and the values under which it may be active."""
        choices = {choice.name: choice for choice in self.dimensions if choice.kind == "choice"}
        for condition in self.space.parent_conditions_of[dim.name]:
            for part in condition.components if isinstance(condition, AndConjunction) else [condition]:
                if isinstance(part, (EqualsCondition, InCondition)) and part.parent.name in choices:
                    parent = choices[part.parent.name]
                    return parent.name, [v for v in parent.values if part.satisfied_by_value({parent.name: v})]
        return None, []

    def _node(self, dim: Dimension) -> Any:
        if dim.kind == "ordinal":
            return hp.uniformint(dim.name, 0, len(dim.values) - 1)  # the index in the order
        if dim.kind == "choice":
            nodes = [(child.name, self._node(child), values) for child, values in self._children.get(dim.name, [])]
            return hp.choice(
                dim.name, [{name: node for name, node, values in nodes if v in values} for v in dim.values]
            )
        if dim.kind == "int" and dim.log:
            return hp.qloguniform(dim.name, math.log(dim.low), math.log(dim.high), 1)
        if dim.kind == "int":
            return hp.uniformint(dim.name, int(dim.low), int(dim.high))
        if dim.log:
            return hp.loguniform(dim.name, math.log(dim.low), math.log(dim.high))
        return hp.uniform(dim.name, dim.low, dim.high)

    def _active(self, values: dict[str, float]) -> dict[str, float]:
        """The values without those whose choice has another value."""
        kept = dict(values)
        for choice in self.dimensions:
            for child, wanted in self._children.get(choice.name, []):
                if choice.name not in kept or choice.values[int(kept[choice.name])] not in wanted:
                    kept.pop(child.name, None)
        return kept


def _to_hyperopt(dim: Dimension, value: Value) -> Any:
    return dim.values.index(value) if dim.values else value


def _from_hyperopt(dim: Dimension, drawn: float) -> Value:
    return dim.values[int(drawn)] if dim.values else drawn
