"""Bayesian optimization with scikit-optimize: Gaussian process and expected improvement, through its ask and tell.

D. R. Jones et al., Efficient Global Optimization (1998).
"""

from __future__ import annotations

import warnings
from functools import cached_property
from typing import Any

import numpy as np

from strategies._observations import worst_counted
from strategies.base import LARGEST_LOSS
from strategies.config_strategy import ConfigStrategy
from strategies.types import JSON, Config

MAX_POINTS = 200  # fitting is O(n^3); beyond this, only the best and the latest are used


class SkoptGP(ConfigStrategy):
    """Fits a new model to all outcomes at each ask, so proposals depend only on the history and the seed."""

    n_initial = 8

    def _suggest(self, rng: np.random.Generator) -> tuple[Config, dict[str, JSON]]:
        from skopt import Optimizer

        # EI instead of the default gp_hedge, which picks among three functions at random and is stateful.
        optimizer = Optimizer(
            [dimension for dimension, _ in self._skopt_dimensions],
            base_estimator="GP",
            n_initial_points=0,
            acq_func="EI",
            acq_optimizer_kwargs={"n_points": 2000},  # the default of 10,000 is not worth its cost
            random_state=int(rng.integers(2**31)),
        )
        points, losses = self._training_data()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # scikit-learn's warnings about lengthscales at their bounds
            optimizer.tell(points, losses)
            suggested = optimizer.ask()
        return self._from_skopt(suggested), {"from": "skopt"}

    def _training_data(self) -> tuple[list[list[Any]], list[float]]:
        configs, losses = self.observations()
        if len(configs) > MAX_POINTS:
            latest = range(len(configs) - MAX_POINTS // 2, len(configs))
            best = np.argsort(losses[: latest.start], kind="stable")[: MAX_POINTS // 2]
            kept = [*sorted(best), *latest]
            configs, losses = [configs[i] for i in kept], [losses[i] for i in kept]
        losses = _clipped(losses)
        # Constant liar (Ginsbourger et al. 2010): pending configs get the mean loss, or they would be proposed again.
        pending = [proposal.config for proposal in self.pending.values()]
        lies = [float(np.mean(losses))] * len(pending)
        return [self._to_skopt(config) for config in [*configs, *pending]], losses + lies

    @cached_property
    def _skopt_dimensions(self) -> list[tuple[Any, int]]:
        """Each scikit-optimize dimension with the index of ours; constants are excluded."""
        from skopt.space import Categorical, Real

        # Numbers are passed as coordinates in [0, 1]: with its own log scale, rounding puts range ends out of bounds.
        return [
            (Real(0.0, 1.0) if dim.numeric else Categorical(list(range(len(dim.values)))), i)
            for i, dim in enumerate(self.encoding.dimensions)
            if dim.n_values > 1
        ]

    def _to_skopt(self, config: Config) -> list[Any]:
        point = self.encoding.encode(config)
        dims = self.encoding.dimensions
        return [
            float(point[i]) if dims[i].numeric else int(point[i] * len(dims[i].values))
            for _, i in self._skopt_dimensions
        ]

    def _from_skopt(self, suggested: list[Any]) -> Config:
        point = self.encoding.encode({})
        for value, (_, i) in zip(suggested, self._skopt_dimensions, strict=True):
            dim = self.encoding.dimensions[i]
            point[i] = value if dim.numeric else (value + 0.5) / len(dim.values)
        return self.encoding.decode(point)


def _clipped(losses: list[float]) -> list[float]:
    finite = np.clip(losses, -LARGEST_LOSS, LARGEST_LOSS)
    return [float(loss) for loss in np.minimum(finite, worst_counted(finite))]
