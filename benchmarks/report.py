"""``python -m benchmarks.report``: results/runs/ to a leaderboard in Markdown with one picture a suite.

No statistics of its own: measures come from benchmarks.regret, tests from benchmarks.statistics.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import pandas as pd
import typer

from automl.errors import UserError
from automl.outputs import write_aside
from benchmarks import plots, statistics
from benchmarks.regret import area_under_curve, at_budgets, by_task, ranks, speed_up
from benchmarks.suites.base import constants

BUDGETS = [1, 2, 5, 10, 20, 50, 100]
MARGIN = 0.01  # differences of the mean normalised regret below it do not matter in practice


def main(
    runs: Annotated[Path, typer.Argument(help="Folder with the runs.")] = Path("results/runs"),
    out: Annotated[Path, typer.Option(help="Leaderboard to write, without suffix.")] = Path("results/leaderboard"),
) -> None:
    """Write OUT.md, and OUT-SUITE.png for each suite."""
    files = sorted(runs.rglob("*.parquet"))
    if not files:
        raise UserError(f"there are no runs in {str(runs)!r}; make some with python -m benchmarks.run --suite quick")
    table = pd.concat([pd.read_parquet(file) for file in files], ignore_index=True)
    facts = pd.DataFrame(constants()).T
    facts.index = pd.MultiIndex.from_tuples([tuple(name.split("/")) for name in facts.index], names=["suite", "task"])
    facts = facts[["best", "reference", "seconds"]].astype(float)
    parts = ["# Which strategy is better\n", EXPLANATION]
    for suite, rows in with_yardsticks(table).groupby("suite"):
        parts += section(str(suite), rows, facts, out)
    parts.append(provenance(files))
    write_aside(out.with_suffix(".md"), "\n".join(parts) + "\n")
    print(out.with_suffix(".md"))


EXPLANATION = """Written by `python -m benchmarks.report` from the runs in results/runs/; no number in it is typed.

**Regret** is normalised: 0 is the best known loss of a task, 1 that of a median random config; the mean over tasks of
the mean over seeds. In brackets, the 95% interval over tasks *and* seeds: how sure this is for tasks like these. A
**budget** is counted in full trainings. **Speed-up**: how many times the budget random search needs for what the
strategy reaches. `random x2` is random search with twice the budget, `default` the task's default config alone.
No strategy used knowledge of other tasks.
"""


def with_yardsticks(table: pd.DataFrame) -> pd.DataFrame:
    """The runs, and beside them random search with its budget halved in the books, and the first trial alone."""
    random = table[table["strategy"] == "random"]
    twice = random.assign(strategy="random x2", at_epochs=random["at_epochs"] / 2, at_seconds=random["at_seconds"] / 2)
    default = random[random["trial"] == 0].assign(strategy="default")
    return pd.concat([table, twice, default], ignore_index=True)


def section(suite: str, rows: pd.DataFrame, facts: pd.DataFrame, out: Path) -> list[str]:
    """A suite: the verdict in words, the table, the picture."""
    longest = int(rows.groupby("strategy")["at_epochs"].max().drop("default", errors="ignore").min())
    budgets = [float(b) for b in BUDGETS if b * rows["max_epochs"].iloc[0] <= longest]
    every = at_budgets(rows, facts, [float(budget) for budget in range(1, int(budgets[-1]) + 1)])
    regrets = every[budgets]
    seeds = rows["seed"].nunique()
    n_failed = int(rows.loc[rows["strategy"].isin(set(rows["strategy"]) - {"random x2", "default"}), "failed"].sum())
    picture = out.with_name(f"{out.name}-{suite}.png")
    plots.regret_over_budget(regrets, picture, f"{suite}: {rows['task'].nunique()} tasks, {seeds} seeds")
    parts = [f"\n## {suite}: {rows['task'].nunique()} tasks, {seeds} seeds, {n_failed} failed trials\n"]
    shown = [budget for budget in (10.0, 20.0, 50.0, 100.0) if budget in budgets]
    for budget in shown:
        competitors = by_task(regrets, budget).drop(columns=["random x2", "default"], errors="ignore")
        _, reason = statistics.winner(competitors, MARGIN)
        parts.append(f"- After {budget:g} trainings: {reason}.")
    speeds = speed_up(every, "random", shown[-1])
    areas = area_under_curve(regrets).groupby("strategy").mean()
    mean_ranks = ranks(by_task(regrets, shown[-1])).mean()
    header = [*(f"regret after {b:g}" for b in shown), f"mean rank after {shown[-1]:g}", "area", "speed-up"]
    parts += ["", "| strategy | " + " | ".join(header) + " |", "|---|" + "---|" * len(header)]
    order = by_task(regrets, shown[-1]).mean().sort_values().index
    for name in order:
        cells = []
        for budget in shown:
            interval = statistics.two_level_interval(regrets.xs(name, level="strategy")[budget])
            cells.append(f"{interval.mean:.3f} ({interval.low:.3f} to {interval.high:.3f})")
        cells += [f"{mean_ranks[name]:.1f}", f"{areas[name]:.3f}", f"{speeds[name]:.1f}"]
        parts.append(f"| {name} | " + " | ".join(cells) + " |")
    return [*parts, "", f"![Regret over the budget]({picture.name})"]


def provenance(files: list[Path]) -> str:
    """What the runs were made with."""
    lines: dict[str, None] = {}
    for file in files:
        attributes = pd.read_parquet(file).attrs
        versions = ", ".join(f"{name} {version}" for name, version in attributes.get("versions", {}).items())
        lines[f"commit {attributes.get('commit')}; {versions}"] = None
    return "\n## Made with\n\n" + "\n".join(f"- {line}" for line in lines)


if __name__ == "__main__":
    try:
        typer.run(main)
    except UserError as error:
        print(f"benchmarks: {error}", file=sys.stderr)
        sys.exit(2)
