"""Ablation of ``bo`` and ``auto``, including rejected ideas: ``python -m benchmarks.experiments.ablation``.

Runs every variant of the strategy (see ``benchmarks.opponents.variants``) on the development tasks used for slow
strategies, with the same seeds, initial points and budget as the strategy. Writes results/ablation.md, or
results/ablation-auto.md for ``auto``.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before numpy

import signal
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import pandas as pd
import typer
from rich.console import Console
from rich.markdown import Markdown

from automl.errors import UserError
from automl.study.run_folder import write_atomic
from benchmarks.command import run_command
from benchmarks.experiments.duels import all_duels
from benchmarks.opponents.variants import FORMER, VARIANTS, variants_of
from benchmarks.pages.markdown import grid
from benchmarks.run import run_all
from benchmarks.runner.plan import TaskSource, slow_places
from benchmarks.runner.results import Results
from benchmarks.runner.simulate import Run
from benchmarks.scoring.cohorts import DEVELOPMENT, EVERY_SUITE, counted

SUITES = {
    "bo": ("recorded", "tables", "yahpo", "synthetic"),
    "auto": ("recorded", "yahpo", "networks"),  # with learning curves and, except yahpo, test sets
}
N_TRIALS, N_TRIALS_LIVE = 50, 20


def main(
    strategy: Annotated[str, typer.Option(help="The base strategy: bo or auto.")] = "bo",
    variants: Annotated[str, typer.Option(help="Variants, separated by commas.", show_default="all")] = "",
    seeds: Annotated[int, typer.Option(min=2, help="Seeds of each variant on each task.")] = 5,
    suites: Annotated[str, typer.Option(help="Names, separated by commas.", show_default="all")] = "",
    jobs: Annotated[int, typer.Option(min=1, help="Number of processes.")] = os.cpu_count() or 1,
    runs: Annotated[Path, typer.Option(help="Folder for the runs.")] = Path("results/ablation"),
    out: Annotated[
        Path | None, typer.Option(help="Table to write.", show_default="results/ablation.csv; -auto.csv for auto")
    ] = None,
) -> None:
    """Run the missing runs; write OUT, and a summary with the suffix .md."""
    if strategy not in SUITES:
        raise UserError(f"{strategy!r} has no variants; choose one of: {', '.join(SUITES)}")
    names = variants.split(",") if variants else variants_of(strategy)
    for name in names:
        if name not in variants_of(strategy):
            raise UserError(f"unknown variant {name!r}; choose from: {', '.join(variants_of(strategy))}")
    out = out or Path("results/ablation.csv" if strategy == "bo" else f"results/ablation-{strategy}.csv")
    results, console = Results(runs), Console()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # completed runs are saved on exit
    crashes: list[tuple[Run, str]] = []
    for suite in suites.split(",") if suites else SUITES[strategy]:
        try:
            source, planned = planned_of(suite, [strategy, *names], seeds)
        except UserError as reason:  # its data are not on this machine
            console.print(f"{suite} is skipped: {reason}", markup=False, soft_wrap=True)
            continue
        missing = [run for run in planned if not results.has(run)]
        n_tasks = len({run.task for run in planned})
        console.print(f"{suite}: {n_tasks} tasks, {len(missing)} of {len(planned)} runs to do")
        crashes += run_all(missing, source, False, jobs, results, console)
    found = all_duels(runs, strategy, seeds, DEVELOPMENT)
    found = found[found["rival"].isin([*variants_of(strategy), *FORMER])]
    write_atomic(out, found.to_csv(index=False, float_format="%.6f"))
    lines = summary(found, strategy)
    write_atomic(out.with_suffix(".md"), "\n".join(lines) + "\n")
    console.print(Markdown("\n".join(lines)))
    print(out)
    for run, error in crashes:
        console.print(f"crashed: {run.strategy} on {run.task}, seed {run.seed}\n{error}", markup=False)
    if crashes:
        raise typer.Exit(1)


def planned_of(suite: str, names: Sequence[str], seeds: int) -> tuple[TaskSource, list[Run]]:
    """The tasks of a suite and the runs of strategies on them. Raises UserError if the suite is not available."""
    source = TaskSource(suite)
    tasks = source.tasks()
    if tasks[0].looked_up:
        of = [tasks[i].name for i in slow_places(len(tasks))]
        runs_of = [(seed, name, task) for seed in range(seeds) for name in names for task in of]
    else:  # all tasks, since there are few, one after the other, since each has its own training process
        runs_of = [(seed, name, task.name) for task in tasks for name in names for seed in range(seeds)]
    n_trials = N_TRIALS if tasks[0].looked_up else N_TRIALS_LIVE
    return source, [Run(suite, task, name, seed, n_trials) for seed, name, task in runs_of]


def summary(found: pd.DataFrame, strategy: str) -> list[str]:
    """A table per budget, lowest regret first: the regret of each variant, and its difference to the base."""
    is_overall = found["suite"] == EVERY_SUITE
    overall = found[is_overall] if is_overall.any() else found  # with a single suite, there is no overall row
    suites = list(found.loc[~is_overall, "suite"].unique())
    lines = [
        f"# Variants of {strategy}",
        "",
        f"By `python -m benchmarks.experiments.ablation{'' if strategy == 'bo' else f' --strategy {strategy}'}`, on "
        f"development tasks of {', '.join(suites)}.",
        f"Each variant changes one component of `{strategy}`. Mean regret (0: the best known loss, 1: that of a median",
        f"random configuration) and its difference to `{strategy}`, with the 95% interval over tasks like these: if it",
        "includes 0, no difference is shown. On tasks with a test set, regret is that of the returned configuration,",
        "retrained with fresh seeds.",
    ]
    for budget, rows in overall.groupby("budget"):
        n_fresh = rows["fresh_tasks"].min()
        fresh = f", {n_fresh} of them by fresh seeds" if n_fresh else ""
        lines += [
            "",
            f"After {budget} trainings, {rows['n_tasks'].min()} tasks{fresh}, {rows['min_seeds'].min()} seeds; "
            f"`{strategy}`: {rows['regret'].iloc[0]:.3f}",
            "",
            *grid(
                ["variant", "description", "regret", f"difference to {strategy}", "interval"],
                [
                    [
                        f"`{row['rival']}`",
                        described(row["rival"]),
                        f"{row['rival_regret']:.3f}",
                        *difference_of(row),
                    ]
                    for row in rows.sort_values("rival_regret").to_dict("records")
                ],
            ),
        ]
    if len(suites) > 1:
        lines += ["", "The difference by suite:", "", *_by_suite(found[~is_overall], strategy)]
    return lines


def described(variant: str) -> str:
    """What is different in a variant, in one line."""
    return VARIANTS[variant][1] if variant in VARIANTS else FORMER[variant]


def difference_of(row: Mapping[Any, Any]) -> tuple[str, str]:
    """The difference of a variant to the base, and its interval; empty if there is none."""
    interval = "" if pd.isna(row["low"]) else f"{0.0 - row['high']:+.3f} to {0.0 - row['low']:+.3f}"
    return f"{0.0 - row['difference']:+.3f}", interval


def _by_suite(rows: pd.DataFrame, strategy: str) -> list[str]:
    """A row per suite and budget, a column per variant."""
    variants = list(dict.fromkeys(rows["rival"]))
    cells = []
    for (suite, budget), found in rows.groupby(["suite", "budget"], sort=False):
        differences = {row["rival"]: difference_of(row) for row in found.to_dict("records")}
        first = found.iloc[0]
        cells.append([f"{suite}, {counted(int(first['n_tasks']), 'task')}", f"{budget}", f"{first['regret']:.3f}"])
        for name in variants:
            difference, interval = differences.get(name, ("", ""))  # without runs there
            cells[-1].append(f"{difference} ({interval})" if interval else difference)
    return grid(["suite", "trainings", f"`{strategy}`", *(f"`{name}`" for name in variants)], cells)


if __name__ == "__main__":
    run_command(main)
