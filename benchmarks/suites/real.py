"""Live trainings of the built-in tasks on images and signals, cut down to about a second on one core."""

from __future__ import annotations

from pathlib import Path

from benchmarks.suites.live_task import LiveTask
from benchmarks.suites.shortened import SMALL_BATCHES, Shortened

KEPT = Path("runs/trainings/real")  # each training is run once and shared by all strategies
SMALL = {"batch_size": SMALL_BATCHES}
TASKS = {
    "mnist1d-cnn": Shortened(18, 1_000),
    "mnist1d-rnn": Shortened(10, 600, space=SMALL),
    "mnist1d-transformer": Shortened(10, 600, space=SMALL),
    "fashion-cnn": Shortened(10, 600, 500, 2_000, {**SMALL, "width": {"ordinal": [8, 12, 16], "default": 16}}),
    "fashion-rnn": Shortened(10, 600, 500, 2_000, {**SMALL, "width": {"ordinal": [32, 48, 64], "default": 64}}),
    "fashion-transformer": Shortened(
        10, 600, 500, 2_000,
        {**SMALL, "patch": {"ordinal": [7, 14], "default": 7}, "width": {"ordinal": [16, 24, 32], "default": 32}},
    ),
}  # fmt: skip


def tasks() -> list[LiveTask]:
    """The six tasks. Raises UserError if the images of Fashion-MNIST are not on this machine."""
    return [shortened.of("real", name, KEPT) for name, shortened in TASKS.items()]
