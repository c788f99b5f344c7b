"""What lanes save: ``python -m benchmarks.experiments.fused``, results/fused.csv and results/fused-seeds.csv.

Trainings on MNIST-1D alone, and as lanes of one program. Each measurement is an epoch, validation included, of all ways
in turn, so that other load on the machine meets all alike. On a CPU it is the seconds of one core that are counted.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before numpy

import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pandas as pd
import torch
import typer

from automl.models.device import find_device
from automl.provenance import commit
from automl.study.run_folder import write_atomic
from automl.task import TrainingFailed
from automl.tasks.registry import load_task
from automl.tasks.supervised import Classification
from automl.training.device import warm_up
from automl.training.lanes import next_epochs
from automl.training.network import NetworkTraining
from benchmarks.command import run_command
from strategies.encoding import Encoding

ALONE = 0  # the number of lanes of a training without a program
MODELS: dict[str, dict[str, Any]] = {
    "cnn": {},  # the default of mnist1d-cnn: 3 layers of 24 channels
    "cnn-8": {"width": 8, "layers": 2, "kernel_size": 3},
    "mlp-32": {"width": 32, "layers": 2},
    "mlp-256": {"width": 256, "layers": 2},
}


def main(
    models: Annotated[str, typer.Option(help=f"Of {', '.join(MODELS)}.")] = ",".join(MODELS),
    lanes: Annotated[str, typer.Option(help="Numbers of lanes.")] = "1,2,3,4,8,16,32",
    repeats: Annotated[int, typer.Option(min=1, help="Measurements of each way, of which the median counts.")] = 5,
    seeds: Annotated[int, typer.Option(min=0, help="Seeds of the whole trainings that are compared; 0 for none.")] = 20,
    train_size: Annotated[int | None, typer.Option(help="Number of training examples to use.")] = None,
    device: Annotated[str, typer.Option(help="cpu, cuda or cuda:N.")] = "cpu",
    out: Annotated[Path, typer.Option(help="Table to write, with one of the seeds beside it.")] = Path(
        "results/fused.csv"
    ),
) -> None:
    """Measure, and write the tables."""
    where = find_device(device)
    warm_up(where)
    counts = [ALONE, *map(int, lanes.split(","))]
    table = pd.concat([speeds(name, counts, repeats, train_size, where) for name in models.split(",")])
    table["device"] = torch.cuda.get_device_name(where) if where.type == "cuda" else "one CPU core"
    table["commit"] = commit()
    write_atomic(out, table.to_csv(index=False))
    print(table.drop(columns="commit").to_string(index=False))
    if seeds:
        both = by_seed(seeds, train_size, where)
        write_atomic(out.with_name(f"{out.stem}-seeds.csv"), both.to_csv(index=False))
        print(both.drop(columns="seed").agg(["mean", "std"]).to_string())


def begun(name: str, seed: int, train_size: int | None, device: torch.device) -> NetworkTraining:
    """A training of a model, before its first epoch."""
    task = load_task("mnist1d-cnn", train_size=train_size)
    assert isinstance(task, Classification)
    config = Encoding(task.space).default | MODELS[name]
    family = name.partition("-")[0]
    training = replace(task, model=family).begin(config, seed, device)
    assert isinstance(training, NetworkTraining)
    return training


def speeds(
    name: str, counts: Sequence[int], repeats: int, train_size: int | None, device: torch.device
) -> pd.DataFrame:
    """A row per number of lanes."""
    trainings = {n: [begun(name, seed, train_size, device) for seed in range(max(1, n))] for n in counts}
    for each in trainings.values():
        advance(each)  # a first epoch allocates
    seconds: dict[int, list[float]] = {n: [] for n in counts}
    for _ in range(repeats):
        for n, each in trainings.items():
            seconds[n].append(measured(each, device, alone=n == ALONE) / len(each))
    max_epochs, alone = trainings[ALONE][0].task.max_epochs, float(np.median(seconds[ALONE]))
    rows = []
    for n, values in seconds.items():
        median = float(np.median(values))
        each = trainings[n]
        rows.append(
            {
                "model": name,
                "weights": sum(parameter.numel() for parameter in each[0].model.module.parameters()),
                "lanes": n,
                "trainings_an_hour": round(3600 / (max_epochs * median)),
                "lowest": round(3600 / (max_epochs * max(values))),
                "highest": round(3600 / (max_epochs * min(values))),
                "times_alone": round(alone / median, 2),
            }
        )
    return pd.DataFrame(rows)


def measured(trainings: Sequence[NetworkTraining], device: torch.device, *, alone: bool) -> float:
    """Seconds of an epoch: of the processor on a CPU, else of the clock."""
    clock = time.process_time if device.type == "cpu" else time.perf_counter
    start = clock()
    if alone:
        trainings[0].next_epoch()
    else:
        advance(trainings)
    return clock() - start


def advance(trainings: Sequence[NetworkTraining]) -> list[float]:
    """The accuracies of the next epoch."""
    accuracies = []
    for epoch in next_epochs(trainings):
        if isinstance(epoch, TrainingFailed):
            raise epoch
        accuracies.append(epoch.metrics["accuracy"])
    return accuracies


def by_seed(n_seeds: int, train_size: int | None, device: torch.device) -> pd.DataFrame:
    """The validation accuracy of the default, fully trained, alone and as a lane, for each seed."""
    alone, together = ([begun("cnn", seed, train_size, device) for seed in range(n_seeds)] for _ in range(2))
    for _ in range(alone[0].task.max_epochs):
        accuracies = {
            "alone": [training.next_epoch().metrics["accuracy"] for training in alone],
            "lane": [a for i in range(0, n_seeds, 8) for a in advance(together[i : i + 8])],
        }
    return pd.DataFrame({"seed": range(n_seeds)} | accuracies)


if __name__ == "__main__":
    run_command(main)
