"""Ax through its client, with the default generation strategy: Sobol points, then BoTorch's process.

https://ax.dev/docs/tutorials/quickstart/
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from ax.api.client import Client
from ax.api.configs import ChoiceParameterConfig, RangeParameterConfig
from ax.exceptions.core import DataRequiredError, SearchSpaceExhausted

from benchmarks.opponents.base import Opponent
from benchmarks.opponents.isolated_torch import IsolatedTorch
from strategies.encoding import Dimension
from strategies.types import Config

KINDS = {bool: "bool", int: "int", float: "float", str: "str"}
LOSS = "loss_of_the_training"  # the name of its metric; must not be a hyperparameter's name

for name in ("ax.api.client", "ax.storage.sqa_store.with_db_settings_base"):
    logging.getLogger(name).setLevel(logging.ERROR)


class RawAx(Opponent):
    """The default config is attached as the first trial, in place of the center of the space. No conditions: inactive
    hyperparameters are part of its configs and dropped from ours. Failed trials are abandoned, since failed ones may be
    proposed again, and a model without a random part would do so forever."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._isolated = IsolatedTorch(self.seed)
        self._worst: float | None = None
        self._exhausted = False
        with self._isolated():
            self._client = Client(random_seed=self.seed)
            self._client.configure_experiment([_parameter(dim) for dim in self.dimensions])
            self._client.configure_optimization(f"-{LOSS}")

    def _ask(self) -> tuple[Config, int] | None:
        with self._isolated():
            if self._n_proposed == 0:
                values: Mapping[str, Any] = {dim.name: dim.default for dim in self.dimensions}
                trial = self._client.attach_trial(values)
            else:
                try:
                    ((trial, values),) = self._client.get_next_trials(1).items()
                except DataRequiredError:  # too many initial trials are pending
                    return None
                except SearchSpaceExhausted:
                    self._exhausted = True
                    return None
        return self.config(values), trial

    def _tell(self, asked: int, loss: float | None) -> None:
        with self._isolated():
            if loss is None:
                self._client.mark_trial_abandoned(asked)
            else:
                self._client.complete_trial(asked, {LOSS: loss})
        if loss is not None:
            self._worst = loss if self._worst is None else max(self._worst, loss)

    @property
    def exhausted(self) -> bool:
        return self._exhausted

    def _forbid(self, asked: int) -> None:
        self._tell(asked, self._worst)


def _parameter(dim: Dimension) -> RangeParameterConfig | ChoiceParameterConfig:
    if not dim.values:
        scaling = "log" if dim.log else "linear"
        return RangeParameterConfig(dim.name, (dim.low, dim.high), dim.kind, scaling=scaling)
    types = {type(value) for value in dim.values}
    kind: Any = KINDS[types.pop()] if len(types) == 1 else "float"  # integers and floats
    return ChoiceParameterConfig(dim.name, list(dim.values), kind, is_ordered=dim.kind == "ordinal")
