"""What a part of ``bo`` is worth, and ideas that were tried: ``python -m benchmarks.ablation``, results/ablation.md.

Every variant (see ``benchmarks.variants``) on the development tasks that slow strategies are run on, with the seeds,
first points and budget of the others.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before numpy

import signal
import sys
from pathlib import Path
from typing import Annotated

import pandas as pd
import typer
from rich.console import Console
from rich.markdown import Markdown

from automl.errors import UserError
from automl.outputs import write_aside
from benchmarks.command import run_command
from benchmarks.duels import all_duels
from benchmarks.fields import DEVELOPMENT, EVERY_SUITE
from benchmarks.markdown import grid
from benchmarks.plan import Source, slow_places
from benchmarks.results import Results
from benchmarks.run import run_all
from benchmarks.simulate import Run
from benchmarks.variants import VARIANTS

SUITES = ("recorded", "tables", "yahpo", "synthetic")
N_TRIALS = 50


def main(
    suites: Annotated[str, typer.Option(help="Suites, separated by commas.")] = ",".join(SUITES),
    variants: Annotated[str, typer.Option(help="Variants, separated by commas.", show_default="all")] = "",
    seeds: Annotated[int, typer.Option(min=2, help="Seeds of each variant on each task.")] = 5,
    jobs: Annotated[int, typer.Option(min=1, help="Processes.")] = os.cpu_count() or 1,
    runs: Annotated[Path, typer.Option(help="Folder of the runs.")] = Path("results/ablation"),
    out: Annotated[Path, typer.Option(help="Table to write.")] = Path("results/ablation.csv"),
) -> None:
    """Run what is missing; write OUT, and a summary with the suffix .md beside it."""
    names = variants.split(",") if variants else list(VARIANTS)
    for name in names:
        if name not in VARIANTS:
            raise UserError(f"unknown variant {name!r}; choose of: {', '.join(VARIANTS)}")
    results, console = Results(runs), Console()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # what is done is saved on the way out
    crashes: list[tuple[Run, str]] = []
    for suite in suites.split(","):
        source = Source(suite)
        tasks = [source.tasks()[i].name for i in slow_places(len(source.tasks()))]
        runs_of = [(seed, name, task) for seed in range(seeds) for name in ["bo", *names] for task in tasks]
        planned = [Run(suite, task, name, seed, N_TRIALS) for seed, name, task in runs_of]
        missing = [run for run in planned if not results.has(run)]
        console.print(f"{suite}: {len(tasks)} tasks, {len(missing)} of {len(planned)} runs to do")
        crashes += run_all(missing, source, False, jobs, results, console)
    found = all_duels(runs, "bo", seeds, DEVELOPMENT)
    write_aside(out, found.to_csv(index=False, float_format="%.4f"))
    lines = summary(found, suites)
    write_aside(out.with_suffix(".md"), "\n".join(lines) + "\n")
    console.print(Markdown("\n".join(lines)))
    print(out)
    for run, error in crashes:
        console.print(f"crashed: {run.strategy} on {run.task}, seed {run.seed}\n{error}", markup=False)
    if crashes:
        raise typer.Exit(1)


def summary(found: pd.DataFrame, suites: str) -> list[str]:
    """A table a budget, the lowest regret first: of each variant its regret, and what it has more than ``bo``."""
    overall = found[(found["suite"] == (EVERY_SUITE if "," in suites else suites)) & found["rival"].isin(VARIANTS)]
    lines = [
        "# Variants of bo",
        "",
        f"By `python -m benchmarks.ablation`, on development tasks of {suites.replace(',', ', ')}.",
        "Each variant is `bo` but for one part. Mean regret",
        "(0: the best known loss, 1: that of a median random config), and what it has more than `bo`'s, with the 95%",
        "interval over tasks like these: where it holds 0, nobody knows which of the two is better.",
    ]
    for budget, rows in overall.groupby("budget"):
        lines += [
            "",
            f"After {budget} trainings, {rows['n_tasks'].min()} tasks, {rows['min_seeds'].min()} seeds; "
            f"`bo`: {rows['regret'].iloc[0]:.3f}",
            "",
            *grid(
                ["variant", "what it is", "regret", "more than bo", "interval"],
                [
                    [
                        f"`{row['rival']}`",
                        VARIANTS[row["rival"]][1],
                        f"{row['rival_regret']:.3f}",
                        f"{0.0 - row['difference']:+.3f}",
                        f"{0.0 - row['high']:+.3f} to {0.0 - row['low']:+.3f}",
                    ]
                    for row in rows.sort_values("rival_regret").to_dict("records")
                ],
            ),
        ]
    return lines


if __name__ == "__main__":
    run_command(main)
