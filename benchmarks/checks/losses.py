"""Checks rows against their configurations: a loss is recomputed and compared with the recorded one.

Only for suites in which a loss follows from the configuration, the seed and the epochs alone.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

import numpy as np
import pandas as pd

from automl.tuning.trainings import training_seed
from benchmarks.suites.base import SimulatedTask

PURE = ("synthetic", "tables", "yahpo")
TOLERANCE = 1e-5  # relative: losses are kept in single precision, in which YAHPO Gym's network computes them too


def sampled(rows: pd.DataFrame, n_rows: int | None) -> pd.DataFrame:
    """Rows with a configuration and a loss: ``n_rows`` of them at random; None: all."""
    if "config" not in rows:
        return rows.iloc[:0]
    known = rows[rows["config"].notna() & rows["loss"].notna()]
    return known if n_rows is None or len(known) <= n_rows else known.sample(n_rows, random_state=0)


def unlike(rows: pd.DataFrame, tasks: Mapping[str, SimulatedTask]) -> list[str]:
    """A line for each row whose loss or worth does not match its configuration. ``tasks``: by name."""
    found = []
    for row in rows.sort_values("task", kind="stable").to_dict("records"):  # only few tables fit in memory
        task, config = tasks[row["task"]], json.loads(row["config"])
        curve = task.curve(config, training_seed(row["seed"], row["trial"]), row["epochs"])
        final_loss = task.final_loss(config)
        again = {
            "loss": float(curve.losses[row["epochs"] - 1]),
            "worth": row["worth"] if final_loss is None else final_loss,
        }
        for name, value in again.items():
            if not np.isclose(row[name], value, rtol=TOLERANCE, atol=1e-7):
                found.append(
                    f"{row['suite']}/{row['task']}: {row['strategy']}, seed {row['seed']}, trial {row['trial']}: "
                    f"{name} {row[name]:.8g}, but its configuration has {value:.8g}"
                )
    return found
