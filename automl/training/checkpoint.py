"""Checkpoint files of trainings: tensors, and a JSON record of the training and its progress."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from safetensors import SafetensorError, safe_open

from automl.errors import UserError

if TYPE_CHECKING:
    from torch import Tensor

CHECKPOINT = "checkpoint.safetensors"
FACTS = (
    "task",
    "train_size",
    "config",
    "seed",
    "preprocessing",
)  # fields of the record that never change during a training


class CheckpointError(UserError):
    """The checkpoint is missing, damaged or of another training."""


def write_checkpoint(folder: Path, tensors: Mapping[str, Tensor], record: Mapping[str, Any]) -> None:
    """Replace the folder's checkpoint atomically."""
    from safetensors.torch import save_file  # slow to import, and a search only needs the file's name

    folder.mkdir(parents=True, exist_ok=True)
    aside = folder / f"{CHECKPOINT}.{os.getpid()}"
    # On a GPU the weights of a recurrent layer may be views of one buffer, which safetensors rejects.
    apart = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    save_file(apart, aside, {"training": json.dumps(record)})
    aside.replace(folder / CHECKPOINT)


def read_checkpoint(folder: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The tensors and the record. CheckpointError if they are missing or damaged."""
    path = folder / CHECKPOINT
    try:
        with safe_open(path, "pt") as file:
            record = json.loads(file.metadata()["training"])
            return {name: file.get_tensor(name) for name in file.keys()}, record  # noqa: SIM118
    except FileNotFoundError:
        raise CheckpointError(f"there is no checkpoint in {folder}; train there first") from None
    except (OSError, SafetensorError, KeyError, TypeError, json.JSONDecodeError) as error:
        raise CheckpointError(f"the checkpoint {path} is damaged ({error}); delete it to train from scratch") from error


def check_is_of(record: Mapping[str, Any], own: Mapping[str, Any], folder: Path) -> None:
    """CheckpointError if the record belongs to another training."""
    same = json.loads(json.dumps(own))
    for key in FACTS:
        if record[key] != same[key]:
            raise CheckpointError(
                f"the checkpoint in {folder} belongs to another training: its {key} is {record[key]}, "
                f"expected {same[key]}; use another folder"
            )
