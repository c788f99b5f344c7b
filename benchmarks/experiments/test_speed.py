"""Speed of replay and of suggestions: ``pytest benchmarks/experiments/test_speed.py --benchmark-enable -n 0``.

Not part of the test suite: there are no time limits. ``python -m benchmarks.experiments.speed`` writes the medians to
results/speed.csv.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from benchmarks.experiments.overhead import prepared, seconds_of_step
from benchmarks.runner.plan import TaskSource
from benchmarks.runner.simulate import Run, simulate
from strategies import STRATEGIES

N_REPLAYED = 1_000  # trials of one run


@pytest.mark.parametrize("task", ["hpobench-car", "hpolib-naval-propulsion", "nasbench201-cifar10"])
def test_replay_of_random(benchmark: Any, task: str) -> None:
    source = TaskSource("tables").task(task)
    run = Run("tables", task, "random", 0, N_REPLAYED)
    simulate(run, source, lambda n_steps: 0.0)  # reads the table
    rows = benchmark.pedantic(simulate, (run, source, lambda n_steps: 0.0), rounds=5)
    assert len(rows) == N_REPLAYED


@pytest.mark.parametrize("n_observations", [10, 50, 100, 500])
@pytest.mark.parametrize("strategy", STRATEGIES)
def test_ask_and_tell(benchmark: Any, strategy: str, n_observations: int) -> None:
    ready, rng = prepared(strategy, n_observations), np.random.default_rng(0)
    benchmark.pedantic(seconds_of_step, (ready, rng), rounds=5, warmup_rounds=1)
