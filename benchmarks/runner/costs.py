"""A strategy's own time on the virtual clock, from a committed table, so that replays are reproducible."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

from automl.errors import UserError

COSTS = Path(__file__).parents[2] / "results" / "costs.csv"


def strategy_seconds(strategy: str, n_dimensions: int) -> Callable[[int], float]:
    """Seconds of the n-th step (ask or tell) of a strategy, for the nearest number of hyperparameters in the table.

    Interpolated between the measured numbers of observations, and constant beyond them. Raises UserError for a strategy
    that was not measured.
    """
    costs = _table()
    name = re.split("[+~]", strategy)[0]  # wrappers add little, and variants take about as long
    rows = costs[costs["strategy"] == name]
    if rows.empty:
        raise UserError(
            f"{COSTS.name} has no costs for the strategy {strategy!r}; measure it with "
            "python -m benchmarks.experiments.overhead --csv results/costs.csv, or charge the measured seconds with "
            "--live-overhead"
        )
    nearest = min(rows["n_dimensions"].unique(), key=lambda n: abs(n - n_dimensions))
    rows = rows[rows["n_dimensions"] == nearest].sort_values("n_trials")
    known, seconds = rows["n_trials"].to_numpy(), rows["seconds"].to_numpy()
    # The table has the time of an ask and its tell together.
    return lambda n_steps: float(np.interp(n_steps / 2, known, seconds)) / 2


@functools.cache
def _table() -> pd.DataFrame:
    return pd.read_csv(COSTS)
