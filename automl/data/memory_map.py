"""Prepared data in a folder: one file per array, memory-mapped by all processes."""

import json
from pathlib import Path

import numpy as np

from automl.data.inputs import inputs_from_json, inputs_to_json
from automl.data.splits import Splits
from automl.data.targets import target_from_json

ARRAYS = ("x_train", "y_train", "x_valid", "y_valid", "x_test", "y_test")
RULES = "rules.json"  # written last: a folder that has it is complete


def write_prepared(splits: Splits, folder: Path) -> None:
    """Write the arrays and their metadata."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in ARRAYS:
        np.save(folder / f"{name}.npy", getattr(splits, name))
    rules = {**inputs_to_json(splits.inputs), **splits.target.to_json()}
    (folder / RULES).write_text(json.dumps(rules) + "\n", encoding="utf-8")


def read_prepared(folder: Path) -> Splits:
    """Read what write_prepared wrote. The arrays are memory-mapped, shared by all processes."""
    # "c" (copy-on-write): torch wants writable arrays; nothing is written to them.
    arrays = {name: np.load(folder / f"{name}.npy", mmap_mode="c") for name in ARRAYS}
    rules = json.loads((folder / RULES).read_text(encoding="utf-8"))
    return Splits(**arrays, inputs=inputs_from_json(rules), target=target_from_json(rules))
