"""Nevergrad's NGOpt, which picks an algorithm by the kinds of parameters, the budget and the number of workers.

https://facebookresearch.github.io/nevergrad/optimization.html
"""

from __future__ import annotations

import math
from typing import Any

import nevergrad as ng
import numpy as np
from nevergrad.optimization import metamodel

from benchmarks.opponents.base import Alone, FailuresAsWorst
from strategies.encoding import Dimension
from strategies.types import Config

# Its metamodels, which it picks for several workers, take an array of one prediction for a float. Since 2.4, NumPy
# raises a TypeError there, which Nevergrad does not expect: within that module, float is what it was before.
metamodel.float = lambda value: float(np.asarray(value).item())


class RawNevergrad(FailuresAsWorst):
    """No conditions: inactive hyperparameters are part of its candidates and left out of the configs."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._alone = Alone(self.seed)
        with self._alone():
            parametrization = ng.p.Dict(**{dim.name: _parameter(dim) for dim in self.dimensions})
            parametrization.random_state = np.random.RandomState(self.seed)
            self._optimizer = ng.optimizers.NGOpt(parametrization, budget=self.n_trials, num_workers=self.n_workers)
            self._optimizer.suggest({dim.name: dim.default for dim in self.dimensions})

    def _ask(self) -> tuple[Config, Any] | None:
        if len(self.pending) >= self.n_workers:
            return None  # it may have picked an algorithm that waits for the loss, for ever
        with self._alone():
            candidate = self._optimizer.ask()
        return self.config(candidate.value), candidate

    def _tell(self, asked: Any, loss: float | None) -> None:
        if loss is None and self._worst is None:
            self._tell_loss(asked, math.inf, failed=True)  # it may wait for this one; it clips what is not finite
        else:
            super()._tell(asked, loss)

    def _tell_loss(self, asked: Any, loss: float, failed: bool) -> None:
        with self._alone():
            self._optimizer.tell(asked, loss)


def _parameter(dim: Dimension) -> Any:
    if dim.kind == "choice":
        return ng.p.Choice(list(dim.values))
    if dim.kind == "ordinal":
        return ng.p.TransitionChoice(list(dim.values))
    number = (ng.p.Log if dim.log else ng.p.Scalar)(init=dim.default, lower=dim.low, upper=dim.high)
    return number.set_integer_casting() if dim.kind == "int" else number
