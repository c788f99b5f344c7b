"""What each strategy needs to reach the result of a reference: trainings, and time including its own.

The target of a task is the mean regret of the reference after its budget. A run needs the budget that it has spent when
its incumbent is first as good, exactly: on a grid of whole trainings, any time of its own would cost a training. One
that ends before is censored, not left out. The median over the runs of a unit, then over units, is known if more than
half of them reach the target, whatever the others would have needed.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from benchmarks.scoring import regret
from benchmarks.scoring.certainty import MIN_UNITS
from benchmarks.scoring.cohorts import CLOCKS, REFERENCES, Field
from benchmarks.scoring.targets import spent_to_target

TARGETS = (("random", 50), ("random", 100), ("raw-optuna", 50))  # reference and its budget in trainings
KEYS = ["reference", "after", "clock"]
LEVELS = (80, 95)


def needed(field: Field, regrets: pd.DataFrame, part: pd.DataFrame, facts: pd.DataFrame) -> pd.DataFrame:
    """A row per target, clock and run: the budget ``needed``, infinite if the run did not reach the target within the
    field's.

    ``regrets``: those of ``regret.at_budgets`` in trainings, of the runs whose rows are ``part``. In seconds, budgets
    are in mean trainings of the task, and W workers spend them W times as fast. ``facts``: best, reference, floor and
    seconds by (suite, task). Empty if regret is not normalised or no reference has the budget.
    """
    names = [name for name in field.strategies if name not in REFERENCES]
    wanted = [(name, after) for name, after in TARGETS if name in names and after <= field.n_trials]
    if not wanted or not field.normalised:
        return pd.DataFrame(columns=[*KEYS, "needed"])
    pairs = [(suite, task, name, seed) for name in names for suite, task, seed in field.pairs]
    index = pd.MultiIndex.from_tuples(pairs, names=regret.RUN)
    known = regret.filled(regrets.loc[index], regret.before_any(part, facts))
    means = known.groupby(["suite", "task", "strategy"]).mean()
    limits = {"trainings": field.n_trials, "seconds": field.n_trials / field.n_workers}
    parts = []
    for clock, column in CLOCKS.items():
        outcomes = regret.along(part[part["strategy"].isin(names)], facts, column)
        outcomes = outcomes[outcomes["spent"] <= limits[clock] * (1 + 1e-9)]
        for reference, after in wanted:
            found = spent_to_target(outcomes, means.xs(reference, level="strategy")[float(after)])
            runs = found.reindex(index, fill_value=np.inf).rename("needed").reset_index()
            parts.append(runs.assign(reference=reference, after=after, clock=clock))
    table = pd.concat(parts, ignore_index=True)
    tasks = pd.MultiIndex.from_frame(table[["suite", "task"]])
    epochs = part.groupby(["suite", "task"])["max_epochs"].first()
    return table.assign(unit=field.units.reindex(tasks).to_numpy(), max_epochs=epochs.reindex(tasks).to_numpy())


def medians(table: pd.DataFrame) -> pd.DataFrame:
    """By target, clock and strategy: ``median`` over units with its 80% and 95% intervals, and the share of runs that
    ``reached`` the target.

    The intervals are the exact ones of order statistics (W. Conover, Practical Nonparametric Statistics, section 3.2);
    their coverage is at least the level whatever the distribution, and ends may be infinite. NaN below MIN_UNITS units.
    """
    rows = []
    for keys, part in table.groupby([*KEYS, "strategy"]):
        units = part.groupby(["suite", "unit"])["needed"]
        values = units.apply(_median).to_numpy()
        reached = part["needed"].lt(np.inf).groupby([part["suite"], part["unit"]]).mean().mean()
        ends = [end for level in LEVELS for end in _interval(values, level / 100)]
        rows.append((*keys, _median(values), *ends, reached, len(values)))
    columns = ["median", *(f"{end}{level}" for level in LEVELS for end in ("low", "high")), "reached", "n_units"]
    return pd.DataFrame(rows, columns=[*KEYS, "strategy", *columns])


def _median(values: np.ndarray | pd.Series) -> float:
    """The median; infinite unless more than half of the values are finite."""
    ordered = np.sort(np.asarray(values, dtype=float))
    low, high = ordered[(len(ordered) - 1) // 2], ordered[len(ordered) // 2]
    return float(high if np.isinf(high) else (low + high) / 2)


def _interval(values: np.ndarray, level: float) -> tuple[float, float]:
    from scipy import stats

    if len(values) < MIN_UNITS:
        return float("nan"), float("nan")
    found = stats.quantile_test(values, q=0, p=0.5).confidence_interval(level)
    return float(found.low), float(found.high)


def failures(table: pd.DataFrame, strategy: str) -> pd.Series:
    """The share of runs of a strategy that reached the target, on the tasks on which at most half did.

    ``table``: rows of ``needed`` for one target and clock.
    """
    own = table[table["strategy"] == strategy]
    shares = own["needed"].lt(np.inf).groupby([own["suite"], own["task"]]).mean()
    return shares[shares <= 0.5].sort_values(kind="stable")
