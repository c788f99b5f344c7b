"""What a run was worth as a function of the budget spent: pure functions on one tidy table.

The table has a row per outcome: suite, task, strategy, seed, n_workers, loss (observed), worth (the config's final loss
without noise), test (of this very training; NaN where unknown), epochs (of the trial), max_epochs, at_epochs and
at_seconds (spent until then by the run), failed.
Budgets are counted in full trainings: a budget of 20 is 20 x max_epochs epochs.
"""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd

from benchmarks.statistics import LEVEL, resamples

RUN = ["suite", "task", "strategy", "seed"]
TARGETS = [2, 5, 10, 20, 50, 100, 200]  # as good as the best of so many random configs
EQUAL = 1e-12  # of a regret: rounding is no improvement


def normalised(loss: float | np.ndarray, best: float | np.ndarray, reference: float | np.ndarray) -> float | np.ndarray:
    """(loss - best) / (reference - best): 0 is the best known loss, 1 that of a median random config."""
    return (loss - best) / (reference - best)


def incumbents(run: pd.DataFrame) -> pd.Series:
    """What the incumbent is worth after each row of one run, in time order; NaN before there is one.

    The incumbent is chosen by the observed loss, as a user would, among the trials with the most epochs so far.
    """
    place = _incumbent_places(run, np.zeros(len(run), dtype=np.int64))
    return pd.Series(np.where(place >= 0, run["worth"].to_numpy(dtype=float)[place], np.nan), index=run.index)


def _incumbent_places(rows: pd.DataFrame, run: np.ndarray) -> np.ndarray:
    """Where the incumbent's row lies, as of each row; -1 before there is one. ``run``: numbers that never fall."""
    n = len(rows)
    loss = rows["loss"].to_numpy(dtype=float)
    order = np.lexsort((loss, -rows["epochs"].to_numpy()))  # the best first; of equal ones the earliest
    rank = np.empty(n, dtype=np.int64)
    rank[order] = np.arange(n)
    rank[rows["failed"].to_numpy(dtype=bool) | np.isnan(loss)] = n
    # A running minimum that begins anew with each run, as every rank of a run lies below those of the runs before.
    step = (n + 1) * run
    best = np.minimum.accumulate(rank - step) + step
    places: np.ndarray = np.append(order, -1)[best]
    return places


def _in_time_order(runs: pd.DataFrame, clock: str) -> tuple[pd.DataFrame, np.ndarray, np.ndarray]:
    """The rows run by run, each in time order; the number of each row's run; where each run begins, and the end."""
    number = runs.groupby(RUN, sort=False).ngroup().to_numpy()
    order = np.lexsort((runs[clock].to_numpy(), number))
    number = number[order]
    edges = np.flatnonzero(np.diff(number, prepend=-1, append=number[-1] + 1 if len(number) else 0))
    return runs.iloc[order], number, edges


def at_budgets(
    runs: pd.DataFrame, constants: pd.DataFrame, budgets: list[float], clock: str = "at_epochs"
) -> pd.DataFrame:
    """Normalised regret of every run at each budget: index RUN, one column a budget.

    ``constants``: best, reference and seconds (mean of a full training) by (suite, task). ``clock``: at_epochs, or
    at_seconds with these seconds as the unit. Before the first outcome a run is worth 1, no better than random; a
    column ``before`` of the constants says otherwise. So a run that crashed is worth that at every budget.
    """
    rows, number, edges = _in_time_order(runs, clock)
    place = _incumbent_places(rows, number)
    worth = np.where(place >= 0, rows["worth"].to_numpy(dtype=float)[place], np.nan)
    keys = rows.iloc[edges[:-1]][RUN]
    facts = constants.reindex(pd.MultiIndex.from_frame(keys[["suite", "task"]]))
    best, reference = facts["best"].to_numpy(), facts["reference"].to_numpy()
    before = facts["before"].to_numpy() if "before" in facts else np.ones(len(keys))
    unit = rows["max_epochs"].to_numpy()[edges[:-1]] if clock == "at_epochs" else facts["seconds"].to_numpy()
    spent, limits = rows[clock].to_numpy(dtype=float), np.array(budgets) * (1 + 1e-9)
    values = np.full((len(keys), len(budgets)), np.nan)
    for i, (begin, end) in enumerate(itertools.pairwise(edges)):
        last = np.searchsorted(spent[begin:end], limits * unit[i], side="right") - 1  # the last outcome within a budget
        values[i] = np.where(last >= 0, worth[begin + np.maximum(last, 0)], np.nan)
    values = np.asarray(normalised(values, best[:, None], reference[:, None]))
    values = np.where(np.isnan(values), before[:, None], values)
    return pd.DataFrame(values, columns=budgets, index=pd.MultiIndex.from_frame(keys))


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
    reached = regrets.to_numpy() <= wanted[:, None] + EQUAL
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


def speed_up_intervals(
    regrets: pd.DataFrame, baseline: str, at: list[float], n_draws: int = 400, seed: int = 0
) -> pd.DataFrame:
    """The 95% intervals of ``speed_up`` at several budgets, tasks and seeds drawn anew: rows (budget, strategy).

    Every strategy must have every (suite, task, seed).
    """
    wide = regrets.stack().unstack("strategy")
    names, budgets = list(wide.columns), np.array(regrets.columns, dtype=float)
    keys = [key[:-1] for key in wide.index[:: len(budgets)]]
    pairs = pd.MultiIndex.from_tuples(keys, names=["suite", "task", "seed"])
    values = wide.to_numpy().reshape(len(pairs), -1)  # by pair; by budget and strategy
    draws = resamples(pairs, tasks=False, n_draws=n_draws, seed=seed)
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
    chosen = np.random.default_rng(seed).integers(n_tasks, size=(1, n_draws, n_tasks, 1))
    medians = np.median(np.take_along_axis(ratios, chosen, axis=2), axis=2)
    ends = np.quantile(medians, [LEVEL / 2, 1 - LEVEL / 2], axis=1).reshape(2, -1)
    index = pd.MultiIndex.from_product([at, names], names=["budget", "strategy"])
    return pd.DataFrame({"low": ends[0], "high": ends[1]}, index=index)


def random_targets(runs: pd.DataFrame, constants: pd.DataFrame) -> pd.DataFrame:
    """Targets of each task in normalised regret: what the best of n random configs is worth, for n in TARGETS.

    ``runs``: those of random search. That is the 1/n quantile of all its configs; the default, its first, is none.
    """
    drawn = runs[(runs["trial"] > 0) & ~runs["failed"]]
    groups = drawn.groupby(["suite", "task"])["worth"]
    worth = pd.DataFrame({n: groups.quantile(1 / n) for n in TARGETS})
    facts = constants.reindex(worth.index)
    regret = normalised(worth.to_numpy(), facts[["best"]].to_numpy(), facts[["reference"]].to_numpy())
    return pd.DataFrame(regret, index=worth.index, columns=TARGETS)


def ecdf(regrets: pd.DataFrame, targets: pd.DataFrame) -> pd.DataFrame:
    """Share of the (task, target) pairs reached within each budget, by strategy; the mean over seeds within a task.

    N. Hansen et al., COCO: performance assessment (arXiv:1605.03560). ``targets``: rows (suite, task).
    """
    best_so_far = np.minimum.accumulate(regrets.to_numpy(), axis=1)
    tasks = pd.MultiIndex.from_arrays([regrets.index.get_level_values(i) for i in (0, 1)])
    wanted = targets.reindex(tasks).to_numpy()
    share = np.mean([best_so_far <= column[:, None] + EQUAL for column in wanted.T], axis=0)
    shares = pd.DataFrame(share, index=regrets.index, columns=regrets.columns)
    return shares.groupby(["suite", "task", "strategy"]).mean().groupby("strategy").mean()


def generalisation(runs: pd.DataFrame, budget: float) -> pd.DataFrame:
    """What search on validation data was worth on test data, by RUN; only runs whose test losses are known.

    ``gap``: test less validation loss of the chosen config. ``overtuning``: its test loss less the best one of it and
    the incumbents before it (L. Schneider et al., arXiv:2506.19540). ``worse_than_default``: whether its test loss is
    above that of the run's first trial, the default.
    """
    rows, number, edges = _in_time_order(runs[runs["at_epochs"] <= budget * runs["max_epochs"] + 1e-9], "at_epochs")
    place = _incumbent_places(rows, number)
    losses, tests, trials = (rows[name].to_numpy(dtype=float) for name in ("loss", "test", "trial"))
    found = np.full((len(edges) - 1, 3), np.nan)
    for i, (begin, end) in enumerate(itertools.pairwise(edges)):
        chosen = place[end - 1]
        if chosen < 0 or np.isnan(tests[chosen]):
            continue
        incumbents_so_far = np.unique(place[begin:end])
        best = np.nanmin(tests[incumbents_so_far[incumbents_so_far >= 0]])
        default = tests[begin:end][trials[begin:end] == 0][-1:]
        worse = float(tests[chosen] > default[0]) if len(default) and not np.isnan(default[0]) else np.nan
        found[i] = tests[chosen] - losses[chosen], tests[chosen] - best, worse
    index = pd.MultiIndex.from_frame(rows.iloc[edges[:-1]][RUN])
    return pd.DataFrame(found, index=index, columns=["gap", "overtuning", "worse_than_default"]).dropna(how="all")
