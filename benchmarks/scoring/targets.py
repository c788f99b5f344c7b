"""How soon a search reaches a target: pure functions on regrets by budget."""

from __future__ import annotations

import numpy as np
import pandas as pd

from benchmarks.scoring.cohorts import PAIR
from benchmarks.scoring.regret import RUN, normalised, over_tasks
from benchmarks.scoring.statistics import LEVEL, Units, resamples, unit_keys

TARGETS = [2, 5, 10, 20, 50, 100, 200]  # the best of so many random configs
EQUAL = 1e-12  # tolerance for regrets: rounding is not an improvement


def budget_to_target(regrets: pd.DataFrame, target: pd.Series) -> pd.Series:
    """The first budget at which each run reaches its task's target; infinite if it never does.

    ``target``: by (suite, task), in normalised regret.
    """
    wanted = target.reindex(pd.MultiIndex.from_arrays([regrets.index.get_level_values(i) for i in (0, 1)])).to_numpy()
    reached = regrets.to_numpy() <= wanted[:, None] + EQUAL
    budgets = np.append(np.array(regrets.columns, dtype=float), np.inf)
    first = np.where(reached.any(axis=1), reached.argmax(axis=1), len(budgets) - 1)
    return pd.Series(budgets[first], index=regrets.index)


def spent_to_target(outcomes: pd.DataFrame, target: pd.Series) -> pd.Series:
    """The exact budget that each run has spent when its incumbent first reaches its task's target; by RUN, without the
    runs that never do.

    ``outcomes``: see ``regret.along``. ``target``: as in ``budget_to_target``.
    """
    wanted = target.reindex(pd.MultiIndex.from_frame(outcomes[["suite", "task"]])).to_numpy()
    return outcomes[outcomes["regret"] <= wanted + EQUAL].groupby(RUN)["spent"].min()


def speed_up(regrets: pd.DataFrame, baseline: str, budget: float, units: Units = None) -> pd.Series:
    """The speed-up of each strategy over ``baseline``.

    On each task, the target is the baseline's mean regret at ``budget``; the speed-up is the budget at which the
    baseline first reaches it, divided by that of the strategy's mean curve. The median over tasks; 0 if it is not
    reached on half of them.
    """
    curves = regrets.groupby(["suite", "task", "strategy"]).mean()
    target = curves.xs(baseline, level="strategy")[budget]
    needed = budget_to_target(curves, target)
    table = needed.unstack("strategy")
    ratios = table.rdiv(table[baseline], axis=0)
    return ratios.groupby(unit_keys(ratios.index, units)).median().median()


def speed_up_intervals(
    regrets: pd.DataFrame, baseline: str, at: list[float], units: Units = None, n_draws: int = 400, seed: int = 0
) -> pd.DataFrame:
    """The 95% bootstrap intervals of ``speed_up`` at several budgets, over units and seeds: rows (budget, strategy).

    Every strategy must have every (suite, task, seed).
    """
    wide = regrets.stack().unstack("strategy")
    names, budgets = list(wide.columns), np.array(regrets.columns, dtype=float)
    keys = [key[:-1] for key in wide.index[:: len(budgets)]]
    pairs = pd.MultiIndex.from_tuples(keys, names=PAIR)
    values = wide.to_numpy().reshape(len(pairs), -1)  # by pair; by budget and strategy
    draws = resamples(pairs, n_draws, seed)
    tasks, tasks_found = pd.factorize(pd.MultiIndex.from_tuples([key[:2] for key in keys]))
    n_tasks, own = len(tasks_found), names.index(baseline)
    ratios = np.empty((len(at), n_draws, n_tasks, len(names)))
    for task in range(n_tasks):
        curves = (draws[:, tasks == task] @ values[tasks == task] * n_tasks).reshape(n_draws, len(budgets), -1)
        for i, budget in enumerate(at):
            target = curves[:, budgets == budget, own]
            reached = curves <= target[:, :, None] + EQUAL
            needed = np.where(reached.any(axis=1), budgets[reached.argmax(axis=1)], np.inf)
            ratios[i, :, task] = needed[:, [own]] / needed
    unit = pd.factorize(pd.MultiIndex.from_arrays(unit_keys(pd.MultiIndex.from_tuples(tasks_found), units)))[0]
    n_units = unit.max() + 1
    ratios = np.stack([np.median(ratios[:, :, unit == i], axis=2) for i in range(n_units)], axis=2)
    chosen = np.random.default_rng(seed).integers(n_units, size=(1, n_draws, n_units, 1))
    medians = np.median(np.take_along_axis(ratios, chosen, axis=2), axis=2)
    ends = np.quantile(medians, [LEVEL / 2, 1 - LEVEL / 2], axis=1).reshape(2, -1)
    if len(pairs) == 1:  # a single seed has no interval
        ends[:] = np.nan
    index = pd.MultiIndex.from_product([at, names], names=["budget", "strategy"])
    return pd.DataFrame({"low": ends[0], "high": ends[1]}, index=index)


def random_targets(runs: pd.DataFrame, constants: pd.DataFrame) -> pd.DataFrame:
    """Targets of each task in normalised regret: the best of n random configs, for n in TARGETS.

    ``runs``: of random search. The targets are the 1/n quantiles of all its configs, except the first, the default.
    """
    drawn = runs[(runs["trial"] > 0) & ~runs["failed"]]
    groups = drawn.groupby(["suite", "task"])["worth"]
    quantiles = pd.DataFrame({n: groups.quantile(1 / n) for n in TARGETS})
    facts = constants.reindex(quantiles.index)
    regret = normalised(quantiles.to_numpy(), facts[["best"]].to_numpy(), facts[["reference"]].to_numpy())
    return pd.DataFrame(regret, index=quantiles.index, columns=TARGETS)


def ecdf(regrets: pd.DataFrame, targets: pd.DataFrame, units: Units = None) -> pd.DataFrame:
    """Share of the (task, target) pairs reached within each budget, by strategy, averaged as in ``over_tasks``.

    N. Hansen et al., COCO: performance assessment (arXiv:1605.03560). ``targets``: rows (suite, task).
    """
    best_so_far = np.minimum.accumulate(regrets.to_numpy(), axis=1)
    tasks = pd.MultiIndex.from_arrays([regrets.index.get_level_values(i) for i in (0, 1)])
    wanted = targets.reindex(tasks).to_numpy()
    share = np.mean([best_so_far <= column[:, None] + EQUAL for column in wanted.T], axis=0)
    return over_tasks(pd.DataFrame(share, index=regrets.index, columns=regrets.columns), units)
