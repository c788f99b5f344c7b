"""What padding would save: ``python -m benchmarks.experiments.padding``, results/padding.csv.

Lanes of different widths and kernel sizes could share a program if all were padded with zeros to one size. A program of
padded lanes would take at least as long as one whose networks have that size, which is measured here. Seconds are those
of one core.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before numpy

from collections.abc import Callable, Hashable, Sequence
from pathlib import Path
from typing import Annotated, cast

import pandas as pd
import torch
import typer
from ConfigSpace import OrdinalHyperparameter

from automl.models.device import find_device
from automl.provenance import commit
from automl.study.run_folder import write_atomic
from automl.tasks.supervised import Supervised
from automl.training.device import warm_up
from automl.training.lanes import lane_key
from automl.training.network import NetworkTraining
from automl.tuning.packs import MAX_LANES
from benchmarks.command import run_command
from benchmarks.experiments.fused import measured
from benchmarks.experiments.lane_search import task_of
from benchmarks.pages.lanes import PAGE, of_padding
from benchmarks.pages.markdown import put
from strategies import make_strategy
from strategies.types import Config

CPU = torch.device("cpu")
TASKS = ("mnist1d-cnn", "mnist1d-mlp")
SIZES = ("width", "kernel_size")
PADDINGS: dict[str, Callable[[int, Sequence[int]], int]] = {  # the size that a value is padded to, given all values
    "none": lambda value, values: value,
    # Kernel sizes are odd: 3 and 7 instead of 4 and 8.
    "a power of two": lambda value, values: 2 ** value.bit_length() - 1 if value % 2 else 2 ** (value - 1).bit_length(),
    "the largest": lambda value, values: max(values),
}


def main(
    tasks: Annotated[str, typer.Option(help=f"Some of {', '.join(TASKS)}.")] = ",".join(TASKS),
    configs: Annotated[int, typer.Option(min=1, help="Number of random configurations.")] = 200,
    packs: Annotated[int, typer.Option(min=1, help="How many of them are also trained as packs of one shape.")] = 40,
    train_size: Annotated[int, typer.Option(help="Number of training examples to use.")] = 1600,
    out: Annotated[Path, typer.Option(help="Table to write.")] = Path("results/padding.csv"),
    page: Annotated[Path | None, typer.Option(help="Page that shows the table.")] = PAGE,
) -> None:
    """Measure, and write a row per task, population and padding."""
    warm_up(find_device("cpu"))
    rows = []
    for name in tasks.split(","):
        task = task_of(name, train_size)
        assert isinstance(task, Supervised)
        drawn = at_random(task, configs)
        populations = {
            f"{MAX_LANES} at a time": [drawn[i : i + MAX_LANES] for i in range(0, configs, MAX_LANES)],
            "all at once": [drawn],
            "packs of one shape": [[config] * MAX_LANES for config in drawn[:packs]],
        }
        timer = Timer(task)
        alone = {what: sum(timer.alone(c) for part in parts for c in part) for what, parts in populations.items()}
        for what, parts in populations.items():
            for how in PADDINGS:
                programs = [program for part in parts for program in timer.programs(part, how)]
                seconds, n = sum(map(timer.together, programs)), sum(map(len, parts))
                rows.append(
                    {
                        "task": name,
                        "population": what,
                        "padded_to": how,
                        "trainings": n,
                        "lanes": round(n / len(programs), 2),
                        "seconds": round(seconds * task.max_epochs / n, 3),
                        "times_alone": round(alone[what] / seconds, 2),
                        "commit": commit(),
                    }
                )
    table = pd.DataFrame(rows)
    write_atomic(out, table.to_csv(index=False))
    put(page, "padding", of_padding(table))
    print(table.drop(columns="commit").to_string(index=False))


def at_random(task: Supervised, n: int) -> list[Config]:
    """Configs of the task's space, the same in each run."""
    searcher = make_strategy("random", task.space, seed=0, max_epochs=task.max_epochs)
    proposals = [searcher.ask() for _ in range(n)]
    return [proposal.config for proposal in proposals if proposal is not None]


class Timer:
    """Measures epochs, each program once."""

    def __init__(self, task: Supervised) -> None:
        self.task, self._known = task, dict[str, float]()
        self._sizes = {
            name: cast(OrdinalHyperparameter, task.space[name]).sequence for name in SIZES if name in task.space
        }

    def padded(self, config: Config, how: str) -> Config:
        """The config with the size that its lane would have.

        Lanes with group normalisation keep their width, since it averages over channels.
        """
        names = [name for name in self._sizes if not (name == "width" and config["norm"] == "group")]
        return config | {name: PADDINGS[how](int(config[name]), self._sizes[name]) for name in names}

    def programs(self, configs: Sequence[Config], how: str) -> list[list[Config]]:
        """The padded configs, grouped into programs that they can share."""
        groups = dict[Hashable, list[Config]]()
        for i, config in enumerate(configs):
            padded = self.padded(config, how)
            key = lane_key(self.task, padded)
            groups.setdefault(("alone", i) if key is None else key, []).append(config if key is None else padded)
        return [
            group[start : start + MAX_LANES] for group in groups.values() for start in range(0, len(group), MAX_LANES)
        ]

    def alone(self, config: Config) -> float:
        """Seconds of an epoch without a program."""
        return self._measured([config], alone=True)

    def together(self, program: Sequence[Config]) -> float:
        """Seconds of an epoch of all lanes."""
        return self._measured(program, alone=lane_key(self.task, program[0]) is None)

    def _measured(self, configs: Sequence[Config], *, alone: bool) -> float:
        name = repr((alone, configs))
        if name not in self._known:
            trainings = [self._begun(config, seed) for seed, config in enumerate(configs)]
            self._known[name] = measured(trainings, CPU, alone=alone)
        return self._known[name]

    def _begun(self, config: Config, seed: int) -> NetworkTraining:
        # A training that diverges would end its epoch early.
        training = self.task.begin(config | {"lr": 1e-3}, seed, CPU)
        assert isinstance(training, NetworkTraining)
        return training


if __name__ == "__main__":
    run_command(main)
