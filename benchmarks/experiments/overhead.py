"""Overhead of strategies and opponents: seconds of one ask and tell after n trials.

``python -m benchmarks.experiments.overhead`` prints a Markdown table. Eight hyperparameters of all kinds, one thread.
"""

from __future__ import annotations

import os

os.environ["OMP_NUM_THREADS"] = "1"  # before numpy

import itertools
import math
import statistics
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import numpy as np
import typer

from automl.space.parse import load_space
from automl.study.run_folder import write_atomic
from benchmarks.command import run_command
from benchmarks.opponents import OPPONENTS, installed, make, opponent_class
from strategies import STRATEGIES, make_strategy, strategy_class
from strategies.base import Outcome, Proposal, Strategy
from strategies.types import Config

if TYPE_CHECKING:
    from ConfigSpace import ConfigurationSpace

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
SLOW = {
    "raw-ax",
    "raw-optuna-gp",
    "raw-skopt",
    "raw-smac",
    "raw-smac-hyperband",
    "raw-syne-tune",
}  # hundreds of trials take minutes
MAX_OBSERVATIONS = 100  # for the slow ones
NEED_EPOCHS = {"raw-dehb", "raw-neps", "raw-neps-hyperband"}  # without epochs these fail or are other methods
MAX_EPOCHS = 27  # for these; the others are measured with trainings of one epoch
N_AVERAGED = 8  # suggestions to average for an opponent: SMAC refits at every eighth
COLUMNS = "strategy,n_dimensions,n_trials,seconds"


def loss_of(config: Config, rng: np.random.Generator) -> float:
    """A smooth bowl with some noise; the cost of a suggestion hardly depends on the function."""
    numbers = [float(value) for value in config.values() if not isinstance(value, str)]
    return sum((math.log10(number + 1e-6) + 3) ** 2 for number in numbers) + 0.05 * float(rng.normal())


def space_of(n_dimensions: int) -> ConfigurationSpace:
    """The first ``n_dimensions`` hyperparameters of SPACE, repeated if necessary."""
    forms = {
        f"{name}{i // len(SPACE) or ''}": SPACE[name] for i, name in zip(range(n_dimensions), itertools.cycle(SPACE))
    }
    return load_space(forms)


def prepared(name: str, n_told: int, n_dimensions: int = 8) -> Strategy:
    """A strategy that was told ``n_told`` random outcomes."""
    rng = np.random.default_rng(0)
    space = space_of(n_dimensions)
    strategy = make_strategy(name, space, seed=0)
    draws = make_strategy("random", space, seed=1)
    for i in range(n_told):
        proposal = draws.ask()
        assert proposal is not None
        draws.tell(Outcome(proposal, (0.0,), 0.0))
        elsewhere = Proposal(-1 - i, proposal.config, 1)
        strategy.tell(Outcome(elsewhere, (loss_of(proposal.config, rng),), 0.0))
    return strategy


def measure(name: str, n_told: int, n_measured: int, n_dimensions: int = 8) -> float:
    """Median seconds of an ask and its tell after ``n_told`` random outcomes."""
    strategy, rng = prepared(name, n_told, n_dimensions), np.random.default_rng(0)
    seconds = [seconds_of_step(strategy, rng) for _ in range(n_measured + 1)]
    return statistics.median(seconds[1:])  # the first one imports the library


def measure_opponent(name: str, counts: list[int], n_dimensions: int = 8) -> dict[int, float]:
    """Mean seconds of an ask and its tell after each number of trials.

    An opponent learns only from its own proposals, so it is run for that many trials.
    """
    rng = np.random.default_rng(0)
    counts = [count for count in counts if name not in SLOW or count <= MAX_OBSERVATIONS]
    n_trials = max(counts, default=0) + N_AVERAGED
    max_epochs = MAX_EPOCHS if name in NEED_EPOCHS else 1
    opponent = make(name, space_of(n_dimensions), seed=0, n_trials=n_trials, max_epochs=max_epochs)
    seconds = [seconds_of_step(opponent, rng) for _ in range(n_trials)]
    return {count: statistics.mean(seconds[count : count + N_AVERAGED]) for count in counts}


def seconds_of_step(strategy: Strategy, rng: np.random.Generator) -> float:
    """CPU seconds of an ask and its tell, to be independent of other load on the machine."""
    start = time.process_time()
    proposal = strategy.ask()
    assert proposal is not None
    strategy.tell(Outcome(proposal, (loss_of(proposal.config, rng),), 0.0))
    return time.process_time() - start


def main(
    strategy: Annotated[str, typer.Option("--strategies", help="Names, separated by commas.", show_default="all")] = "",
    observations: Annotated[str, typer.Option(help="Numbers of observed trials.")] = "10,50,100,500",
    repeats: Annotated[int, typer.Option(help="Suggestions to time for each number.")] = 7,
    csv: Annotated[
        Path | None, typer.Option(help="Also measure 2 and 20 hyperparameters, and update the rows in this file.")
    ] = None,
) -> None:
    """Print the table for 8 hyperparameters, in milliseconds."""
    counts = [int(count) for count in observations.split(",")]
    names = strategy.split(",") if strategy else [*STRATEGIES, *installed()]
    for name in names:
        opponent_class(name) if name in OPPONENTS else strategy_class(name)
    print("| strategy | " + " | ".join(f"{count} trials" for count in counts) + " |")
    print("|---|" + "---|" * len(counts))
    rows = []
    for name in names:
        seconds: dict[tuple[int, int], float] = {}
        for d in (2, 8, 20) if csv else (8,):
            if name in OPPONENTS:
                found = measure_opponent(name, counts, d)
            else:
                found = {count: measure(name, count, repeats, d) for count in counts}
            seconds |= {(d, count): value for count, value in found.items()}
        cells = [f"{1000 * seconds[8, count]:.1f} ms" if (8, count) in seconds else "-" for count in counts]
        print(f"| `{name}` | " + " | ".join(cells) + " |", flush=True)
        rows += [f"{name},{d},{count},{value:.6f}" for (d, count), value in seconds.items()]
    if csv is not None:
        old = csv.read_text(encoding="utf-8").splitlines()[1:] if csv.exists() else []
        kept = [row for row in old if row.split(",")[0] not in names]
        write_atomic(csv, "\n".join([COLUMNS, *kept, *rows]) + "\n")


if __name__ == "__main__":
    run_command(main)
