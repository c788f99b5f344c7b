"""The cost of the search with many workers: ``python -m benchmarks.experiments.many_workers``.

Every strategy searches with simulated trainings under the real tuner and a virtual clock, in a separate process.
Writes results/many-workers.csv, results/many-workers.md and, with ``--page``, the table of a page of the documentation.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before numpy

import json
import multiprocessing
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pandas as pd
import psutil
import typer

from automl.errors import UserError
from automl.provenance import commit, versions
from automl.space.parse import load_space
from automl.study.run_folder import write_atomic
from automl.study.study import Study
from automl.study.trial import TellEntry
from automl.tuning.jobs import Job
from automl.tuning.tuner import Tuner
from benchmarks.command import run_command
from benchmarks.experiments.overhead import SPACE
from benchmarks.pages.markdown import grid, put
from benchmarks.runner.replay import ReplayExecutor
from benchmarks.suites.base import Curve, SimulatedTask
from strategies import check_spec, make_strategy
from strategies._ladder import ETA, rungs
from strategies._wrapper import Delegate
from strategies.base import Outcome, Proposal, Strategy

BLOCK = "many-workers"  # of the page
MAX_EPOCHS = 27  # of trainings with rungs
NOISE = 0.02  # standard deviation of a loss between epochs; the losses of random configurations spread over about 1
RUNS = (  # strategy, workers, trainings
    ("random", 1000, 100_000),
    ("random+asha", 1000, 100_000),
    ("ga", 1000, 10_000),
    ("auto", 1000, 100_000),
    ("bo", 1000, 1_400),
)


@dataclass(frozen=True)
class Bowl(SimulatedTask):
    """A loss that is a smooth function of the configuration and decreases with every epoch.

    From each rung to the next, a training takes ``seconds``, plus or minus a fifth.
    """

    seconds: float = 30.0

    def curve(self, config: Mapping[str, Any], seed: int, epochs: int) -> Curve:
        rng = np.random.default_rng(seed)
        levels = rungs(self.max_epochs)
        lengths = np.diff([0, *levels])
        each = np.repeat(self.seconds / lengths, lengths) * rng.uniform(0.8, 1.2)
        progress = 1.0 - 0.5 * np.arange(1, self.max_epochs + 1) / self.max_epochs
        losses = self.final_loss(config) + progress + NOISE * rng.normal(size=self.max_epochs)
        return Curve(losses[:epochs], each[:epochs])

    def final_loss(self, config: Mapping[str, Any]) -> float:
        lr, decay = np.log10(float(config["lr"])), np.log10(float(config["weight_decay"]))
        bad = {"batch": 0.0, "group": 0.1, "none": 0.3}[str(config["norm"])] + 0.1 * (config["optimizer"] == "sgd")
        shape = np.log2(float(config["width"]) / 128.0) ** 2 / 40.0 + abs(int(config["layers"]) - 4) / 20.0
        return float(bad + shape + (lr + 2.5) ** 2 / 8.0 + (decay + 3.5) ** 2 / 30.0 + float(config["dropout"]) ** 2)


class Measured(Delegate):
    """Charges the strategy with its CPU seconds, so that other load on the machine does not count."""

    def __init__(self, inner: Strategy) -> None:
        super().__init__(inner)
        self.seconds: list[float] = []  # of each ask and tell

    def ask(self) -> Proposal | None:
        start = time.process_time()
        proposal = super().ask()
        self.seconds.append(time.process_time() - start)
        return proposal

    def tell(self, outcome: Outcome) -> None:
        start = time.process_time()
        super().tell(outcome)
        self.seconds.append(time.process_time() - start)

    def charge(self, seconds: float, n_workers: int) -> None:
        super().charge(self.seconds[-1], n_workers)


class Workers(ReplayExecutor):
    """Simulated workers that wait for the strategy's CPU seconds, and the CPU seconds at which they get jobs."""

    def __init__(self, task: Bowl, n_workers: int, strategy: Measured) -> None:
        super().__init__(task, n_workers)
        self._strategy = strategy
        self.marks: list[float] = []  # processor seconds of the process at each submitted job

    def submit(self, job: Job) -> None:
        self.marks.append(time.process_time())
        super().submit(job)

    def charge(self, seconds: float) -> None:
        super().charge(self._strategy.seconds[-1])


def measured(name: str, n_workers: int, n_trainings: int, seconds: float, seed: int) -> dict[str, Any]:
    """A row of the table."""
    max_epochs = MAX_EPOCHS if "+" in name else 1
    task = Bowl("many-workers", "bowl", "development", load_space(SPACE), max_epochs, seconds=seconds)
    n_trials = max(1, round(n_trainings * share_of_a_training(rungs(max_epochs))))
    strategy = Measured(make_strategy(name, task.space, seed=seed, n_trials=n_trials, max_epochs=max_epochs))
    executor, study = Workers(task, n_workers, strategy), Study(task.space, max_epochs)
    before = psutil.Process().memory_info().rss
    tuner = Tuner(task, strategy, study, executor, n_trials=n_trials, seed=seed)
    tuner.run()
    memory = psutil.Process().memory_info().rss - before
    tells = [entry for entry in study.log if isinstance(entry, TellEntry)]
    marks = np.array(executor.marks)
    a_tenth = len(marks) // 10
    each = np.diff(marks[::a_tenth]) / a_tenth  # CPU seconds per training, in each tenth
    assert study.best is not None
    return {
        "strategy": name,
        "workers": n_workers,
        "trainings": len(tells),
        "configurations": len(study.trials),
        "seconds": seconds,
        "ms_second_tenth": 1000 * each[1],  # the first one includes imports
        "ms_last_tenth": 1000 * each[-1],
        "trainings_a_second": 1 / each[-1],
        "enough_for_workers": seconds / each[-1],
        "busy": sum(entry.outcome.seconds for entry in tells) / (n_workers * tuner.seconds),
        "memory_mb": memory / 2**20,
        "loss": task.final_loss(study.best.config),
        "findings": "; ".join(strategy.findings),
        "seed": seed,
        "commit": commit(),
        "versions": json.dumps(versions()),
    }


def share_of_a_training(levels: Sequence[int]) -> float:
    """The mean length of a training from rung to rung, as a share of a full one, if a third of them is promoted."""
    shares = ETA ** -np.arange(len(levels), dtype=float)
    return float((shares * np.diff([0, *levels])).sum() / shares.sum() / levels[-1])


def main(
    runs: Annotated[
        str, typer.Option(help="STRATEGY:WORKERS:TRAININGS, separated by commas.", show_default="those of the table")
    ] = "",
    seconds: Annotated[float, typer.Option(help="Simulated seconds per training.")] = 30.0,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the searches and trainings.")] = 0,
    out: Annotated[Path, typer.Option(help="Table to update, with one in Markdown beside it.")] = Path(
        "results/many-workers.csv"
    ),
    page: Annotated[Path | None, typer.Option(help="Page that shows the table.")] = Path("docs/how-to/many-workers.md"),
) -> None:
    """Measure each run, one after the other; update its row, and write the tables."""
    for name, n_workers, n_trainings in _asked(runs) if runs else RUNS:
        # A separate process, since used memory is seldom given back.
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(1, mp_context=context) as pool:
            row = pool.submit(measured, name, n_workers, n_trainings, seconds, seed).result()
        table = pd.DataFrame([row])
        if out.exists():
            known = pd.read_csv(out)
            same = (known["strategy"] == name) & (known["workers"] == n_workers) & (known["seconds"] == seconds)
            table = pd.concat([known[~same], table])
        write_atomic(out, table.to_csv(index=False, float_format="%.5g"))
        lines = shown(table)
        write_atomic(out.with_suffix(".md"), "\n".join(["# Many workers", "", *lines]) + "\n")
        put(page, BLOCK, lines)
        print(json.dumps(row))


def _asked(runs: str) -> list[tuple[str, int, int]]:
    found = []
    for run in runs.split(","):
        name, *numbers = run.split(":")
        if len(numbers) != 2 or not all(number.isdigit() and int(number) for number in numbers):
            raise UserError(f"--runs needs STRATEGY:WORKERS:TRAININGS, such as auto:1000:20000; got {run!r}")
        check_spec(name)
        found.append((name, int(numbers[0]), int(numbers[1])))
    return found


def shown(table: pd.DataFrame) -> list[str]:
    """The table in Markdown, and what its columns mean."""
    rows = [
        [
            f"`{row['strategy']}`",
            f"{row['workers']:,}",
            f"{row['trainings']:,}",
            f"{row['ms_second_tenth']:.1f} ms",
            f"{row['ms_last_tenth']:.1f} ms",
            f"{row['trainings_a_second']:,.0f}",
            f"{row['enough_for_workers']:,.0f}",
            f"{100 * row['busy']:.0f}%",
            f"{row['memory_mb']:,.0f} MB",
            f"{row['loss']:.4f}",
        ]
        for row in table.to_dict("records")
    ]
    head = [
        "strategy", "workers", "trainings", "early", "late", "a second", "enough for", "busy", "memory",
        "loss of the best",
    ]  # fmt: skip
    found = table[table["findings"].notna() & (table["findings"] != "")]
    notes = [
        f"- `{row['strategy']}`, {row['workers']:,} workers: {row['findings']}." for row in found.to_dict("records")
    ]
    return [
        f"Trainings of {table['seconds'].iloc[0]:g} simulated seconds of 8 hyperparameters; by",
        "`python -m benchmarks.experiments.many_workers` on one core.",
        "",
        *grid(head, rows),
        *(["", "Messages at the end of a run:", "", *notes] if notes else []),
    ]


if __name__ == "__main__":
    run_command(main)
