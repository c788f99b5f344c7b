"""Algorithm selection: ``auto`` versus the single best strategy, a random one, and the best per task.

``python -m benchmarks.experiments.selector``. B. Bischl et al., ASlib (Artificial Intelligence 237, 2016) for the
closed gap. The single best strategy (SBS) is chosen on the other suites. The best per task (VBS) is chosen on one half
of the seeds and scored on the other, both ways: if it were scored on the seeds it was chosen on, more than half of its
lead would be noise.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import numpy as np
import pandas as pd
import typer
from rich.console import Console
from rich.table import Table

from automl.errors import UserError
from automl.study.run_folder import write_atomic
from benchmarks.command import run_command
from benchmarks.opponents import OPPONENTS
from benchmarks.report import known_constants, read_runs
from benchmarks.scoring import regret
from benchmarks.scoring.cohorts import DEVELOPMENT, EVERY_SUITE, PAIR
from benchmarks.scoring.exact_budget import at_budget
from benchmarks.scoring.statistics import LEVEL, Units, resamples, unit_keys

SELECTOR = "auto"
BUDGETS = (20, 50, 100)  # full trainings
SELECTORS = ["auto", "sbs", "random_choice", "vbs"]


def main(
    runs: Annotated[Path, typer.Argument(help="Folder with the runs.")] = Path("results/runs"),
    split: Annotated[str, typer.Option(help="development or holdout tasks.")] = DEVELOPMENT,
    out: Annotated[Path, typer.Option(help="Table to write.")] = Path("results/selector.csv"),
) -> None:
    """Write OUT, and print it."""
    table = read_runs(runs)
    table = table[(table["n_workers"] == 1) & (table["split"] == split) & ~table["strategy"].isin([*OPPONENTS])]
    facts = known_constants(table).assign(floor=1.0)
    table = table[pd.MultiIndex.from_frame(table[["suite", "task"]]).isin(facts.index)]
    console = Console()
    for line in missing(table):
        console.print(line, markup=False, soft_wrap=True)
    found = pd.concat([evaluate(table, facts, budget) for budget in BUDGETS if _has_runs(table, budget)])
    write_atomic(out, found.to_csv(index=False, float_format="%.6g"))
    _show(console, found)
    console.print(str(out), markup=False, soft_wrap=True)


def missing(table: pd.DataFrame) -> list[str]:
    """A line per suite and budget without runs of auto. Raises UserError if there are too few for any result."""
    own = table[table["strategy"] == SELECTOR]
    suites = sorted(table["suite"].unique())
    measured = sorted(own["suite"].unique())
    absent = [suite for suite in suites if suite not in measured]
    if len(measured) < 2:
        raise UserError(
            f"the single best strategy is chosen on other suites, so {SELECTOR} needs runs in two suites, found "
            f"{len(measured)}; make some with: python -m benchmarks.run --suite {(absent or ['SUITE'])[0]} "
            f"--strategies {SELECTOR} --seeds 20 --trials 50"
        )
    lines = [f"missing: runs of {SELECTOR} on {', '.join(absent)}"] if absent else []
    short = [str(budget) for budget in BUDGETS if not _has_runs(table, budget)]
    return [*lines, f"missing: runs of {SELECTOR} in two suites with {', '.join(short)} trainings"] if short else lines


def _has_runs(table: pd.DataFrame, budget: int) -> bool:
    """Whether auto has runs with this budget in two suites."""
    own = table[(table["strategy"] == SELECTOR) & (table["n_trials"] >= budget)]
    return own["suite"].nunique() > 1


def evaluate(table: pd.DataFrame, facts: pd.DataFrame, budget: int) -> pd.DataFrame:
    """A row for all suites and one per suite: the mean regrets of SELECTORS at this budget, and the closed gap."""
    runs = table[table["n_trials"] >= budget].drop_duplicates(["strategy", *PAIR])
    strategies, pairs = shared(runs)
    if pairs.get_level_values("suite").nunique() < 2:
        raise UserError(f"no strategy shares runs of {budget} trainings, two seeds and two suites with {SELECTOR}")
    part = table[table["strategy"].isin([SELECTOR, *strategies]) & (table["n_trials"] >= budget)]
    part = at_budget(part[pd.MultiIndex.from_frame(part[PAIR]).isin(pairs)], budget)
    raw = regret.at_budgets(part, facts, [budget])
    wide = regret.filled(raw, regret.before_any(part, facts))[budget].unstack("strategy")
    tasks = part.drop_duplicates(["suite", "task"])
    units = pd.Series(tasks["unit"].to_numpy(), index=pd.MultiIndex.from_frame(tasks[["suite", "task"]]))
    chosen = single_best(wide[strategies], units)
    regrets = selector_regrets(wide, strategies, chosen)
    rows = [
        {"budget": budget, "suite": suite, "sbs_is": " ".join(dict.fromkeys(chosen.reindex(suites))),
         **_size(own), **closed_gap(own, units), "strategies": " ".join(strategies)}
        for suite, suites in ((EVERY_SUITE, list(chosen.index)), *((suite, [suite]) for suite in chosen.index))
        for own in [regrets[regrets.index.get_level_values("suite").isin(suites)]]
    ]  # fmt: skip
    return pd.DataFrame(rows)


def shared(runs: pd.DataFrame) -> tuple[list[str], pd.MultiIndex]:
    """The strategies other than auto, and the (suite, task, seed) shared by auto and all of them.

    Only tasks with at least two seeds, since the best per task is chosen on some and scored on others. Strategies with
    the fewest runs are dropped as long as this leaves more runs to compare.
    """
    covered = {str(name): pd.MultiIndex.from_frame(part[PAIR]) for name, part in runs.groupby("strategy")}
    pairs = covered.pop(SELECTOR)
    order = sorted(covered, key=lambda name: (-len(covered[name].intersection(pairs)), name))
    offers = []
    for n, name in enumerate(order, 1):
        pairs = pairs.intersection(covered[name])
        usable = _with_two_seeds(pairs)
        offers.append((len(usable.unique("suite")) > 1, n * len(usable), n, usable))
    *_, n, pairs = max(offers, key=lambda offer: offer[:3], default=(False, 0, 0, pairs[:0]))
    return sorted(order[:n]), pairs


def _with_two_seeds(pairs: pd.MultiIndex) -> pd.MultiIndex:
    tasks = pairs.droplevel("seed")
    counts = tasks.value_counts()
    kept = pairs[np.array([counts[task] > 1 for task in tasks], dtype=bool)]
    assert isinstance(kept, pd.MultiIndex)
    return kept


def single_best(regrets: pd.DataFrame, units: Units) -> pd.Series:
    """By suite, the strategy with the lowest mean over the units of all other suites.

    ``regrets``: (suite, task, seed) x strategy.
    """
    suites = regrets.index.get_level_values("suite")
    return pd.Series({suite: _means(regrets[suites != suite], units).idxmin() for suite in suites.unique()})


def _means(values: pd.DataFrame, units: Units) -> pd.Series:
    """Means over seeds, the tasks of a unit, and units."""
    by_task = values.groupby(level=["suite", "task"]).mean()
    return by_task.groupby(unit_keys(by_task.index, units)).mean().mean()


def selector_regrets(regrets: pd.DataFrame, strategies: list[str], chosen: pd.Series) -> pd.DataFrame:
    """The regrets of SELECTORS on each (suite, task, seed); a random choice gets the mean of the strategies."""
    names = pd.Series(regrets.index.get_level_values("suite"), index=regrets.index).map(chosen)
    return pd.DataFrame(
        {
            "auto": regrets[SELECTOR],
            "sbs": _regrets_of(regrets, names),
            "random_choice": regrets[strategies].mean(axis=1),
            "vbs": _regrets_of(regrets, best_per_task(regrets[strategies])),
        }
    )[SELECTORS]


def best_per_task(regrets: pd.DataFrame) -> pd.Series:
    """For each (suite, task, seed), the strategy with the lowest mean on the other half of the seeds.

    The halves alternate in the order of the seeds.
    """
    half = regrets.groupby(level=["suite", "task"]).cumcount() % 2
    found = pd.Series(index=regrets.index, dtype=object)
    for _, part in regrets.groupby(level=["suite", "task"]):
        own = half[part.index]
        for side in (0, 1):
            found[own.index[own == side]] = part[own != side].mean().idxmin()
    return found


def _regrets_of(regrets: pd.DataFrame, names: pd.Series) -> pd.Series:
    """The regret of the named strategy in each row."""
    places = regrets.columns.get_indexer(pd.Index(names))
    return pd.Series(regrets.to_numpy()[np.arange(len(regrets)), places], index=regrets.index)


def closed_gap(regrets: pd.DataFrame, units: Units) -> dict[str, float]:
    """The means of SELECTORS, and (SBS - auto) / (SBS - VBS) with its 95% bootstrap interval over units and seeds.

    A bound of the interval is infinite if the gap SBS - VBS may be 0 on that side; NaN without a gap and for a single
    unit. The bootstrap resamples the regrets of the choices, not the choices.
    """
    means = _means(regrets, units)
    found = {selector: float(means[selector]) for selector in SELECTORS}
    found |= {"closed_gap": np.nan, "low": np.nan, "high": np.nan}
    found["lead"] = found["sbs"] - found["auto"]
    several = len(set(zip(*(keys for keys in unit_keys(regrets.index, units)), strict=True))) > 1
    gap = found["sbs"] - found["vbs"]
    if gap > 0:
        found["closed_gap"] = found["lead"] / gap
    found["lead_low"] = found["lead_high"] = np.nan
    if several:
        draws = pd.DataFrame(resamples(regrets.index, units=units) @ regrets.to_numpy(), columns=regrets.columns)
        leads, gaps = (draws["sbs"] - draws[selector] for selector in ("auto", "vbs"))
        found["lead_low"], found["lead_high"] = np.quantile(leads, [LEVEL / 2, 1 - LEVEL / 2])
        if gap > 0:
            found["low"], found["high"] = _ratio_interval(leads.to_numpy(), gaps.to_numpy())
    return found


def _ratio_interval(leads: np.ndarray, gaps: np.ndarray) -> tuple[float, float]:
    """The interval of the ratios; the ratio of a sample without a gap counts as infinite at both ends."""
    ratios = np.divide(leads, gaps, out=np.full(len(leads), np.inf), where=gaps > 0)
    low = np.quantile(np.where(gaps > 0, ratios, -np.inf), LEVEL / 2, method="lower")
    return float(low), float(np.quantile(ratios, 1 - LEVEL / 2, method="higher"))


def _size(regrets: pd.DataFrame) -> dict[str, int]:
    counts = regrets.groupby(level=["suite", "task"]).size()
    return {"n_tasks": len(counts), "min_seeds": int(counts.min()), "max_seeds": int(counts.max())}


def _show(console: Console, found: pd.DataFrame) -> None:
    table = Table("after", "suite", "tasks", "auto", "SBS", "random", "VBS", "closed gap", box=None, padding=(0, 1))
    for row in found.to_dict("records"):
        means = (f"{row[selector]:.3f}" for selector in SELECTORS)
        gap = f"{row['closed_gap']:.2f} ({row['low']:.2f} to {row['high']:.2f})"
        table.add_row(str(row["budget"]), row["suite"], str(row["n_tasks"]), *means, gap)
    console.print(table)
    for row in found[found["suite"] == EVERY_SUITE].to_dict("records"):
        line = f"after {row['budget']}: SBS {row['sbs_is']}, seeds {row['min_seeds']} to {row['max_seeds']}, "
        console.print(f"{line}other strategies: {row['strategies']}", markup=False, soft_wrap=True)


if __name__ == "__main__":
    run_command(main)
