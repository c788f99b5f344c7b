"""Overhead of executors: the extra cost of a training on this machine, on Ray, and over TCP.

``python -m benchmarks.experiments.machines`` measures each with one worker, on this machine, and writes
results/machines.csv, results/machines.md and the table of a page of the documentation.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import pandas as pd
import psutil
import typer

from automl.provenance import commit, versions
from automl.study.run_folder import write_atomic
from automl.tasks.function import as_task
from automl.tuning.executor import Executor
from automl.tuning.jobs import EpochDone, Job, JobEnded
from automl.tuning.process_executor import ProcessExecutor
from automl.tuning.remote import WorkerSettings
from benchmarks.command import run_command
from benchmarks.pages.markdown import grid, put

BLOCK = "machines"  # of the page
LABELS = {"local": "local", "tcp": "TCP", "ray": "Ray, with a cluster of its own"}


def instant(config: dict[str, float], epochs: int = 1) -> Iterator[float]:
    """A training that takes no time."""
    for _ in range(epochs):
        yield 0.0


@contextmanager
def executor_of(kind: str) -> Iterator[Executor]:
    """An executor with one worker."""
    task = as_task(instant, {"x": {"float": [0, 1]}}, max_epochs=1_000_000)
    if kind == "local":
        with ProcessExecutor(task, 1) as local:
            yield local
    elif kind == "ray":
        from automl.tuning.ray_executor import RayExecutor

        with RayExecutor(task, WorkerSettings(), max_workers=1, say=print) as on_ray:
            yield on_ray
    else:
        from automl.tuning.tcp_executor import TcpExecutor

        with (
            tempfile.NamedTemporaryFile("w") as token,
            TcpExecutor(task, WorkerSettings(), listen="127.0.0.1:0", token=b"x" * 32, say=print) as over_tcp,
        ):
            Path(token.name).write_text("x" * 32, encoding="ascii")
            command = [sys.executable, "-m", "automl", "worker", "--workers", "1", "--token-file", token.name]
            process = subprocess.Popen([*command, "--connect", f"127.0.0.1:{over_tcp.port}"], stdout=subprocess.DEVNULL)
            yield over_tcp
            over_tcp.close()
            process.wait()


def seconds_of(executor: Executor, n_jobs: int, n_epochs: int) -> float:
    """Seconds for jobs that take no time, one after the other."""
    start = time.perf_counter()
    for key in range(n_jobs):
        while not executor.n_free:
            executor.wait(1.0)
        executor.submit(Job(key, {"x": 0.5}, 0, n_epochs))
        n_seen, ended = 0, False
        while not ended:
            events = executor.wait(1.0)
            n_seen += sum(isinstance(event, EpochDone) for event in events)
            ended = any(isinstance(event, JobEnded) for event in events)
        assert n_seen == n_epochs
    return time.perf_counter() - start


def megabytes() -> float:
    """The memory of all child processes, without what they share."""
    total = 0
    for process in psutil.Process().children(recursive=True):
        try:
            total += process.memory_full_info().uss
        except psutil.Error:
            continue  # has ended
    return total / 1e6


def main(
    n_jobs: Annotated[int, typer.Option(min=1, help="Number of one-epoch trainings.")] = 200,
    n_epochs: Annotated[int, typer.Option(min=1, help="Epochs of the long training.")] = 5_000,
    out: Annotated[Path, typer.Option(help="Table to write, with one in Markdown beside it.")] = Path(
        "results/machines.csv"
    ),
    page: Annotated[Path | None, typer.Option(help="Page that shows the table.")] = Path("docs/how-to/machines.md"),
) -> None:
    """Measure each kind of executor, and write the tables."""
    rows = []
    for kind in LABELS:
        load, start = os.getloadavg()[0], time.perf_counter()
        with executor_of(kind) as executor:
            seconds_of(executor, 1, 1)
            first = time.perf_counter() - start
            each = seconds_of(executor, n_jobs, 1) / n_jobs
            rate = n_epochs / seconds_of(executor, 1, n_epochs)
            rows.append(
                {
                    "executor": kind, "seconds_to_first": first, "ms_a_training": 1000 * each, "epochs_a_second": rate,
                    "memory_mb": megabytes(), "load_before": load, "cores": os.cpu_count(), "n_jobs": n_jobs,
                    "n_epochs": n_epochs, "commit": commit(), "versions": json.dumps(versions()),
                }
            )  # fmt: skip
    table = pd.DataFrame(rows)
    write_atomic(out, table.to_csv(index=False, float_format="%.5g"))
    lines = shown(table)
    write_atomic(out.with_suffix(".md"), "\n".join(["# Executors", "", *lines]) + "\n")
    put(page, BLOCK, lines)
    typer.echo("\n".join(lines))


def shown(table: pd.DataFrame) -> list[str]:
    """The table in Markdown, with what it was measured on."""
    rows = [
        [
            LABELS[row["executor"]],
            f"{row['seconds_to_first']:.1f} s",
            f"{row['ms_a_training']:.1f} ms",
            f"{row['epochs_a_second']:,.0f}",
            f"{row['memory_mb']:,.0f} MB",
        ]
        for row in table.to_dict("records")
    ]
    head = ["executor", "first training after", "a training", "epochs a second", "memory of all processes"]
    first, loads = table.iloc[0], table["load_before"]
    return [
        f"One worker and trainings that take no time, on a machine with {first['cores']} cores and a load of "
        f"{loads.min():.1f} to {loads.max():.1f};",
        "by `python -m benchmarks.experiments.machines`.",
        "",
        *grid(head, rows),
    ]


if __name__ == "__main__":
    run_command(main)
