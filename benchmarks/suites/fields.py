"""Live trainings of one built-in task per field, shortened to a few seconds on one core."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from automl.tasks.registry import load_task
from benchmarks.suites.live_task import LiveTask

KEPT = Path("runs/trainings/fields")  # each training is run once and shared by all strategies
TASKS: dict[str, tuple[int | None, dict[str, Any]]] = {  # task: training examples (None: all), other changes
    "digits-cnn": (500, {"max_epochs": 6}),  # image recognition
    "reuters52-cnn": (500, {"max_epochs": 6}),  # text classification
    # sequence to sequence: letters to phones
    "g2p-rnn": (20_000, {"max_epochs": 3, "epoch_size": 2_000, "valid_size": 200, "test_size": 500}),
    # language modelling
    "kjv-transformer": (None, {"max_epochs": 3, "epoch_size": 10_000, "valid_size": 4_000, "test_size": 10_000}),
    "chembl234-mlp": (1_000, {"max_epochs": 10}),  # drug discovery
    "sp500-rnn": (1_000, {"max_epochs": 5}),  # finance
    "vowels-rnn": (None, {"max_epochs": 10}),  # time series
    "letter-mlp": (3_000, {"max_epochs": 10}),  # tables
}


def tasks() -> list[LiveTask]:
    """The eight tasks. Raises UserError if their data are not on this machine."""
    return [
        LiveTask.of("fields", name, replace(load_task(name, train_size=size), **changes), KEPT)
        for name, (size, changes) in TASKS.items()
    ]
