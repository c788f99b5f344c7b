"""Regret of runs as a function of the budget spent: pure functions on one tidy table.

The table has a row per outcome: suite, task, strategy, seed, n_workers, trial, repeats (the trial whose config was
trained again; NaN for others), loss (observed), worth (the config's final loss without noise), test (test loss of this
training; NaN if unknown), retrained (mean test loss over fresh seeds, for the default and the returned config),
returned (the same for the config returned by a run that ends with this row; on the last rows of some budgets),
is_default, n_trials (the requested budget, which the last training may exceed), epochs (of the trial), max_epochs,
at_epochs and at_seconds (spent so far by the run), failed. Tasks may be variants of one unit: see
``benchmarks.scoring.statistics``.
Budgets are in full trainings: a budget of 20 is 20 x max_epochs epochs.
"""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd

from benchmarks.scoring.statistics import Units, unit_keys

RUN = ["suite", "task", "strategy", "seed"]
ROUNDING = 1e-6  # tolerance against a best known loss, as runs are kept in single precision


def normalised(loss: float | np.ndarray, best: float | np.ndarray, reference: float | np.ndarray) -> float | np.ndarray:
    """(loss - best) / (reference - best): 0 is the best known loss, 1 that of a median random config."""
    return (loss - best) / (reference - best)


def incumbent_places(rows: pd.DataFrame, run: np.ndarray) -> np.ndarray:
    """The index of the incumbent's row, as of each row; -1 before there is one. ``run``: non-decreasing run numbers.

    The incumbent is chosen by observed losses, as in ``automl.study.trial.incumbent``: the most epochs, then the most
    trainings of the same config, then the lowest mean of these.
    """
    n = len(rows)
    times, loss = _trainings(rows, run)
    order = np.lexsort((loss, -times, -rows["epochs"].to_numpy()))  # best first, ties in time order
    rank = np.empty(n, dtype=np.int64)
    rank[order] = np.arange(n)
    rank[rows["failed"].to_numpy(dtype=bool) | np.isnan(loss)] = n
    # A running minimum that restarts with each run, since all ranks of a run are below those of earlier runs.
    step = (n + 1) * run
    best = np.minimum.accumulate(rank - step) + step
    places: np.ndarray = np.append(order, -1)[best]
    return places


def _trainings(rows: pd.DataFrame, run: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """As of each row, the number of trainings of its config and their mean loss."""
    loss = rows["loss"].to_numpy(dtype=float)
    if rows["repeats"].isna().all():
        return np.ones(len(rows)), loss
    # Several rows of one trial at different epochs are one training.
    config = [run, rows["repeats"].fillna(rows["trial"]).to_numpy(), rows["epochs"].to_numpy()]
    times = pd.Series(~np.isnan(loss)).groupby(config).cumsum().to_numpy()
    total = pd.Series(np.nan_to_num(loss)).groupby(config).cumsum().to_numpy()
    return times, np.where(np.isnan(loss), np.nan, total / np.maximum(times, 1))


def in_time_order(runs: pd.DataFrame, clock: str) -> tuple[pd.DataFrame, np.ndarray, np.ndarray]:
    """The rows sorted by run and time, the run number of each row, and the boundaries of the runs."""
    number = runs.groupby(RUN, sort=False).ngroup().to_numpy()
    order = np.lexsort((runs[clock].to_numpy(), number))
    number = number[order]
    edges = np.flatnonzero(np.diff(number, prepend=-1, append=number[-1] + 1 if len(number) else 0))
    return runs.iloc[order], number, edges


def at_budgets(
    runs: pd.DataFrame, constants: pd.DataFrame, budgets: list[float], clock: str = "at_epochs"
) -> pd.DataFrame:
    """Normalised regret of every run at each budget: index RUN, one column per budget.

    ``constants``: best, reference and seconds (mean of a full training) by (suite, task). ``clock``: at_epochs, or
    at_seconds in units of these seconds. NaN before the first outcome: see ``before_any``.
    """
    rows, number, edges = in_time_order(runs, clock)
    worth = _incumbent_worths(rows, number)
    keys = rows.iloc[edges[:-1]][RUN]
    facts = constants.reindex(pd.MultiIndex.from_frame(keys[["suite", "task"]]))
    best, reference = facts["best"].to_numpy(), facts["reference"].to_numpy()
    unit = rows["max_epochs"].to_numpy()[edges[:-1]] if clock == "at_epochs" else facts["seconds"].to_numpy()
    spent, limits = rows[clock].to_numpy(dtype=float), np.array(budgets) * (1 + 1e-9)
    values = np.full((len(keys), len(budgets)), np.nan)
    for i, (begin, end) in enumerate(itertools.pairwise(edges)):
        last = np.searchsorted(spent[begin:end], limits * unit[i], side="right") - 1  # the last outcome within a budget
        values[i] = np.where(last >= 0, worth[begin + np.maximum(last, 0)], np.nan)
    values = np.asarray(normalised(values, best[:, None], reference[:, None]))
    return pd.DataFrame(values, columns=budgets, index=pd.MultiIndex.from_frame(keys))


def along(runs: pd.DataFrame, constants: pd.DataFrame, clock: str = "at_epochs") -> pd.DataFrame:
    """A row per outcome in time order: RUN, the budget ``spent`` by the run, and the ``regret`` of its incumbent.

    Budgets, ``clock`` and NaN as in ``at_budgets``, but exact.
    """
    rows, number, _ = in_time_order(runs, clock)
    facts = constants.reindex(pd.MultiIndex.from_frame(rows[["suite", "task"]]))
    unit = rows["max_epochs"] if clock == "at_epochs" else facts["seconds"]
    best, reference = facts["best"].to_numpy(), facts["reference"].to_numpy()
    regrets = normalised(_incumbent_worths(rows, number), best, reference)
    return rows[RUN].assign(spent=rows[clock].to_numpy(dtype=float) / unit.to_numpy(), regret=regrets)


def _incumbent_worths(rows: pd.DataFrame, number: np.ndarray) -> np.ndarray:
    """The incumbent's ``worth`` after each row, NaN before there is one."""
    place = incumbent_places(rows, number)
    return np.where(place >= 0, rows["worth"].to_numpy(dtype=float)[place], np.nan)


def before_any(runs: pd.DataFrame, constants: pd.DataFrame) -> pd.Series:
    """The regret of a run before its first outcome, by (suite, task); a crashed run gets it at every budget.

    The worst of: the regret of any incumbent of these runs, that of the default, and the constant ``floor`` (1: no
    better than random; NaN if regret is not normalised). So no training never looks better than a bad one. NaN if there
    is no floor and every training failed.
    """
    rows, number, _ = in_time_order(runs, "at_epochs")
    default = rows["worth"].where(rows["is_default"] & ~rows["failed"])
    seen = pd.DataFrame({"incumbent": _incumbent_worths(rows, number), "default": default.to_numpy(dtype=float)})
    worst = seen.max(axis=1).groupby([rows["suite"].to_numpy(), rows["task"].to_numpy()]).max()
    worst.index.names = ["suite", "task"]
    facts = constants.reindex(worst.index)
    regret = normalised(worst.to_numpy(), facts["best"].to_numpy(), facts["reference"].to_numpy())
    return facts[["floor"]].assign(worst=regret).max(axis=1)


def filled(regrets: pd.DataFrame, before: pd.Series) -> pd.DataFrame:
    """The regrets of ``at_budgets`` with NaN replaced by ``before_any``."""
    own = before.reindex(pd.MultiIndex.from_arrays([regrets.index.get_level_values(i) for i in (0, 1)])).to_numpy()
    values = regrets.to_numpy()
    return pd.DataFrame(np.where(np.isnan(values), own[:, None], values), regrets.index, regrets.columns)


def beaten(runs: pd.DataFrame, constants: pd.DataFrame) -> pd.DataFrame:
    """The tasks on which a config beats the best known loss: suite, task, strategy, (negative) regret."""
    rows = runs[~runs["failed"] & pd.MultiIndex.from_frame(runs[["suite", "task"]]).isin(constants.index)]
    facts = constants.loc[pd.MultiIndex.from_frame(rows[["suite", "task"]])]
    values = normalised(rows["worth"].to_numpy(dtype=float), facts["best"].to_numpy(), facts["reference"].to_numpy())
    rows = rows[["suite", "task", "strategy"]].assign(regret=values)
    rows = rows[rows["regret"] < -ROUNDING].sort_values(["suite", "task", "regret"], kind="stable")
    return rows.drop_duplicates(["suite", "task"])


def by_unit(regrets: pd.DataFrame, units: Units = None) -> pd.DataFrame:
    """Mean over seeds, then over the tasks of a unit: a row per (suite, unit), a column per budget and strategy."""
    means = pd.DataFrame(regrets.groupby(["suite", "task", "strategy"]).mean().unstack("strategy"))
    return means.groupby(unit_keys(means.index, units)).mean()


def over_tasks(values: pd.DataFrame, units: Units = None) -> pd.DataFrame:
    """The mean over seeds, the tasks of a unit, and units, by strategy. ``values``: by RUN, or without the seed."""
    means = values.groupby(["suite", "task", "strategy"]).mean()
    keys = [*unit_keys(means.index, units), means.index.get_level_values("strategy")]
    return means.groupby(keys).mean().groupby("strategy").mean()


def ranks(table: pd.DataFrame) -> pd.DataFrame:
    """Rank of each strategy in each row; 1 is best, ties get the mean rank."""
    return table.rank(axis=1, method="average")


def area_under_curve(regrets: pd.DataFrame) -> pd.Series:
    """Mean regret over the logarithm of the budget, by the trapezoidal rule; the columns are the budgets."""
    log_budget = np.log(np.array(regrets.columns, dtype=float))
    values = regrets.to_numpy()
    areas = ((values[:, 1:] + values[:, :-1]) / 2 * np.diff(log_budget)).sum(axis=1)
    return pd.Series(areas / (log_budget[-1] - log_budget[0]), index=regrets.index)


def at_end(runs: pd.DataFrame, constants: pd.DataFrame, budget: float, before: pd.Series) -> pd.Series:
    """Normalised regret over fresh seeds of the config that each run returns at a budget; by RUN.

    NaN if it was not retrained; ``before`` (see ``before_any``) if there was nothing to return or all retrainings
    failed.
    """
    rows, number, edges = in_time_order(runs, "at_epochs")
    place = incumbent_places(rows, number)
    values, last = rows["returned"].to_numpy(dtype=float), last_within(rows, edges, budget)
    found = np.where(last >= 0, values[last], np.nan)
    keys = rows.iloc[edges[:-1]][RUN]
    tasks = pd.MultiIndex.from_frame(keys[["suite", "task"]])
    facts = constants.reindex(tasks)
    regrets = np.asarray(normalised(found, facts["best"].to_numpy(), facts["reference"].to_numpy()))
    nothing = (last < 0) | (place[last] < 0) | np.isinf(found)
    return pd.Series(np.where(nothing, before.reindex(tasks), regrets), index=pd.MultiIndex.from_frame(keys))


def last_within(rows: pd.DataFrame, edges: np.ndarray, budget: float) -> np.ndarray:
    """The index of each run's last row within a budget, -1 for none.

    For a run with exactly this budget it is the run's last row, even if its last training exceeded the budget.
    """
    spent, asked = rows["at_epochs"].to_numpy(dtype=float), rows["n_trials"].to_numpy(dtype=float)
    limits = budget * rows["max_epochs"].to_numpy() * (1 + 1e-9)
    last = np.full(len(edges) - 1, -1)
    for i, (begin, end) in enumerate(itertools.pairwise(edges)):
        n = end - begin if asked[begin] == budget else np.searchsorted(spent[begin:end], limits[begin], side="right")
        last[i] = begin + n - 1 if n else -1
    return last
