"""Whether lanes speed up a search: ``python -m benchmarks.experiments.lane_search``, results/lane_search.csv.

Searches on real tasks with two workers and a time limit, with and without lanes. The trainings are run one after the
other and their processor seconds are measured; the two workers and the time limit are simulated, so that other load on
the machine does not count. Regret over time is compared: 0 is the lowest loss found by any of the searches on the task,
1 that of the default.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before numpy

import heapq
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pandas as pd
import typer

from automl.provenance import commit
from automl.space.parse import load_space
from automl.study.run_folder import TrialFolders, write_atomic
from automl.study.study import Study
from automl.study.trial import TellEntry
from automl.task import Task, fidelity_of
from automl.tasks.registry import load_task
from automl.tasks.training_space import training_space
from automl.tuning.executor import Executor
from automl.tuning.jobs import EpochDone, Event, Job, JobEnded, LaneEnded
from automl.tuning.tuner import Tuner
from automl.tuning.worker import run_job
from benchmarks.command import run_command
from benchmarks.pages.lanes import PAGE, of_searches
from benchmarks.pages.markdown import put
from strategies import make_strategy

RECORDED = ("mnist1d-cnn", "mnist1d-rnn", "mnist1d-transformer")
TASKS = (*RECORDED, "mnist1d-mlp")
N_WORKERS = 2
N_TIMES = 50  # when the regret of a search is read, evenly spaced up to the limit
MLP = training_space(sgd=True, lr={"float": [3e-4, 3e-1], "log": True, "default": 3e-3}) | {
    "width": {"ordinal": [16, 32, 64, 128], "default": 64},
    "layers": {"int": [1, 4], "default": 2},
    "norm": {"choice": ["batch", "none"], "default": "none"},
}


def main(
    tasks: Annotated[str, typer.Option(help=f"Some of {', '.join(TASKS)}.")] = ",".join(TASKS),
    strategies: Annotated[str, typer.Option(help="Search strategies.")] = "bo,auto",
    lanes: Annotated[str, typer.Option(help="Numbers of lanes.")] = "1,4,8",
    seeds: Annotated[int, typer.Option(min=1, help="Seeds per kind of search.")] = 5,
    seconds: Annotated[float, typer.Option(min=1, help="Time limit per search.")] = 40.0,
    train_size: Annotated[int, typer.Option(help="Number of training examples to use.")] = 1600,
    out: Annotated[Path, typer.Option(help="Table to write.")] = Path("results/lane_search.csv"),
    page: Annotated[Path | None, typer.Option(help="Page that shows the table.")] = PAGE,
) -> None:
    """Search, and write the table after each seed."""
    curves: list[dict[str, Any]] = []
    for seed in range(seeds):
        for name in tasks.split(","):
            task = task_of(name, train_size)
            for strategy in strategies.split(","):
                for n in map(int, lanes.split(",")):
                    found = search(task, strategy, n, seed, seconds)
                    curves += [{"task": name, "strategy": strategy, "lanes": n, "seed": seed, **row} for row in found]
        table = regrets(pd.DataFrame(curves), seconds)
        table["commit"] = commit()
        write_atomic(out, table.to_csv(index=False))
        put(page, "searches", of_searches(table))
        columns = ["regret_over_time", "regret_at_the_end", "trainings"]
        print(table.groupby(["task", "strategy", "lanes"])[columns].mean().round(4).to_string(), flush=True)


def task_of(name: str, train_size: int) -> Task:
    """A task by its name; the MLP is not a built-in one."""
    task = load_task("mnist1d-cnn" if name == "mnist1d-mlp" else name, train_size=train_size)
    return replace(task, name=name, model="mlp", space=load_space(MLP)) if name == "mnist1d-mlp" else task


def search(task: Task, strategy: str, lanes: int, seed: int, seconds: float) -> list[dict[str, Any]]:
    """A row per outcome: its time, the loss if it is a full training, and the epochs trained."""
    searcher = make_strategy(
        strategy, task.space, seed=seed, max_epochs=task.max_epochs, fidelity=fidelity_of(task),
        seconds=seconds * N_WORKERS,
    )  # fmt: skip
    study = Study(task.space, task.max_epochs)
    getattr(task, "prepare", lambda: None)()
    with tempfile.TemporaryDirectory() as folder, Simulated(task, N_WORKERS) as executor:
        tuner = Tuner(
            task, searcher, study, executor,
            n_trials=None, seed=seed, device="cpu", lanes=lanes, folders=TrialFolders(Path(folder)), time_limit=seconds,
        )  # fmt: skip
        tuner.run()
    tells = [entry for entry in study.log if isinstance(entry, TellEntry)]
    return [
        {
            "at": entry.at,
            "loss": entry.outcome.loss if entry.outcome.proposal.epochs == task.max_epochs else None,
            "is_default": entry.outcome.proposal.info.get("from") == "default",
            "epochs": len(entry.outcome.losses) / task.max_epochs,
        }
        for entry in tells
    ]


def regrets(curves: pd.DataFrame, seconds: float) -> pd.DataFrame:
    """A row per search: its mean regret over time, its regret at the end, and its epochs in full trainings."""
    times, rows = np.linspace(0, seconds, N_TIMES + 1)[1:], []
    best: dict[Any, float] = curves.groupby("task")["loss"].min().to_dict()
    default: dict[Any, float] = curves[curves["is_default"]].groupby("task")["loss"].mean().to_dict()
    for (task, strategy, lanes, seed), run in curves.groupby(["task", "strategy", "lanes", "seed"]):
        lowest = np.array([run.loc[run["at"] <= at, "loss"].min() for at in times])
        scaled = (lowest - best[task]) / (default[task] - best[task])
        regret = np.minimum(np.nan_to_num(scaled, nan=1.0), 1.0)  # without a search, there is the default
        rows.append(
            {
                "task": task,
                "strategy": strategy,
                "lanes": lanes,
                "seed": seed,
                "regret_over_time": round(float(regret.mean()), 4),
                "regret_at_the_end": round(float(regret[-1]), 4),
                "trainings": round(float(run["epochs"].sum()), 1),
            }
        )
    return pd.DataFrame(rows)


@dataclass(order=True)
class _PendingEvent:
    at: float
    place: int  # breaks ties in time: the event found first comes first
    event: Event


class Simulated(Executor):
    """Workers whose jobs take their measured processor seconds. They run when they are submitted, one at a time."""

    def __init__(self, task: Task, n_workers: int) -> None:
        self._n_workers, self._task, self._now = n_workers, task, 0.0
        self._coming: list[_PendingEvent] = []
        self._running = set[int]()
        self._n_events = 0

    @property
    def n_workers(self) -> int:
        return self._n_workers

    @property
    def n_free(self) -> int:
        return self._n_workers - len(self._running)

    def submit(self, job: Job) -> None:
        self._running.add(job.key)
        began, start = time.perf_counter(), time.process_time()
        for event in run_job(self._task, job):
            used = time.process_time() - start
            if isinstance(event, EpochDone):
                share = min(1.0, used / (time.perf_counter() - began))  # of the core's time
                event = replace(event, epoch=replace(event.epoch, seconds=event.epoch.seconds * share))
            heapq.heappush(self._coming, _PendingEvent(self._now + used, self._n_events, event))
            self._n_events += 1

    def wait(self, timeout: float | None = None) -> list[Event]:
        if not self._coming:
            return []
        coming = heapq.heappop(self._coming)
        self._now = max(self._now, coming.at)
        if isinstance(coming.event, JobEnded):
            self._running.discard(coming.event.key)
        return [coming.event]

    def stop(self, key: int) -> None:
        """Undo what the training did after this."""
        lane = [c for c in self._coming if isinstance(c.event, LaneEnded) and c.event.lane == key]
        assert not lane, "a lane's neighbours would have been faster without it"
        self._coming = [c for c in self._coming if c.event.key != key]
        heapq.heapify(self._coming)
        heapq.heappush(self._coming, _PendingEvent(self._now, self._n_events, JobEnded(key, 0.0)))

    def now(self) -> float:
        return self._now

    def cancel(self) -> None:
        self._coming, self._running = [], set()

    def close(self) -> None:
        self.cancel()


if __name__ == "__main__":
    run_command(main)
