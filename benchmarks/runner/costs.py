"""What a strategy's own thinking costs on the virtual clock: seconds from a committed table, so that replays repeat."""

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
    """Seconds of the n-th step (ask or tell) of a strategy, by the table's nearest number of hyperparameters.

    Between the measured numbers of observations it is interpolated, beyond them it is the last one. UserError for a
    strategy that was not measured.
    """
    costs = _table()
    name = re.split("[+~]", strategy)[0]  # what is wrapped around it hardly thinks, and a variant about as long
    rows = costs[costs["strategy"] == name]
    if rows.empty:
        raise UserError(
            f"{COSTS.name} has no costs of the strategy {strategy!r}; measure it with "
            "python -m benchmarks.experiments.overhead --csv results/costs.csv, or charge the measured seconds with "
            "--live-overhead"
        )
    nearest = min(rows["n_dimensions"].unique(), key=lambda n: abs(n - n_dimensions))
    rows = rows[rows["n_dimensions"] == nearest].sort_values("n_trials")
    known, seconds = rows["n_trials"].to_numpy(), rows["seconds"].to_numpy()
    # The table counts an ask and its tell together.
    return lambda n_steps: float(np.interp(n_steps / 2, known, seconds)) / 2


@functools.cache
def _table() -> pd.DataFrame:
    return pd.read_csv(COSTS)
