"""The worth on the test set of the config that a search on validation data chooses."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd

from benchmarks.scoring.regret import RUN, in_time_order, incumbent_places, last_within

GENERALISATION = ["gap", "overtuning", "worse_than_default", "retrained", "retrained_default", "worse_retrained"]


def generalisation(runs: pd.DataFrame, budget: float) -> pd.DataFrame:
    """Test performance of a search on validation data, by RUN; only runs with known test losses.

    ``gap``: test minus validation loss of the chosen config. ``overtuning``: its test loss minus the best one among it
    and the previous incumbents (L. Schneider et al., arXiv:2506.19540). ``worse_than_default``: whether its test loss
    is above that of the default in the same run. ``retrained``, ``retrained_default``: mean test losses over fresh
    seeds of the config returned at this budget and of the default; ``worse_retrained``: whether the former is above the
    latter. NaN if one of them is unknown, as for a run with a larger budget that was not scored at this one.
    """
    rows, number, edges = in_time_order(runs, "at_epochs")
    place, last = incumbent_places(rows, number), last_within(rows, edges, budget)
    losses, tests, again, returned = (
        rows[name].to_numpy(dtype=float) for name in ("loss", "test", "retrained", "returned")
    )
    is_default = rows["is_default"].to_numpy(dtype=bool)
    index = pd.MultiIndex.from_frame(rows.iloc[edges[:-1]][RUN])
    found = np.full((len(index), len(GENERALISATION)), np.nan)
    for i, (begin, end) in enumerate(itertools.pairwise(edges)):
        chosen, until = place[last[i]], last[i] + 1
        if last[i] < 0 or chosen < 0:
            continue
        if not np.isnan(tests[chosen]):
            incumbents = np.unique(place[begin:until])
            best = np.nanmin(tests[incumbents[incumbents >= 0]])
            default = _last_known(tests[begin:until][is_default[begin:until]])
            found[i, :3] = tests[chosen] - losses[chosen], tests[chosen] - best, _above(tests[chosen], default)
        default = _last_known(again[begin:end][is_default[begin:end]])
        if np.isfinite(returned[last[i]] + default):
            found[i, 3:] = returned[last[i]], default, _above(returned[last[i]], default)
    return pd.DataFrame(found, index=index, columns=GENERALISATION).dropna(how="all")


def shared(values: pd.DataFrame, columns: list[str]) -> pd.DataFrame:
    """The values by RUN, with NaN in these columns unless all strategies that have values share that task and seed."""
    known = values[columns].notna().all(axis=1).unstack("strategy", fill_value=False)
    known = known.loc[:, known.any()]
    keys = known.index[known.all(axis=1)]
    own = pd.MultiIndex.from_arrays([values.index.get_level_values(name) for name in ("suite", "task", "seed")])
    found = values.copy()
    found.loc[~own.isin(keys), columns] = np.nan
    return found


def _last_known(values: np.ndarray) -> float:
    known = values[~np.isnan(values)]
    return float(known[-1]) if len(known) else np.nan


def _above(value: float, other: float) -> float:
    return np.nan if np.isnan(other) else float(value > other)
