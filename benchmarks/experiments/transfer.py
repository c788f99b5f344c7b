"""The value of past studies for a search: ``python -m benchmarks.experiments.transfer``.

Leave-one-task-out on the development tasks of yahpo: the other tasks, with random configs each, are the past studies.
Two sets of past studies are misleading: one has shuffled losses, and one has negated losses, so that bad looks good.
``results/transfer.csv`` has the mean regrets, their 95% intervals for tasks like these, and the main ratios.
"""

from __future__ import annotations

import os

os.environ["OMP_NUM_THREADS"] = "1"  # before numpy

from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Annotated

import numpy as np
import pandas as pd
import typer

from automl.study.run_folder import write_atomic
from automl.tuning.warm_start import most_configs
from benchmarks.command import run_command
from benchmarks.scoring.statistics import LEVEL, resamples
from benchmarks.suites import load_suite
from benchmarks.suites.base import SimulatedTask
from strategies import make_strategy
from strategies.base import Outcome, Start
from strategies.encoding import Encoding
from strategies.portfolio import PastStudy, portfolio

SEED = 7_000  # for the past studies; not used by the searches
N_KNOWN = 200  # random configs per past study
N_TRIALS = 50
SHOWN = (2, 3, 5, 10, 20, 40, 50)
RATIOS = [
    (("prior", 2), ("random", 40)),
    (("prior", 20), ("none", 20)),
    *(((name, 50), ("none", 50)) for name in ("prior", "shuffled", "reversed")),
]


def main(
    seeds: Annotated[int, typer.Option(min=1, help="Number of seeds, each with new past studies and searches.")] = 10,
    strategy: Annotated[str, typer.Option(help="The strategy that continues after the prior.")] = "bo",
    workers: Annotated[int, typer.Option(min=1, help="Number of processes.")] = 2,
    out: Annotated[Path, typer.Option(help="Table to write.")] = Path("results/transfer.csv"),
) -> None:
    """Search every task with past studies of the others, with misleading ones and with none."""
    tasks = [task for task in load_suite("yahpo") if task.split == "development"]
    with ProcessPoolExecutor(workers) as pool:
        rows = [row for found in pool.map(partial(regrets, tasks, strategy), range(seeds)) for row in found]
    regret = pd.DataFrame(rows).set_index(["suite", "task", "seed"])
    table = pd.concat([means(regret), ratios(regret)], ignore_index=True)
    table = table.assign(strategy=strategy, n_tasks=regret.index.unique("task").size, n_seeds=seeds)
    write_atomic(out, table.to_csv(index=False, float_format="%.4f"))
    print(table.to_string(index=False))


def regrets(tasks: Sequence[SimulatedTask], strategy: str, seed: int) -> list[dict[str, object]]:
    """A row per task: the best normalised regret after each number of trials, by starting point of the search."""
    past = [past_study(task, seed, place) for place, task in enumerate(tasks)]
    bases = {
        "prior": past,
        "shuffled": [shuffled(study, seed, place) for place, study in enumerate(past)],
        "reversed": [replace(study, losses=[-loss for loss in study.losses if loss is not None]) for study in past],
    }
    rows = []
    for place, task in enumerate(tasks):
        searches: dict[str, tuple[str, list[Start]]] = {"none": (strategy, []), "random": ("random", [])}
        for name, studies in bases.items():
            others = studies[:place] + studies[place + 1 :]
            searches[name] = (strategy, portfolio(task.space, others, task.name, most_configs(N_TRIALS)))
        row: dict[str, object] = {"suite": task.suite, "task": task.name, "seed": seed}
        curves: dict[str, np.ndarray] = {}  # with an empty prior, the search equals the one without a prior
        for name, (spec, prior) in searches.items():
            curve = search(task, spec, prior, seed) if prior or spec not in curves else curves[spec]
            curves.setdefault(spec, curve)
            row |= {f"{name} {count}": curve[count - 1] for count in SHOWN} | {f"{name} configs": len(prior)}
        rows.append(row)
    return rows


def past_study(task: SimulatedTask, seed: int, place: int) -> PastStudy:
    """Random configs of a task."""
    encoding, rng = Encoding(task.space), np.random.default_rng((SEED, seed, place))
    configs = [encoding.decode(rng.random(len(encoding.dimensions))) for _ in range(N_KNOWN)]
    return PastStudy(task.name, task.space, configs, [task.worth(config) for config in configs])


def shuffled(study: PastStudy, seed: int, place: int) -> PastStudy:
    """The same configs with shuffled losses."""
    order = np.random.default_rng((SEED, seed, place, 1)).permutation(len(study.losses))
    return replace(study, losses=[study.losses[i] for i in order])


def search(task: SimulatedTask, spec: str, prior: Sequence[Start], seed: int) -> np.ndarray:
    """The lowest normalised regret after each trial, shape (N_TRIALS,)."""
    strategy = make_strategy(spec, task.space, seed=seed, n_trials=N_TRIALS, prior=prior)
    losses = []
    for _ in range(N_TRIALS):
        proposal = strategy.ask()
        assert proposal is not None
        loss = task.worth(proposal.config)
        assert loss is not None
        strategy.tell(Outcome(proposal, (loss,), 0.0))
        losses.append((loss - task.best) / (task.reference - task.best))
    return np.minimum.accumulate(losses)


def means(regret: pd.DataFrame) -> pd.DataFrame:
    """Means over tasks and seeds, with intervals for tasks like these."""
    draws = _weights(regret) @ regret.to_numpy(dtype=float)
    low, high = np.quantile(draws, [LEVEL / 2, 1 - LEVEL / 2], axis=0)
    return pd.DataFrame({"what": regret.columns, "value": regret.mean().to_numpy(), "low": low, "high": high})


def ratios(regret: pd.DataFrame) -> pd.DataFrame:
    """Ratios of two mean regrets on the same tasks and seeds."""
    weights, rows = _weights(regret), []
    for a, b in RATIOS:
        ours, theirs = (regret[f"{name} {count}"].to_numpy(dtype=float) for name, count in (a, b))
        low, high = np.quantile((weights @ ours) / (weights @ theirs), [LEVEL / 2, 1 - LEVEL / 2])
        what = f"{a[0]} {a[1]} / {b[0]} {b[1]}"
        rows.append({"what": what, "value": ours.mean() / theirs.mean(), "low": low, "high": high})
    return pd.DataFrame(rows)


def _weights(regret: pd.DataFrame) -> np.ndarray:
    tasks = regret.reset_index()[["suite", "task"]].drop_duplicates()
    units = pd.Series(tasks["task"].to_numpy(), index=pd.MultiIndex.from_frame(tasks))
    return resamples(regret.index, units=units)


if __name__ == "__main__":
    run_command(main)
