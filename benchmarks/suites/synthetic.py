"""The BBOB functions of the COCO platform in 2, 5 and 10 dimensions, numeric and with discrete hyperparameters.

N. Hansen et al., Real-Parameter Black-Box Optimization Benchmarking 2009: Noiseless Functions Definitions (RR-6829);
the mixed variants follow the idea of T. Tusar et al., Mixed-Integer Benchmark Problems for Single- and Bi-Objective
Optimization (GECCO 2019). Computed by ioh.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from automl.space.parse import load_space
from benchmarks.suites.base import Curve, SimulatedTask

DEVELOPMENT = (1, 4, 6, 7, 10, 12, 14, 16, 18, 19, 21, 24)
LOW, HIGH = -5.0, 5.0
N_INT = 11  # values of an integer hyperparameter
N_CHOICE = 5  # values of a categorical hyperparameter


@dataclass(frozen=True)
class Bbob(SimulatedTask):
    """One function, instance 1. The loss is the distance to the optimal value; a trial takes one second."""

    function: int = 1
    dimension: int = 2
    mixed: bool = False

    @property
    def unit(self) -> str:
        return f"f{self.function:02d}"

    def curve(self, config: Mapping[str, Any], seed: int, epochs: int) -> Curve:
        return Curve(np.array([self.final_loss(config)]), np.ones(1))

    def final_loss(self, config: Mapping[str, Any]) -> float:
        problem = _problem(self.function, self.dimension)
        value = float(problem([self._coordinate(i, config) for i in range(self.dimension)]))
        return max(0.0, value - float(problem.optimum.y))

    def _coordinate(self, i: int, config: Mapping[str, Any]) -> float:
        value = config[f"x{i}"]
        kind = _kind(i, self.mixed)
        if kind == "int":
            return float(LOW + (HIGH - LOW) * value / (N_INT - 1))
        if kind == "choice":
            place = _places(self.function, i)["abcde".index(value)]
            return float(LOW + (HIGH - LOW) * place / (N_CHOICE - 1))
        return float(value)


def tasks() -> list[Bbob]:
    """All functions in 2, 5 and 10 dimensions, and mixed variants in 5 and 10."""
    shapes = [(2, False), (5, False), (10, False), (5, True), (10, True)]
    return [
        Bbob(
            "synthetic",
            f"f{function:02d}-{dimension}d" + ("-mixed" if mixed else ""),
            "development" if function in DEVELOPMENT else "holdout",
            _space(dimension, mixed),
            function=function,
            dimension=dimension,
            mixed=mixed,
        )
        for function in range(1, 25)
        for dimension, mixed in shapes
    ]


def _kind(i: int, mixed: bool) -> str:
    return ("float", "float", "int", "choice", "int")[i % 5] if mixed else "float"


@functools.cache
def _space(dimension: int, mixed: bool) -> Any:
    forms = {"float": {"float": [LOW, HIGH]}, "int": {"int": [0, N_INT - 1]}, "choice": {"choice": list("abcde")}}
    return load_space({f"x{i}": forms[_kind(i, mixed)] for i in range(dimension)})


@functools.cache
def _places(function: int, i: int) -> list[int]:
    """The place of each name among the values: their order is unrelated."""
    found: list[int] = np.random.default_rng((function, i)).permutation(N_CHOICE).tolist()
    return found


@functools.cache
def _problem(function: int, dimension: int) -> Any:
    import ioh

    return ioh.get_problem(function, 1, dimension, ioh.ProblemClass.BBOB)
