"""The numbers of the leaderboard by separate and shorter code, for ``benchmarks.check``.

Of ``benchmarks.scoring`` it only shares the names of suites and kinds: not the incumbents, means, intervals,
probabilities or fields.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from benchmarks.scoring.cohorts import EVERY_SUITE, KINDS

PAIR = ["suite", "task", "seed"]
RUN = [*PAIR, "strategy", "n_workers", "n_trials"]
PLANLESS = "random"  # never scored by runs of its own for a budget
MIN_UNITS, FEW = 5, 30  # units: no interval below the first, drawn ones from the second on
N_DRAWS, SEED = 20_000, 20_261_128
MARGIN = 0.01  # of being among the best, and of practical equivalence
MIN_P, P_BEST, N_GROUP = 0.9, 0.95, 4  # of a verdict
ENDS = {"low80": 0.1, "high80": 0.9, "low95": 0.025, "high95": 0.975}

Means = dict[tuple[str, float], pd.Series]  # by strategy and budget: the regret of each (suite, unit), NaN if unknown

Curve = list[tuple[float, float]]


@dataclass(frozen=True)
class SearchRun:
    """A run of a search. ``own``: the columns of its rows, in the order of the epochs spent."""

    own: Mapping[str, np.ndarray]

    @functools.cached_property
    def curve(self) -> Curve:
        """(trainings spent, worth of the incumbent) where that changes."""
        return incumbents(self.own, self.own["spent"])

    @functools.cached_property
    def timed(self) -> Curve:
        """As ``curve``, in units of a training's mean time."""
        order = np.argsort(self.own["time"], kind="stable")
        return incumbents({name: values[order] for name, values in self.own.items()}, self.own["time"][order])

    @functools.cached_property
    def returned(self) -> Curve:
        """(trainings spent, worth of the returned config with fresh seeds, NaN if unknown) after each outcome, empty if
        none is known."""
        is_known = not np.isnan(self.own["returned"]).all()
        return list(zip(self.own["spent"].tolist(), self.own["returned"].tolist(), strict=True)) if is_known else []

    @functools.cached_property
    def default(self) -> float:
        """The worth of the default config, NaN if it failed."""
        return float(np.fmax.reduce(self.own["default"], initial=np.nan))


@dataclass(frozen=True)
class TaskRuns:
    """All runs of a task, by strategy and seed. ``curves``: (budget spent, regret of the incumbent), from the start
    on. ``ends``: the regret of the returned config with fresh seeds, None if unknown."""

    suite: str
    unit: str
    curves: dict[tuple[str, int], Curve]
    ends: dict[tuple[str, int], float | None]

    def of(self, strategy: str) -> list[Curve]:
        """The curves of a strategy."""
        return [curve for (name, _), curve in self.curves.items() if name == strategy]


def runs_of(rows: pd.DataFrame) -> pd.DataFrame:
    """A row per run, with the facts of its task and, in the column ``run``, a ``SearchRun``.

    ``rows``: those of all runs, with the columns ``best``, ``reference`` and ``seconds_of_full`` of their task.
    """
    rows = rows.sort_values([*RUN, "at_epochs"], kind="stable", ignore_index=True)
    starts = np.flatnonzero(~rows.duplicated(RUN))
    facts = rows.loc[starts, [*RUN, "split", "kind", "unit", "max_epochs", "best", "reference"]]
    names = ["trial", "repeats", "epochs", "loss", "worth", "returned"]
    worked = ~rows["failed"] & rows["loss"].notna()
    columns = {
        **{name: rows[name].to_numpy(dtype=float) for name in names},
        "works": worked.to_numpy(dtype=bool),
        "spent": (rows["at_epochs"] / rows["max_epochs"]).to_numpy(dtype=float),
        "time": (rows["at_seconds"] / rows["seconds_of_full"]).to_numpy(dtype=float),
        "default": rows["worth"].where(rows["is_default"] & ~rows["failed"]).to_numpy(dtype=float),
    }
    pieces = zip(starts, [*starts[1:], len(rows)], strict=True)
    runs = [SearchRun({name: values[i:j] for name, values in columns.items()}) for i, j in pieces]
    return facts.assign(run=pd.Series(runs, index=facts.index, dtype=object)).reset_index(drop=True)


def incumbents(own: Mapping[str, np.ndarray], spent: np.ndarray) -> Curve:
    """(budget spent, worth of the incumbent) after each successful outcome that changes it."""
    config = np.where(np.isnan(own["repeats"]), own["trial"], own["repeats"])
    columns = (config, own["epochs"], own["loss"], own["worth"], spent)
    outcomes = [column[own["works"]] for column in columns]
    if len(set(outcomes[0])) == len(outcomes[0]) and len(set(outcomes[1])) <= 1:  # each config once, all equally long
        losses = outcomes[2]
        is_best = losses < np.minimum.accumulate(np.concatenate([[np.inf], losses]))[:-1]
        outcomes = [column[is_best] for column in outcomes]  # for the others, what follows would be the same but slower
    by_config: dict[float, dict[float, list[float]]] = {}
    found: Curve = []
    best, worth = (0.0, 0, np.inf), np.nan
    for key, epochs, loss, mine, after in zip(*(column.tolist() for column in outcomes), strict=True):
        losses = by_config.setdefault(key, {}).setdefault(epochs, [])
        losses.append(loss)
        order = (-epochs, -len(losses), sum(losses) / len(losses))
        if np.isnan(worth) or order < best:
            best, worth = order, mine
        if not found or found[-1][1] != worth:
            found.append((after, worth))
    return found


def members(runs: pd.DataFrame, place: tuple[Any, ...], strategies: Iterable[str], least: float) -> pd.DataFrame:
    """The runs of some strategies in a field, on the tasks and seeds on which all have one of ``least`` trainings.

    ``place``: suite, split, name of the field and number of workers. ``most``: the largest budget of each strategy on a
    task with a seed.
    """
    (suite, split, name, n_workers), names = place, set(strategies)
    own = runs[(runs["split"] == split) & (runs["n_workers"] == n_workers) & runs["strategy"].isin(names)]
    if suite != EVERY_SUITE:
        own = own[own["suite"] == suite]
    else:
        is_kind = own["kind"] == next(kind for kind in KINDS if str(name).startswith(kind))
        own = own[is_kind & (own["max_epochs"] == 1)]
    own = own.assign(most=own.groupby([*PAIR, "strategy"])["n_trials"].transform("max"))
    own = own[own["most"] >= least]
    shared = own.drop_duplicates([*PAIR, "strategy"]).groupby(PAIR).size()
    found: pd.DataFrame = own.merge(shared[shared == len(names)].index.to_frame(index=False), on=PAIR)
    return found


def regrets(runs: pd.DataFrame, budgets: list[float]) -> Means:
    """By the longest runs or, at a budget, by those given just that, for a strategy with one for each task and seed."""
    longest, n_pairs = runs[runs["n_trials"] == runs["most"]], runs.groupby(PAIR).ngroups
    found = _means(task_runs(longest, budgets[-1]), budgets, budgets[-1])
    for budget in budgets:
        given = runs[(runs["n_trials"] == budget) & (runs["strategy"] != PLANLESS)]
        counts = given["strategy"].value_counts()
        given = given[given["strategy"].isin(counts.index[counts == n_pairs])]
        if (given["most"] > budget).any():
            others = longest[~longest["strategy"].isin(given["strategy"].unique())]
            found |= _means(task_runs(pd.concat([others, given]), budgets[-1]), [budget], budgets[-1])
    return found


def task_runs(runs: pd.DataFrame, last: float, *, timed: bool = False) -> list[TaskRuns]:
    """The runs of each task. ``last``: the budget that is scored with fresh seeds. ``timed``: in units of a training's
    mean time instead of trainings."""
    found = []
    for (suite, _), of_task in runs.groupby(["suite", "task"]):
        best, reference = of_task[["best", "reference"]].iloc[0]
        pairs = zip(of_task["strategy"], of_task["seed"], strict=True)
        own: dict[tuple[str, int], SearchRun] = dict(zip(pairs, of_task["run"], strict=True))
        whole = dict(zip(own, of_task["n_trials"] == last, strict=True))  # whose last training may exceed the budget
        worths = {key: run.timed if timed else run.curve for key, run in own.items()}
        known = [run.default for run in own.values()] + [worth for curve in worths.values() for _, worth in curve]
        worst = np.nanmax([reference, *known])
        ends: dict[tuple[str, int], float | None] = {}
        for key, run in own.items():
            within = [worth for spent, worth in run.returned if whole[key] or spent <= last * (1 + 1e-9)]
            end = within[-1] if within else np.nan  # infinite if no retraining succeeded
            ends[key] = None if np.isnan(end) else ((end if np.isfinite(end) else worst) - best) / (reference - best)
        curves = {
            key: [(spent, (worth - best) / (reference - best)) for spent, worth in [(0.0, worst), *curve]]
            for key, curve in worths.items()
        }
        found.append(TaskRuns(str(suite), str(of_task["unit"].iloc[0]), curves, ends))
    return found


def _means(tasks: list[TaskRuns], budgets: list[float], last: float) -> Means:
    """Over seeds, then the tasks of a unit."""
    values: list[tuple[Any, ...]] = []
    for i, task in enumerate(tasks):
        lacking = {strategy for (strategy, _), end in task.ends.items() if end is None}
        fresh = len({strategy for strategy, _ in task.ends} - lacking) > 1
        for (strategy, seed), curve in task.curves.items():
            for budget in budgets:
                value = at(curve, budget)
                if budget == last and fresh:
                    end = task.ends[strategy, seed]
                    value = np.nan if strategy in lacking or end is None else end
                values.append((strategy, budget, task.suite, task.unit, i, value))
    columns = ["strategy", "budget", "suite", "unit", "task", "regret"]
    by_seed = pd.DataFrame(values, columns=columns).set_index(columns[:-1])["regret"]
    by_unit = _mean_by(columns[:-2], _mean_by(columns[:-1], by_seed))
    found: Means = {}
    for strategy, budget in dict.fromkeys((strategy, budget) for strategy, budget, *_ in by_unit.index):
        found[strategy, budget] = by_unit.loc[strategy, budget]
    return found


def _mean_by(levels: list[str], values: pd.Series) -> pd.Series:
    """The means over the other levels of the index; NaN where any value is."""
    groups = values.groupby(level=levels)
    return groups.mean().where(groups.count() == groups.size())


def at(curve: Curve, budget: float) -> float:
    """The regret after a budget."""
    return next(regret for spent, regret in reversed(curve) if spent <= budget * (1 + 1e-9))


def intervals(table: pd.DataFrame) -> dict[str, pd.Series]:
    """The ends of the intervals of the means over units: Student's t, or the Bayesian bootstrap."""
    n = len(table)
    if n < MIN_UNITS:
        return dict.fromkeys(ENDS, pd.Series(np.nan, index=table.columns))
    if n < FEW:
        return {end: table.mean() + stats.t.ppf(p, n - 1) * table.sem() for end, p in ENDS.items()}
    draws = pd.DataFrame(_weights(n) @ table.to_numpy(), columns=table.columns)
    return {end: draws.quantile(p) for end, p in ENDS.items()}


def distances(table: pd.DataFrame) -> pd.DataFrame:
    """Draws of how far the mean of each strategy is above the lowest; regrets above 1 count as 1."""
    table = table.clip(upper=1.0)
    if len(table) < FEW:
        scale = table.cov().to_numpy() / len(table)
        drawn = stats.multivariate_t(table.mean(), scale, len(table) - 1, allow_singular=True, seed=SEED).rvs(N_DRAWS)
        draws = np.asarray(drawn).reshape(N_DRAWS, -1)
    else:
        draws = _weights(len(table)) @ table.to_numpy()
    return pd.DataFrame(draws - draws.min(axis=1)[:, None], columns=table.columns)


def chances(above: pd.DataFrame) -> dict[str, tuple[float, float]]:
    """By strategy, the probability that its mean is within the margin of the lowest, and its expected distance."""
    return {str(name): (float((own <= MARGIN).mean()), float(own.mean())) for name, own in above.items()}


def signed_ranks(a: np.ndarray, b: np.ndarray) -> dict[str, float]:
    """The probabilities that b is better, practically equal or worse, by the Bayesian signed-rank test: which of these
    the mean of two differences most likely is, each drawn with the weights of the units and half of one for 0."""
    z = np.sort(np.append(b - a, 0.0))
    zero = int(np.searchsorted(z, 0.0))
    drawn = np.random.default_rng(SEED).gamma(np.where(np.arange(len(z)) == zero, 0.5, 1.0), size=(N_DRAWS, len(z)))
    weights = drawn / drawn.sum(axis=1)[:, None]
    below = np.pad(np.cumsum(weights, axis=1), ((0, 0), (1, 0)))  # the weight of the k smallest
    better = (weights * below[:, np.searchsorted(z, -2 * MARGIN - z, side="left")]).sum(axis=1)
    worse = (weights * (1 - below[:, np.searchsorted(z, 2 * MARGIN - z, side="right")])).sum(axis=1)
    shares = np.stack([better, 1 - better - worse, worse])
    ahead = shares > shares.max(axis=0) - 1e-9
    found = (ahead / ahead.sum(axis=0)).mean(axis=1)
    return dict(zip(("better", "equal", "worse"), map(float, found), strict=True))


def word(worse: float, equal: float) -> str:
    """The word for a pair with these probabilities."""
    return "worse" if worse >= MIN_P else "practically equal" if equal >= MIN_P else "not known yet"


def verdict(words: Mapping[str, str], likely: Mapping[str, float], first: str, group: float) -> tuple[str, list[str]]:
    """The verdict on a comparison and the strategies that it names. ``words``: of the others, compared with the first;
    ``likely``: P(best) of each; ``group``: that one of those that are not worse is among the best."""
    equal = {name for name, each in words.items() if each == "practically equal"}
    as_good = [name for name in words if name in equal or likely[name] >= P_BEST]
    if likely[first] >= P_BEST:
        return "among the best, practically equal" if as_good else "best", [first, *as_good]
    maybe = [name for name, each in words.items() if each != "worse"]
    if group >= MIN_P and equal.issuperset(maybe):
        return "among the best, practically equal" if maybe else "best", [first, *maybe]
    few = group >= MIN_P and len(maybe) < min(N_GROUP, len(words))
    return "best" if few else "not known yet", [first, *maybe]


def _weights(n_units: int) -> np.ndarray:
    drawn = np.random.default_rng(SEED).exponential(size=(N_DRAWS, n_units))
    return np.asarray(drawn / drawn.sum(axis=1)[:, None])


def needs(
    tasks: list[TaskRuns], spending: list[TaskRuns], strategy: str, reference: str, after: float, most: float
) -> dict[str, float]:
    """The budget, at most ``most``, with which a strategy is as good as a reference after a budget in trainings: the
    ``median`` over units with the exact ends of its intervals, and the share of runs that ``reached`` it.

    ``tasks``: in trainings. ``spending``: the same runs, in the budget asked for."""
    units: dict[tuple[str, str], list[float]] = {}
    for task, spends in zip(tasks, spending, strict=True):
        target = float(np.mean([at(curve, after) for curve in task.of(reference)]))
        for curve in spends.of(strategy):
            needed = next((spent for spent, regret in curve[1:] if regret <= target + 1e-12), np.inf)
            units.setdefault((task.suite, task.unit), []).append(needed if needed <= most * (1 + 1e-9) else np.inf)
    ordered = np.sort([np.median(values) for values in units.values()])
    found = {
        "median": float(np.median(ordered)),
        "reached": float(np.mean([np.isfinite(values).mean() for values in units.values()])),
    }
    for level in (80, 95):
        tail = (1 - level / 100) / 2 + 1e-12
        places = [i for i in range(len(ordered)) if stats.binom.cdf(i, len(ordered), 0.5) <= tail]
        known = bool(places) and len(ordered) >= MIN_UNITS
        found[f"low{level}"], found[f"high{level}"] = (
            (float(ordered[places[-1]]), float(ordered[-1 - places[-1]])) if known else (np.nan, np.nan)
        )
    return found
