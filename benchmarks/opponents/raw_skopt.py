"""scikit-optimize's ask-and-tell Optimizer with its defaults: ten random points, a Gaussian process, gp_hedge.

https://scikit-optimize.readthedocs.io/en/latest/auto_examples/ask-and-tell.html
"""

from __future__ import annotations

import warnings
from typing import Any

from skopt import Optimizer
from skopt.space import Categorical, Integer, Real

from benchmarks.opponents.base import FailuresAsWorst
from strategies.encoding import Dimension
from strategies.types import Config, Value

Point = list[Any]


class RawSkopt(FailuresAsWorst):
    """No conditions: inactive hyperparameters are part of its points and dropped from the configs."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._optimizer = Optimizer([_dimension(dim) for dim in self.dimensions], random_state=self.seed)

    def _ask(self) -> tuple[Config, Point]:
        n_open = len(self.pending) + len(self._pending_failures)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about known points, which it replaces by random ones
            if self._n_proposed == 0:
                point = [_to_skopt(dim, dim.default) for dim in self.dimensions]  # told like the x0 of gp_minimize
            elif n_open == 0:
                point = self._optimizer.ask()
            else:
                # Without a tell in between it would repeat itself, so parallel points are requested together.
                point = self._optimizer.ask(n_points=n_open + 1)[-1]
        values = {
            dim.name: dim.values[int(value)] if dim.kind == "ordinal" else value
            for dim, value in zip(self.dimensions, point, strict=True)
        }
        return self.config(values), point

    def _tell_loss(self, asked: Point, loss: float, failed: bool) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # scikit-learn's warnings about its fits
            self._optimizer.tell(asked, loss)


def _dimension(dim: Dimension) -> Any:
    prior = "log-uniform" if dim.log else "uniform"
    if dim.kind == "float":
        return Real(dim.low, dim.high, prior=prior)
    if dim.kind == "int":
        return Integer(int(dim.low), int(dim.high), prior=prior)
    if dim.kind == "ordinal":
        return Integer(0, len(dim.values) - 1)
    return Categorical(list(dim.values))


def _to_skopt(dim: Dimension, value: Value) -> Value:
    return dim.values.index(value) if dim.kind == "ordinal" else value
