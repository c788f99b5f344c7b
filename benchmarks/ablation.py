"""What a part of ``bo`` is worth, and ideas that were tried: ``python -m benchmarks.ablation``, results/ablation.csv.

Every variant (see ``benchmarks.variants``) on the development tasks that slow strategies are run on, with the seeds,
first points and budget of the others.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before numpy

from pathlib import Path
from typing import Annotated

import pandas as pd
import typer
from rich.console import Console
from rich.table import Table

from automl.outputs import write_aside
from benchmarks.command import run_command
from benchmarks.duels import all_duels
from benchmarks.fields import DEVELOPMENT, EVERY_SUITE
from benchmarks.plan import Source, slow_places
from benchmarks.results import Results
from benchmarks.run import run_all
from benchmarks.simulate import Run
from benchmarks.variants import VARIANTS

SUITES = ("recorded", "tables", "yahpo", "synthetic")
N_TRIALS = 50


def main(
    seeds: Annotated[int, typer.Option(min=2, help="Seeds of each variant on each task.")] = 5,
    jobs: Annotated[int, typer.Option(min=1, help="Processes.")] = os.cpu_count() or 1,
    runs: Annotated[Path, typer.Option(help="Folder of the runs.")] = Path("results/ablation"),
    out: Annotated[Path, typer.Option(help="Table to write.")] = Path("results/ablation.csv"),
) -> None:
    """Run what is missing, write OUT and print it."""
    results, console = Results(runs), Console()
    for suite in SUITES:
        source = Source(suite)
        tasks = [source.tasks()[i].name for i in slow_places(len(source.tasks()))]
        runs_of = [(seed, name, task) for seed in range(seeds) for name in ["bo", *VARIANTS] for task in tasks]
        planned = [Run(suite, task, name, seed, N_TRIALS) for seed, name, task in runs_of]
        missing = [run for run in planned if not results.has(run)]
        console.print(f"{suite}: {len(tasks)} tasks, {len(missing)} of {len(planned)} runs to do")
        for run, error in run_all(missing, source, False, jobs, results, console):
            console.print(f"crashed: {run.strategy} on {run.task}, seed {run.seed}\n{error}", markup=False)
    found = all_duels(runs, "bo", seeds, DEVELOPMENT)
    write_aside(out, found.to_csv(index=False, float_format="%.4f"))
    _show(found, console)
    print(out)


def _show(found: pd.DataFrame, console: Console) -> None:
    """A row a variant: its regret over all suites, and what it has more than ``bo``."""
    for budget, rows in found[found["suite"] == EVERY_SUITE].groupby("budget"):
        own = rows["regret"].iloc[0]
        table = Table(title=f"after {budget}: bo {own:.3f}", title_justify="left", box=None, padding=(0, 1))
        for name in ("variant", "regret", "less bo's (95% interval)", "what it is"):
            table.add_column(name, no_wrap=True, justify="left" if name in ("variant", "what it is") else "right")
        for row in rows.sort_values("rival_regret").to_dict("records"):
            more = f"{-row['difference']:+.3f} ({-row['high']:+.3f}, {-row['low']:+.3f})"
            table.add_row(row["rival"], f"{row['rival_regret']:.3f}", more, VARIANTS[row["rival"]][1])
        console.print(table)


if __name__ == "__main__":
    run_command(main)
