"""Live trainings of built-in tasks of every field, cut down to 10 or 18 epochs of a second or two on one core."""

from __future__ import annotations

from pathlib import Path

from benchmarks.suites.live_task import LiveTask
from benchmarks.suites.shortened import SMALL_BATCHES, Shortened

KEPT = Path("runs/trainings/networks")  # each training is run once and shared by all strategies
SMALL = {"batch_size": SMALL_BATCHES}
TASKS = {
    # signals
    "mnist1d-cnn": Shortened(18, 1_000),
    "mnist1d-rnn": Shortened(10, 600, space=SMALL),
    "mnist1d-transformer": Shortened(10, 600, space=SMALL),
    # image recognition
    "digits-cnn": Shortened(18, 600),
    "fashion-cnn": Shortened(10, 600, 500, 2_000, {**SMALL, "width": {"ordinal": [8, 12, 16], "default": 16}}),
    "fashion-rnn": Shortened(10, 600, 500, 2_000, {**SMALL, "width": {"ordinal": [32, 48, 64], "default": 64}}),
    "fashion-transformer": Shortened(
        10, 600, 500, 2_000,
        {**SMALL, "patch": {"ordinal": [7, 14], "default": 7}, "width": {"ordinal": [16, 24, 32], "default": 32}},
    ),
    "reuters52-cnn": Shortened(  # text classification
        10, 600, 300, 1_000,
        {
            **SMALL,
            "length": {"ordinal": [32, 64], "default": 64},
            "embedding": {"ordinal": [32, 64], "default": 64},
            "width": {"ordinal": [32, 64, 96], "default": 96},
        },
    ),
    "g2p-rnn": Shortened(  # sequence to sequence: letters to phones
        10, 20_000,
        space={**SMALL, "width": {"ordinal": [32, 64], "default": 64}},
        changes={"epoch_size": 800, "valid_size": 100, "test_size": 300},
    ),
    "kjv-transformer": Shortened(  # language modelling
        10,
        space={
            "batch_size": {"ordinal": [4, 8, 16], "default": 8},
            "context": {"ordinal": [32, 64], "default": 64},
            "width": {"ordinal": [32, 64], "default": 64},
            "layers": {"int": [1, 3], "default": 2},
        },
        changes={"epoch_size": 6_000, "valid_size": 3_000, "test_size": 10_000},
    ),
    "chembl234-mlp": Shortened(18, 1_000),  # drug discovery
    "sp500-rnn": Shortened(10, 600, 250, space={**SMALL, "width": {"ordinal": [8, 16, 32], "default": 16}}),  # finance
    "sp500-transformer": Shortened(
        10, 1_000, 250,
        space={
            **SMALL,
            "patch": {"ordinal": [2, 3, 6, 11], "default": 3},
            "width": {"ordinal": [16, 32], "default": 32},
        },
    ),
    "vowels-rnn": Shortened(10),  # time series
    "osuleaf-cnn": Shortened(18),
    "letter-mlp": Shortened(18, 2_000),  # tables
}  # fmt: skip


def tasks() -> list[LiveTask]:
    """The sixteen tasks. Raises UserError if their data are not on this machine."""
    return [shortened.of("networks", name, KEPT) for name, shortened in TASKS.items()]
