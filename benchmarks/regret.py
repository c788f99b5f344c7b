"""What a run was worth as a function of the budget spent: pure functions on one tidy table.

The table has a row per outcome: suite, task, strategy, seed, n_workers, loss (observed), worth (the config's final loss
without noise), epochs (of the trial), max_epochs, at_epochs and at_seconds (spent until then by the run), failed.
Budgets are counted in full trainings: a budget of 20 is 20 x max_epochs epochs.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

RUN = ["suite", "task", "strategy", "seed"]


def normalised(loss: float | np.ndarray, best: float, reference: float) -> float | np.ndarray:
    """(loss - best) / (reference - best): 0 is the best known loss, 1 that of a median random config."""
    return (loss - best) / (reference - best)


def incumbents(run: pd.DataFrame) -> pd.Series:
    """What the incumbent is worth after each row of one run, in time order; NaN before there is one.

    The incumbent is chosen by the observed loss, as a user would, among the trials with the most epochs so far.
    """
    best: tuple[float, float] | None = None
    worth = np.nan
    values = []
    for loss, row_worth, epochs, failed in zip(run["loss"], run["worth"], run["epochs"], run["failed"], strict=True):
        if not failed and (best is None or (-epochs, loss) < best):
            best, worth = (-epochs, loss), row_worth
        values.append(worth)
    return pd.Series(values, index=run.index)


def at_budgets(
    runs: pd.DataFrame, constants: pd.DataFrame, budgets: list[float], clock: str = "at_epochs"
) -> pd.DataFrame:
    """Normalised regret of every run at each budget: index RUN, one column a budget.

    ``constants``: best, reference and seconds (mean of a full training) by (suite, task). ``clock``: at_epochs, or
    at_seconds with these seconds as the unit. Before the first outcome a run is worth 1: no better than random.
    """
    rows = []
    for key, run in runs.groupby(RUN, sort=False):
        run = run.sort_values(clock, kind="stable")
        suite, task = run["suite"].iloc[0], run["task"].iloc[0]
        constant = constants.loc[(suite, task)]
        regret = normalised(incumbents(run).to_numpy(), constant["best"], constant["reference"])
        unit = run["max_epochs"].iloc[0] if clock == "at_epochs" else constant["seconds"]
        # The last outcome within each budget.
        place = np.searchsorted(run[clock].to_numpy(), np.array(budgets) * unit * (1 + 1e-9), side="right") - 1
        values = np.where(place >= 0, np.asarray(regret)[np.maximum(place, 0)], 1.0)
        rows.append([*key, *np.nan_to_num(values, nan=1.0)])
    return pd.DataFrame(rows, columns=[*RUN, *budgets]).set_index(RUN)


def by_task(regrets: pd.DataFrame, budget: float) -> pd.DataFrame:
    """Mean over seeds: a row a (suite, task), a column a strategy. Tasks that a strategy lacks are left out."""
    means = regrets[budget].groupby(["suite", "task", "strategy"]).mean().unstack("strategy")
    return means.dropna()


def ranks(table: pd.DataFrame) -> pd.DataFrame:
    """Rank of each strategy on each task, 1 the best, ties shared."""
    return table.rank(axis=1, method="average")


def area_under_curve(regrets: pd.DataFrame) -> pd.Series:
    """Mean regret over the logarithm of the budget, by the trapezoidal rule; the columns are the budgets."""
    log_budget = np.log(np.array(regrets.columns, dtype=float))
    values = regrets.to_numpy()
    areas = ((values[:, 1:] + values[:, :-1]) / 2 * np.diff(log_budget)).sum(axis=1)
    return pd.Series(areas / (log_budget[-1] - log_budget[0]), index=regrets.index)


def budget_to_target(regrets: pd.DataFrame, target: pd.Series) -> pd.Series:
    """The first budget at which each run is at its task's target or below; infinite where it never is.

    ``target``: by (suite, task), in normalised regret.
    """
    wanted = target.reindex(pd.MultiIndex.from_arrays([regrets.index.get_level_values(i) for i in (0, 1)])).to_numpy()
    reached = regrets.to_numpy() <= wanted[:, None]
    budgets = np.append(np.array(regrets.columns, dtype=float), np.inf)
    first = np.where(reached.any(axis=1), reached.argmax(axis=1), len(budgets) - 1)
    return pd.Series(budgets[first], index=regrets.index)


def speed_up(regrets: pd.DataFrame, baseline: str, budget: float) -> pd.Series:
    """How many times the budget ``baseline`` needs for what a strategy has reached, by strategy.

    On each task, the target is the baseline's mean regret at ``budget``; the speed-up is the budget at which the
    baseline is there first, divided by the one at which the strategy's mean curve is. The median over tasks; 0 where it
    is not there on half of them.
    """
    curves = regrets.groupby(["suite", "task", "strategy"]).mean()
    target = curves.xs(baseline, level="strategy")[budget]
    needed = budget_to_target(curves, target)
    table = needed.unstack("strategy")
    return table.rdiv(table[baseline], axis=0).median()
