"""Live trainings of the built-in tasks, on a subset of the data so that a training takes about a second."""

from __future__ import annotations

from pathlib import Path

from automl.task import vary
from automl.tasks.registry import load_task
from benchmarks.suites.live_task import LiveTask

KEPT = Path("runs/trainings/real")  # each training is run once and shared by all strategies
TASKS = {  # task: training examples, epochs
    "mnist1d-cnn": (1_000, 10),
    "mnist1d-rnn": (1_000, 6),
    "mnist1d-transformer": (1_000, 6),
    "fashion-cnn": (1_000, 4),
    "fashion-transformer": (1_000, 4),
}


def tasks() -> list[LiveTask]:
    """The five tasks. Raises UserError if the images of Fashion-MNIST are not on this machine."""
    return [
        LiveTask.of("real", name, vary(load_task(name, train_size=n_examples), max_epochs=epochs), KEPT)
        for name, (n_examples, epochs) in TASKS.items()
    ]
