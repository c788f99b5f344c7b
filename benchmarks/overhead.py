"""What a strategy itself costs: median seconds of one ask and tell after n trials, all strategies side by side.

``python -m benchmarks.overhead`` prints a Markdown table. Eight hyperparameters of all kinds, one thread.
"""

from __future__ import annotations

import os

os.environ["OMP_NUM_THREADS"] = "1"  # before numpy

import math
import statistics
import time
from typing import Annotated

import numpy as np
import typer

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
    lr, dropout = float(config["lr"]), float(config["dropout"])
    return (
        (math.log10(lr) + 3) ** 2
        + (dropout - 0.2) ** 2
        + 0.3 * (config["norm"] != "batch")
        + 0.05 * float(rng.normal())
    )


def measure(name: str, n_told: int, n_measured: int) -> float:
    """Median seconds of an ask and its tell, with n_told random outcomes known before the first."""
    rng = np.random.default_rng(0)
    space = load_space(SPACE)
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
) -> None:
    """Print the table, in milliseconds."""
    counts = [int(count) for count in observations.split(",")]
    print("| strategy | " + " | ".join(f"{count} trials" for count in counts) + " |")
    print("|---|" + "---|" * len(counts))
    for name in STRATEGIES:
        cells = [f"{1000 * measure(name, count, repeats):.1f} ms" for count in counts]
        print(f"| `{name}` | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    typer.run(main)
