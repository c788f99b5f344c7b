"""The value of a belief about where the optimum lies: ``python -m benchmarks.experiments.beliefs``.

On the development tasks of yahpo, ``bo`` searches with no belief, with one around the best of 200 random configs, and
with a misleading one around the worst of them; ``sure: 0.5`` for every number and choice. The default config is the
same for all. ``results/beliefs.csv`` has the mean regrets and their 95% intervals for tasks like these.
"""

from __future__ import annotations

import os

os.environ["OMP_NUM_THREADS"] = "1"  # before numpy

from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import pandas as pd
import typer

from automl.space.edit import space_to_dict
from automl.space.parse import load_space
from automl.study.run_folder import write_atomic
from benchmarks.command import run_command
from benchmarks.experiments.transfer import N_TRIALS, means, past_study, search
from benchmarks.suites import load_suite
from benchmarks.suites.base import SimulatedTask
from strategies import make_strategy

SHOWN = (5, 10, 20, 50)
SURE = 0.5


def main(
    seeds: Annotated[int, typer.Option(min=1, help="Number of seeds, each with new beliefs and searches.")] = 5,
    workers: Annotated[int, typer.Option(min=1, help="Number of processes.")] = 2,
    out: Annotated[Path, typer.Option(help="Table to write.")] = Path("results/beliefs.csv"),
) -> None:
    """Search every task without a belief, with a good one and with a misleading one."""
    tasks = [task for task in load_suite("yahpo") if task.split == "development"]
    with ProcessPoolExecutor(workers) as pool:
        rows = [row for found in pool.map(partial(regrets, tasks), range(seeds)) for row in found]
    regret = pd.DataFrame(rows).set_index(["suite", "task", "seed"])
    table = means(regret).assign(strategy="bo", n_tasks=regret.index.unique("task").size, n_seeds=seeds)
    write_atomic(out, table.to_csv(index=False, float_format="%.4f"))
    print(table.to_string(index=False))


def regrets(tasks: Sequence[SimulatedTask], seed: int) -> list[dict[str, object]]:
    """A row per task: the best normalised regret after each number of trials, by belief."""
    rows = []
    for place, task in enumerate(tasks):
        known = past_study(task, seed, place)
        ranked = sorted(zip(known.losses, known.configs, strict=True), key=lambda pair: pair[0] or 0.0)
        row: dict[str, object] = {"suite": task.suite, "task": task.name, "seed": seed}
        for name, around in (("none", None), ("good", ranked[0][1]), ("misleading", ranked[-1][1])):
            believed = task if around is None else believing(task, around)
            curve = search(believed, make_strategy("bo", believed.space, seed=seed, n_trials=N_TRIALS))
            row |= {f"{name} {count}": curve[count - 1] for count in SHOWN}
        rows.append(row)
    return rows


def believing(task: SimulatedTask, around: Mapping[str, Any]) -> SimulatedTask:
    """The task with a belief around a config."""
    form = space_to_dict(task.space)
    for name, value in around.items():
        if form[name].keys() & {"float", "int", "choice"} and "step" not in form[name]:
            form[name]["prior"] = {"around": value, "sure": SURE}
    return replace(task, space=load_space(form))


if __name__ == "__main__":
    run_command(main)
