"""Nevergrad's NGOpt, which chooses an algorithm by parameter types, budget and number of workers.

https://facebookresearch.github.io/nevergrad/optimization.html
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import nevergrad as ng
import numpy as np
from nevergrad.optimization import metamodel

from benchmarks.opponents.base import FailuresAsWorst, Isolated
from strategies.encoding import Dimension
from strategies.types import Config

# Its metamodels, used with several workers, convert an array of one prediction to float. Since 2.4, NumPy raises a
# TypeError there, which Nevergrad does not handle: this restores the old behaviour within that module.
metamodel.float = lambda value: float(np.asarray(value).item())


class RawNevergrad(FailuresAsWorst):
    """No conditions: inactive hyperparameters are part of its candidates and dropped from the configs."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._isolated = Isolated(self.seed)
        with self._isolated():
            parametrization = ng.p.Dict(**{dim.name: _parameter(dim) for dim in self.dimensions})
            parametrization.random_state = np.random.RandomState(self.seed)
            self._optimizer = ng.optimizers.NGOpt(parametrization, budget=self.n_trials, num_workers=self.n_workers)
            self._optimizer.suggest({dim.name: dim.default for dim in self.dimensions})
        self._default_loss: float | None = None

    def _ask(self) -> tuple[Config, Any] | None:
        if len(self.pending) >= self.n_workers:
            return None  # the chosen algorithm may block until it gets a loss
        candidate = self._candidate()
        if self._default_loss is not None and self.config(candidate.value) == self.encoding.default:
            # Many of its algorithms start there by themselves: told at no cost.
            self._tell_loss(candidate, self._default_loss, failed=False)
            candidate = self._candidate()
        return self.config(candidate.value), candidate

    def _candidate(self) -> Any:
        with self._isolated():
            return self._optimizer.ask()

    def _tell(self, asked: Any, loss: float | None) -> None:
        if self._default_loss is None and self.config(asked.value) == self.encoding.default:
            self._default_loss = loss
        if loss is None and self._worst is None:
            self._tell_loss(asked, math.inf, failed=True)  # it may be waiting for this one; it clips infinite losses
        else:
            super()._tell(asked, loss)

    def config(self, values: Mapping[str, Any]) -> Config:
        found = super().config(values)
        return self.encoding.decode(self.encoding.encode(found))  # rounded: a log parameter misses its own init

    def _tell_loss(self, asked: Any, loss: float, failed: bool) -> None:
        with self._isolated():
            self._optimizer.tell(asked, loss)


def _parameter(dim: Dimension) -> Any:
    if dim.kind == "choice":
        return ng.p.Choice(list(dim.values))
    if dim.kind == "ordinal":
        return ng.p.TransitionChoice(list(dim.values))
    number = (ng.p.Log if dim.log else ng.p.Scalar)(init=dim.default, lower=dim.low, upper=dim.high)
    return number.set_integer_casting() if dim.kind == "int" else number
