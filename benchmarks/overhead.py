"""What a strategy itself costs: median seconds of one ask and tell after n trials, all strategies side by side.

``python -m benchmarks.overhead`` prints a Markdown table. Eight hyperparameters of all kinds, one thread.
"""

from __future__ import annotations

import os

os.environ["OMP_NUM_THREADS"] = "1"  # before numpy

import itertools
import math
import statistics
import time
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from automl.outputs import write_aside
from automl.space import load_space
from strategies import STRATEGIES, make_strategy
from strategies.base import Config, Outcome, Proposal

SPACE = {
    "lr": {"float": [1e-5, 1e-1], "log": True},
    "weight_decay": {"float": [1e-6, 1e-1], "log": True},
    "dropout": {"float": [0.0, 0.6]},
    "width": {"int": [8, 512], "log": True},
    "layers": {"int": [1, 6]},
    "batch_size": {"ordinal": [16, 32, 64, 128, 256]},
    "norm": {"choice": ["batch", "group", "none"]},
    "optimizer": {"choice": ["sgd", "adamw"]},
}


def loss_of(config: Config, rng: np.random.Generator) -> float:
    """A smooth bowl with some noise: what it looks like hardly changes what a suggestion costs."""
    numbers = [float(value) for value in config.values() if not isinstance(value, str)]
    return sum((math.log10(number + 1e-6) + 3) ** 2 for number in numbers) + 0.05 * float(rng.normal())


def measure(name: str, n_told: int, n_measured: int, n_dimensions: int = 8) -> float:
    """Median seconds of an ask and its tell, with n_told random outcomes known before the first."""
    rng = np.random.default_rng(0)
    names = [f"{name}{i // len(SPACE) or ''}" for i, name in zip(range(n_dimensions), itertools.cycle(SPACE))]
    space = load_space({name: SPACE[name.rstrip("123456789")] for name in names})
    strategy = make_strategy(name, space, seed=0, n_trials=n_told + n_measured)
    draws = make_strategy("random", space, seed=1, n_trials=n_told)
    for i in range(n_told):
        proposal = draws.ask()
        assert proposal is not None
        draws.tell(Outcome(proposal, (0.0,), 0.0))
        elsewhere = Proposal(-1 - i, proposal.config, 1)
        strategy.tell(Outcome(elsewhere, (loss_of(proposal.config, rng),), 0.0))
    seconds = []
    for _ in range(n_measured + 1):
        start = time.perf_counter()
        proposal = strategy.ask()
        assert proposal is not None
        strategy.tell(Outcome(proposal, (loss_of(proposal.config, rng),), 0.0))
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds[1:])  # the first one imports the library


def main(
    observations: Annotated[str, typer.Option(help="Numbers of known trials.")] = "10,50,100,500",
    repeats: Annotated[int, typer.Option(help="Suggestions measured for each.")] = 7,
    csv: Annotated[Path | None, typer.Option(help="Also for 2 and 20 hyperparameters, into this file.")] = None,
) -> None:
    """Print the table for 8 hyperparameters, in milliseconds."""
    counts = [int(count) for count in observations.split(",")]
    print("| strategy | " + " | ".join(f"{count} trials" for count in counts) + " |")
    print("|---|" + "---|" * len(counts))
    rows = []
    for name in STRATEGIES:
        seconds = {
            (d, count): measure(name, count, repeats, d) for d in ((2, 8, 20) if csv else (8,)) for count in counts
        }
        print(
            f"| `{name}` | " + " | ".join(f"{1000 * seconds[8, count]:.1f} ms" for count in counts) + " |", flush=True
        )
        rows += [f"{name},{d},{count},{value:.6f}" for (d, count), value in seconds.items()]
    if csv is not None:
        write_aside(csv, "\n".join(["strategy,n_dimensions,n_trials,seconds", *rows]) + "\n")


if __name__ == "__main__":
    typer.run(main)
