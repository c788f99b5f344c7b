"""The speed of lanes: ``python -m benchmarks.experiments.fused``, results/fused.csv and results/fused-seeds.csv.

Compares single trainings, lanes of one program, and single trainings in parallel processes. Each measurement runs an
epoch, with validation, of every variant in turn, so that other load affects all alike. On a CPU, the seconds of one
core are counted; parallel processes are timed by the clock, so nothing else may run on the machine.

``peak_mb`` is the peak memory, in 10^6 bytes, of processes that only train this way: the resident memory on a CPU,
libraries included, and what torch has reserved on a card.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before numpy

import contextlib
import multiprocessing
import queue
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import numpy as np
import pandas as pd
import torch
import typer

from automl.errors import UserError
from automl.models.device import find_device
from automl.provenance import commit
from automl.runs.settings import default_workers
from automl.study.run_folder import write_atomic
from automl.task import TrainingFailed
from automl.tasks.registry import load_task
from automl.tasks.supervised import Classification
from automl.training.device import warm_up
from automl.training.lanes import next_epochs
from automl.training.network import NetworkTraining
from benchmarks.command import run_command
from benchmarks.experiments import peak_memory
from benchmarks.pages.lanes import ALONE, PAGE, of_models, of_processes, of_seeds
from benchmarks.pages.markdown import put
from strategies.encoding import Encoding

MODELS: dict[str, tuple[str, dict[str, Any]]] = {  # name -> task, and changes to its default
    "cnn": ("mnist1d-cnn", {}),  # 3 layers of 24 channels
    "cnn-8": ("mnist1d-cnn", {"width": 8, "layers": 2, "kernel_size": 3}),
    "mlp-32": ("mnist1d-mlp", {"width": 32, "layers": 2}),
    "mlp-256": ("mnist1d-mlp", {"width": 256, "layers": 2}),
    "transformer": ("mnist1d-transformer", {}),  # 2 blocks of width 32
    "transformer-16": ("mnist1d-transformer", {"width": 16, "layers": 1, "patch": 8}),
    "gru": ("mnist1d-rnn", {}),  # of width 64
    "gru-16": ("mnist1d-rnn", {"width": 16}),
    "image-cnn": ("digits-cnn", {}),  # of images of 8 x 8, 2 layers of 16 and 32 channels
    "image-cnn-8": ("digits-cnn", {"width": 8, "layers": 1}),
}

OF_THE_FIRST = ("sklearn.datasets", "torch._dynamo")  # imported by the first training of a process


def main(
    models: Annotated[str, typer.Option(help=f"Some of {', '.join(MODELS)}.")] = ",".join(MODELS),
    lanes: Annotated[str, typer.Option(help="Numbers of lanes.")] = "1,2,3,4,8,16,32",
    processes: Annotated[str, typer.Option(help="Numbers of processes; none if empty.")] = "2,4,8,16",
    repeats: Annotated[int, typer.Option(min=1, help="Measurements per variant; the median counts.")] = 5,
    seeds: Annotated[int, typer.Option(min=0, help="Seeds for comparing full trainings; 0 for none.")] = 20,
    train_size: Annotated[int | None, typer.Option(help="Number of training examples to use.")] = None,
    device: Annotated[str, typer.Option(help="cpu, cuda or cuda:N.")] = "cpu",
    out: Annotated[Path, typer.Option(help="Table to write, with the results by seed beside it.")] = Path(
        "results/fused.csv"
    ),
    page: Annotated[Path | None, typer.Option(help="Page that shows the table.")] = PAGE,
) -> None:
    """Measure, and write the tables."""
    where = find_device(device)
    warm_up(where)
    counts = [ALONE, *map(int, lanes.split(","))]
    parts = []
    for name in models.split(","):
        parts.append(speeds(name, counts, repeats, train_size, where))
        alone = float(parts[-1]["trainings_an_hour"].iloc[0])
        for n in map(int, filter(None, processes.split(","))):
            parts.append(packed_speed(name, n, repeats, train_size, where, alone))
    table = pd.concat(parts)
    cores = table["processes"].clip(upper=default_workers("cpu")).map(lambda n: f"{n} CPU core{'s' * (n != 1)}")
    table["device"] = torch.cuda.get_device_name(where) if where.type == "cuda" else cores
    table["commit"] = commit()
    write_atomic(out, table.to_csv(index=False))
    put(page, "models", of_models(table))
    put(page, "processes", of_processes(table))
    print(table.drop(columns="commit").to_string(index=False))
    if seeds:
        both = by_seed(seeds, train_size, where)
        write_atomic(out.with_name(f"{out.stem}-seeds.csv"), both.to_csv(index=False))
        put(page, "seeds", of_seeds(both))
        print(both.drop(columns="seed").agg(["mean", "std"]).to_string())


def begun(name: str, seed: int, train_size: int | None, device: torch.device) -> NetworkTraining:
    """A training of a model, before its first epoch."""
    of, changes = MODELS[name]
    task = load_task("mnist1d-cnn" if of == "mnist1d-mlp" else of, train_size=train_size)
    assert isinstance(task, Classification)
    config = Encoding(task.space).default | changes
    training = replace(task, model="mlp" if of == "mnist1d-mlp" else task.model).begin(config, seed, device)
    assert isinstance(training, NetworkTraining)
    return training


def speeds(
    name: str, counts: Sequence[int], repeats: int, train_size: int | None, device: torch.device
) -> pd.DataFrame:
    """A row per number of lanes."""
    trainings = {n: [begun(name, seed, train_size, device) for seed in range(max(1, n))] for n in counts}
    for each in trainings.values():
        advance(each)  # the first epoch allocates memory
    seconds: dict[int, list[float]] = {n: [] for n in counts}
    for _ in range(repeats):
        for n, each in trainings.items():
            seconds[n].append(measured(each, device, alone=n == ALONE) / len(each))
    max_epochs, alone = trainings[ALONE][0].task.max_epochs, float(np.median(seconds[ALONE]))
    rows = []
    for n, values in seconds.items():
        median = float(np.median(values))
        rows.append(
            {
                "model": name,
                "weights": n_weights(trainings[n][0]),
                "lanes": n,
                "processes": 1,
                "trainings_an_hour": round(3600 / (max_epochs * median)),
                "lowest": round(3600 / (max_epochs * max(values))),
                "highest": round(3600 / (max_epochs * min(values))),
                "times_alone": round(alone / median, 2),
                "peak_mb": round(in_processes(name, n, 1, 1, train_size, device)[0].peak / 1e6),
            }
        )
    return pd.DataFrame(rows)


def packed_speed(
    name: str, n: int, repeats: int, train_size: int | None, device: torch.device, alone: float
) -> pd.DataFrame:
    """A row for single trainings in ``n`` processes at a time. ``alone``: trainings per hour of one process."""
    found = in_processes(name, ALONE, n, repeats, train_size, device)
    max_epochs = begun(name, 0, train_size, torch.device("cpu")).task.max_epochs
    hours = (max(each.end for each in found) - min(each.start for each in found)) / 3600
    an_hour = round(n * repeats / max_epochs / hours)
    facts = {"model": name, "weights": found[0].weights, "lanes": ALONE, "processes": n, "trainings_an_hour": an_hour}
    peak_mb = round(sum(each.peak for each in found) / 1e6)
    return pd.DataFrame([{**facts, "times_alone": round(an_hour / alone, 2), "peak_mb": peak_mb}])


class ProcessMeasurements(NamedTuple):
    """The measurements of one of several parallel processes."""

    start: float  # on the clock
    end: float
    weights: int
    peak: int  # bytes of memory


def in_processes(
    name: str, lanes: int, n: int, repeats: int, train_size: int | None, device: torch.device
) -> list[ProcessMeasurements]:
    """Train ``repeats`` epochs of a single training or of several lanes, in each of ``n`` new parallel processes."""
    context = multiprocessing.get_context("forkserver")  # forks a process that has only imported
    context.set_forkserver_preload(["benchmarks.experiments.fused", *OF_THE_FIRST])
    together, results = context.Barrier(n), context.Queue()
    started = [
        context.Process(target=_train, args=(name, lanes, i, repeats, train_size, str(device), together, results))
        for i in range(n)
    ]
    for process in started:
        process.start()
    found = list[ProcessMeasurements]()
    while len(found) < n:
        with contextlib.suppress(queue.Empty):
            found.append(results.get(timeout=1.0))
        if any(process.exitcode for process in started):
            for process in started:
                process.terminate()
            raise UserError(f"one of {n} processes has died; what it wrote says why")
    for process in started:
        process.join()
    return found


def _train(
    name: str, lanes: int, seed: int, repeats: int, train_size: int | None, device: str, together: Any, results: Any
) -> None:
    """The work of one of several parallel processes."""
    where = find_device(device)
    warm_up(where)
    trainings = [begun(name, seed + i, train_size, where) for i in range(max(1, lanes))]
    forget_peak(where)
    epoch(trainings, alone=lanes == ALONE)  # the first one allocates memory
    together.wait()
    start = time.monotonic()
    for _ in range(repeats):
        epoch(trainings, alone=lanes == ALONE)
    results.put(ProcessMeasurements(start, time.monotonic(), n_weights(trainings[0]), peak(where)))


def forget_peak(device: torch.device) -> None:
    """Restart the measurement of this process's peak memory."""
    if device.type == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device)
    else:
        peak_memory.forget_peak()


def peak(device: torch.device) -> int:
    """The peak memory of this process in bytes."""
    if device.type == "cuda":
        return torch.cuda.max_memory_reserved(device)
    return peak_memory.peak()


def n_weights(training: NetworkTraining) -> int:
    """The number of a network's weights."""
    return sum(parameter.numel() for parameter in training.model.module.parameters())


def measured(trainings: Sequence[NetworkTraining], device: torch.device, *, alone: bool) -> float:
    """Seconds of an epoch: CPU time on a CPU, else wall-clock time."""
    clock = time.process_time if device.type == "cpu" else time.perf_counter
    start = clock()
    epoch(trainings, alone=alone)
    return clock() - start


def epoch(trainings: Sequence[NetworkTraining], *, alone: bool) -> None:
    """Train the next epoch of the first training, or of all as lanes."""
    if alone:
        trainings[0].next_epoch()
    else:
        advance(trainings)


def advance(trainings: Sequence[NetworkTraining]) -> list[float]:
    """Train the next epoch; returns the accuracies."""
    accuracies = []
    for epoch in next_epochs(trainings):
        if isinstance(epoch, TrainingFailed):
            raise epoch
        accuracies.append(epoch.metrics["accuracy"])
    return accuracies


def by_seed(n_seeds: int, train_size: int | None, device: torch.device) -> pd.DataFrame:
    """The validation accuracy of the fully trained default, alone and as a lane, for each seed."""
    alone, together = ([begun("cnn", seed, train_size, device) for seed in range(n_seeds)] for _ in range(2))
    for _ in range(alone[0].task.max_epochs):
        accuracies = {
            "alone": [training.next_epoch().metrics["accuracy"] for training in alone],
            "lane": [a for i in range(0, n_seeds, 8) for a in advance(together[i : i + 8])],
        }
    return pd.DataFrame({"seed": range(n_seeds)} | accuracies)


if __name__ == "__main__":
    run_command(main)
