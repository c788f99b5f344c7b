"""The comparison: ``python -m benchmarks.run --suite quick`` runs every strategy on every task with the same seeds.

Simulated tasks are replayed under a virtual clock. What exists is skipped, so a run that was killed goes on.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before numpy

import sys
import traceback
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path
from typing import Annotated, Any

import pandas as pd
import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from automl.errors import UserError
from automl.outputs import commit, versions
from benchmarks.costs import strategy_seconds
from benchmarks.simulate import Run, simulate
from benchmarks.suites import load_suite
from strategies import STRATEGIES, UnknownStrategy, strategy_class

SAVE_EVERY = 50  # runs


def execute(run: Run, live_overhead: bool) -> tuple[Run, list[dict[str, Any]], str | None]:
    """A run in a process of its own: its rows, or the traceback of its crash."""
    try:
        task = next(task for task in load_suite(run.suite) if task.name == run.task)
        seconds = None if live_overhead else strategy_seconds(run.strategy, len(task.space))
        return run, simulate(run, seconds), None
    except UserError:
        raise
    except Exception:
        return run, [], traceback.format_exc()


class Results:
    """The Parquet files under a folder: one a suite, strategy and number of workers, written aside and renamed."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._frames: dict[Path, pd.DataFrame] = {}
        self._new: dict[Path, list[dict[str, Any]]] = {}

    def file(self, run: Run) -> Path:
        """Where the rows of a run lie."""
        return self._folder / run.suite / f"{run.strategy}-{run.n_trials}-trials-{run.n_workers}-workers.parquet"

    def has(self, run: Run) -> bool:
        """Whether the run was done before."""
        file = self.file(run)
        if file not in self._frames:
            self._frames[file] = pd.read_parquet(file) if file.exists() else pd.DataFrame()
        frame = self._frames[file]
        return not frame.empty and bool(((frame["task"] == run.task) & (frame["seed"] == run.seed)).any())

    def add(self, run: Run, rows: list[dict[str, Any]]) -> None:
        """Keep the rows of a run; ``save`` writes them."""
        self._new.setdefault(self.file(run), []).extend(rows)

    def save(self) -> None:
        """Write what was added since the last time."""
        for file, rows in self._new.items():
            frame = pd.concat([self._frames[file], pd.DataFrame(rows)], ignore_index=True)
            frame = frame.sort_values(["task", "seed", "at_epochs", "trial"], kind="stable", ignore_index=True)
            frame.attrs = {"versions": versions(), "commit": commit()}
            file.parent.mkdir(parents=True, exist_ok=True)
            aside = file.with_suffix(f".{os.getpid()}")
            frame.to_parquet(aside, index=False)
            aside.replace(file)
            self._frames[file] = frame
        self._new = {}


def main(
    suite: Annotated[str, typer.Option(help="synthetic, tables, yahpo or quick")] = "quick",
    strategy: Annotated[str, typer.Option("--strategies", help="Names, separated by commas. [default: all]")] = "",
    seeds: Annotated[int, typer.Option(min=1, help="Seeds of each strategy on each task.")] = 5,
    trials: Annotated[int, typer.Option(min=1, help="Budget in full trainings; random search gets it twice.")] = 50,
    workers: Annotated[int, typer.Option(min=1, help="Simulated workers, training asynchronously.")] = 1,
    split: Annotated[str, typer.Option(help="development or holdout")] = "development",
    live_overhead: Annotated[
        bool, typer.Option("--live-overhead", help="Charge the strategy's measured seconds.")
    ] = False,
    jobs: Annotated[int, typer.Option(min=1, help="Processes.")] = os.cpu_count() or 1,
    out: Annotated[Path, typer.Option(help="Folder of the results.")] = Path("results/runs"),
) -> None:
    """Run what is missing."""
    names = strategy.split(",") if strategy else list(STRATEGIES)
    for name in names:
        strategy_class(name)
    results = Results(out)
    tasks = [task for task in load_suite(suite) if task.split == split]
    # Random search with the budget twice is the yardstick for the worth of a budget.
    runs = [
        Run(suite, task.name, name, seed, 2 * trials if name == "random" else trials, workers)
        for seed in range(seeds)
        for task in tasks
        for name in names
    ]
    missing = [run for run in runs if not results.has(run)]
    console = Console()
    console.print(
        f"{suite}: {len(tasks)} tasks, {len(names)} strategies, {seeds} seeds; {len(missing)} of {len(runs)} runs to do"
    )
    failures = _run_all(missing, live_overhead, jobs, results, console)
    for run, error in failures:
        console.print(f"failed: {run.strategy} on {run.task}, seed {run.seed}\n{error}", markup=False)
    if failures:
        raise typer.Exit(1)


def _run_all(
    runs: list[Run], live_overhead: bool, jobs: int, results: Results, console: Console
) -> list[tuple[Run, str]]:
    failures = []
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console) as progress, ProcessPoolExecutor(jobs, get_context("spawn")) as pool:
        bar = progress.add_task("runs", total=len(runs))
        futures: list[Future[tuple[Run, list[dict[str, Any]], str | None]]] = [
            pool.submit(execute, run, live_overhead) for run in runs
        ]
        try:
            for n_done, future in enumerate(as_completed(futures), 1):
                run, rows, error = future.result()
                if error is not None:
                    failures.append((run, error))
                results.add(run, rows)
                progress.advance(bar)
                if n_done % SAVE_EVERY == 0:
                    results.save()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
            results.save()
    return failures


if __name__ == "__main__":
    try:
        typer.run(main)
    except (UserError, UnknownStrategy) as error:
        print(f"benchmarks: {error}", file=sys.stderr)
        sys.exit(2)
