"""The file of a training that may go on: its tensors, and as JSON what it is and how far it is."""

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
FACTS = ("task", "train_size", "config", "seed", "preprocessing")  # those of a training that never change


class CheckpointError(UserError):
    """A checkpoint that is missing, damaged or of another training."""


def write_checkpoint(folder: Path, tensors: Mapping[str, Tensor], record: Mapping[str, Any]) -> None:
    """Replaces the folder's checkpoint in one step."""
    from safetensors.torch import save_file  # takes seconds, and a search asks for no more than the file's name

    folder.mkdir(parents=True, exist_ok=True)
    aside = folder / f"{CHECKPOINT}.{os.getpid()}"
    # On a GPU the weights of a recurrent layer may be views of one buffer; safetensors wants each on its own.
    apart = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    save_file(apart, aside, {"training": json.dumps(record)})
    aside.replace(folder / CHECKPOINT)


def read_checkpoint(folder: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The tensors and the record. CheckpointError where they are missing or damaged."""
    path = folder / CHECKPOINT
    try:
        with safe_open(path, "pt") as file:
            record = json.loads(file.metadata()["training"])
            return {name: file.get_tensor(name) for name in file.keys()}, record  # noqa: SIM118
    except FileNotFoundError:
        raise CheckpointError(f"there is no checkpoint in {folder}; train there first") from None
    except (OSError, SafetensorError, KeyError, TypeError, json.JSONDecodeError) as error:
        raise CheckpointError(f"the checkpoint {path} is damaged ({error}); delete it to train anew") from error


def check_is_of(record: Mapping[str, Any], own: Mapping[str, Any], folder: Path) -> None:
    """CheckpointError where the record is not of the same training as our own."""
    same = json.loads(json.dumps(own))
    for key in FACTS:
        if record[key] != same[key]:
            raise CheckpointError(
                f"the checkpoint in {folder} is of another training: its {key} is {record[key]}, "
                f"wanted {same[key]}; use another folder"
            )
