"""The comparison: ``python -m benchmarks.run --suite quick`` runs every strategy on every task with the same seeds.

Suites are replayed under a virtual clock; for your own task, each training is run for real, once. Existing results are
skipped, so an interrupted comparison can be resumed.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before numpy

import hashlib
import json
import signal
import sys
import time
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from automl.errors import UserError
from automl.runs.configure import new_settings
from automl.runs.settings import Settings
from benchmarks.command import run_command
from benchmarks.opponents import OPPONENTS, installed, opponent_class
from benchmarks.opponents.variants import VARIANTS
from benchmarks.runner.plan import TaskSource, planned
from benchmarks.runner.pool import execute_all
from benchmarks.runner.results import COMMITTED, Results
from benchmarks.runner.simulate import Run, crashed
from benchmarks.suites import SUITES, YOURS
from strategies import STRATEGIES, check_spec

SAVE_SECONDS = 30  # between saves, but at least SAVE_TIMES as long as the last one took: it compresses whole files
SAVE_TIMES = 20


def main(
    suite: Annotated[
        str | None, typer.Option(help=f"{', '.join(list(SUITES)[:-1])} or {list(SUITES)[-1]}", show_default="quick")
    ] = None,
    only: Annotated[str, typer.Option(help="Tasks of the suite, separated by commas.", show_default="all")] = "",
    task: Annotated[str | None, typer.Option(help="Instead of a suite: a built-in task or FILE.py:NAME.")] = None,
    command: Annotated[str | None, typer.Option(help="Instead of a suite: a shell command with {lr}, {seed}.")] = None,
    space: Annotated[Path | None, typer.Option(help="YAML file with the search space of --task or --command.")] = None,
    epochs: Annotated[int | None, typer.Option(help="Epochs of a full training of the task.")] = None,
    train_size: Annotated[int | None, typer.Option(help="Number of examples to train a built-in task on.")] = None,
    maximize: Annotated[bool, typer.Option("--maximize", help="The task reports a score to maximize.")] = False,
    trial_seconds: Annotated[float | None, typer.Option(help="Time limit of a training; slower ones fail.")] = None,
    strategies: Annotated[str, typer.Option(help="Names, separated by commas.", show_default="all of ours")] = "",
    opponents: Annotated[bool, typer.Option("--opponents", help="Also run the installed raw libraries.")] = False,
    seeds: Annotated[
        int | None, typer.Option(min=1, help="Seeds of each strategy on each task.", show_default="5, quick: 3")
    ] = None,
    trials: Annotated[
        int | None,
        typer.Option(
            min=1, help="Budget in full trainings; random search gets twice as many.", show_default="50, quick: 30"
        ),
    ] = None,
    seconds: Annotated[
        float | None,
        typer.Option(min=1, help="Budget in virtual seconds, for the suite own; random search gets twice as many."),
    ] = None,
    workers: Annotated[int, typer.Option(min=1, help="Number of simulated asynchronous workers.")] = 1,
    split: Annotated[str, typer.Option(help="development or holdout")] = "development",
    live_overhead: Annotated[
        bool, typer.Option("--live-overhead", help="Charge each strategy's measured seconds instead of recorded ones.")
    ] = False,
    jobs: Annotated[int, typer.Option(min=1, help="Number of processes.")] = os.cpu_count() or 1,
    out: Annotated[
        Path | None,
        typer.Option(
            help="Folder for the results.",
            show_default="results/runs; results/own for the suite own; runs/comparison for a task",
        ),
    ] = None,
) -> None:
    """Run all strategies on all tasks, skipping existing runs."""
    own = Settings(
        task=task, command=command, max_epochs=epochs, train_size=train_size, maximize=maximize,
        trial_seconds=trial_seconds,
    )  # fmt: skip
    is_own = bool(task or command)
    is_quick = suite in (None, "quick") and not is_own
    if trials is not None and seconds is not None:
        raise UserError("give the budget as --trials or as --seconds, not both")
    if seconds is not None and suite != "own":
        raise UserError("--seconds is only for --suite own; other tasks count trainings, so give --trials")
    seeds, trials = seeds or (3 if is_quick else 5), trials or (30 if is_quick else 50)
    out = out or Path("runs/comparison" if is_own else "results/own" if suite == "own" else "results/runs")
    source = source_of(suite, own, space, split, out, tuple(filter(None, only.split(","))))
    names = strategies_of(strategies, opponents)
    runs = planned(source.tasks(), names, seeds, trials, workers, seconds=seconds, unknown_is_slow=live_overhead)
    if not runs:
        raise UserError(f"nothing to run: {', '.join(names)} needs tasks with learning curves")
    results = Results(out, None if source.own is None else identity(source.own))
    missing = [run for run in runs if not results.has(run)]
    console = Console()
    console.print(
        f"{source.suite}: {len({run.task for run in runs})} tasks, {len(names)} strategies, {seeds} seeds; "
        f"{len(missing)} of {len(runs)} runs to do"
    )
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # completed runs are saved on exit
    failures = run_all(missing, source, live_overhead, jobs, results, console)
    reason = results.why_nothing_worked(runs)
    _show_end(console, failures, reason, out, source)
    if failures or reason is not None:
        raise typer.Exit(1)


def source_of(
    suite: str | None, own: Settings, space: Path | None, split: str, out: Path, only: tuple[str, ...] = ()
) -> TaskSource:
    """Where the tasks come from: a suite, or the user's own task or command."""
    if not (own.task or own.command):
        if space is not None or own != Settings(maximize=False):
            raise UserError(
                "--space, --epochs, --train-size, --maximize and --trial-seconds require --task or --command"
            )
        return TaskSource(suite or "quick", split, only)
    if suite is not None or only:
        raise UserError("give a suite or a task of your own, not both")
    settings = json.dumps(new_settings(own, space, []).to_json())
    return TaskSource(YOURS, own=settings, kept=str(out / "trainings"))


def strategies_of(listed: str, opponents: bool) -> list[str]:
    """The names in a comma-separated list, or all our strategies; plus, with ``opponents``, the installed opponents.

    Raises UserError or UnknownStrategy for an unknown name.
    """
    names = list(dict.fromkeys(name.strip() for name in listed.split(","))) if listed else list(STRATEGIES)
    names += [name for name in installed() if name not in names] if opponents else []
    for name in names:
        if name in OPPONENTS:
            opponent_class(name)
        elif name not in VARIANTS:
            check_spec(name)
    return names


def identity(settings: str) -> str:
    """The settings of the user's task and a hash of its file, since runs with different code are not comparable."""
    kept = ("task", "command", "space", "max_epochs", "train_size", "maximize", "trial_seconds")
    content = {name: value for name, value in json.loads(settings).items() if name in kept}
    file = Path((content["task"] or "").rpartition(":")[0])
    code = hashlib.sha256(file.read_bytes()).hexdigest() if file.suffix == ".py" else None
    return json.dumps({**content, "code": code}, indent=1)


def run_all(
    runs: list[Run], source: TaskSource, live_overhead: bool, jobs: int, results: Results, console: Console
) -> list[tuple[Run, str]]:
    """Execute the runs and return those that crashed, with their tracebacks."""
    failures = []
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console) as progress:
        bar = progress.add_task("runs", total=len(runs))
        try:
            saved, pause = time.monotonic(), float(SAVE_SECONDS)
            for run, rows, error in execute_all(runs, source, live_overhead, jobs):
                if error is not None:
                    failures.append((run, error))
                    rows = [crashed(run, source.task(run.task), error.strip().splitlines()[-1])]
                results.add(run, rows)
                progress.advance(bar)
                if time.monotonic() - saved > pause:
                    start = time.monotonic()
                    results.save()
                    saved = time.monotonic()
                    pause = max(SAVE_SECONDS, SAVE_TIMES * (saved - start))
        finally:
            results.save()
    return failures


def _show_end(
    console: Console, failures: list[tuple[Run, str]], reason: str | None, out: Path, source: TaskSource
) -> None:
    """Print what crashed, the next command, and the commonest error if every training failed."""
    for run, error in failures:
        console.print(f"crashed: {run.strategy} on {run.task}, seed {run.seed}\n{error}", markup=False)
    command = "benchmarks.report" if out in COMMITTED else f"benchmarks.report {out} --out {out / 'leaderboard'}"
    if source.suite == "own":
        command = f"benchmarks.experiments.own --runs {out}"
    console.print(f"next: python -m {command}", soft_wrap=True)
    if reason is not None:
        console.print(f"all trainings failed: {reason}", markup=False, soft_wrap=True)


if __name__ == "__main__":
    run_command(main)
