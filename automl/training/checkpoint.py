"""Checkpoint files of trainings: tensors, and a JSON record of the training and its progress."""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from safetensors import SafetensorError, safe_open

from automl.errors import UserError, writes
from automl.task import CheckpointDamaged

if TYPE_CHECKING:
    from torch import Tensor

CHECKPOINT = "checkpoint.safetensors"
# Fields of the record that never change during a training.
FACTS = ("task", "train_size", "config", "seed", "preprocessing")


class CheckpointError(UserError):
    """The checkpoint is missing or of another training."""


def write_checkpoint(folder: Path, tensors: Mapping[str, Tensor], record: Mapping[str, Any]) -> None:
    """Replace the folder's checkpoint atomically. Blocked if there is no space for it."""
    from safetensors.torch import save_file  # slow to import, and a search only needs the file's name

    aside = folder / f"{CHECKPOINT}.{os.getpid()}"
    # On a GPU the weights of a recurrent layer may be views of one buffer, which safetensors rejects.
    apart = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    text = json.dumps(record)
    with writes(folder / CHECKPOINT):
        folder.mkdir(parents=True, exist_ok=True)
        save_file(apart, aside, {"training": text, "checksum": _checksum(apart, text)})
        aside.replace(folder / CHECKPOINT)


def read_checkpoint(folder: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The tensors and the record. CheckpointError if they are missing, CheckpointDamaged if they cannot be read."""
    path = folder / CHECKPOINT
    try:
        with safe_open(path, "pt") as file:
            facts = file.metadata()
            record = json.loads(facts["training"])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            if facts["checksum"] != _checksum(tensors, facts["training"]):
                raise ValueError("its checksum is wrong")
            return tensors, record
    except FileNotFoundError:
        raise CheckpointError(f"there is no checkpoint in {folder}; train there first") from None
    except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
        raise CheckpointDamaged(
            f"the checkpoint {path} is damaged ({error}); delete it to train from scratch"
        ) from error


def _checksum(tensors: Mapping[str, Tensor], record: str) -> str:
    """Of the bytes of the tensors and the record; finds a flipped bit."""
    import torch

    found = zlib.crc32(record.encode())
    for name in sorted(tensors):
        content = tensors[name].contiguous().reshape(-1).view(torch.uint8)
        found = zlib.crc32(content.numpy().data, zlib.crc32(name.encode(), found))
    return f"{found:08x}"


def check_is_of(record: Mapping[str, Any], own: Mapping[str, Any], folder: Path) -> None:
    """CheckpointError if the record belongs to another training."""
    same = json.loads(json.dumps(own))
    for key in FACTS:
        if record[key] != same[key]:
            raise CheckpointError(
                f"the checkpoint in {folder} belongs to another training: its {key} is {record[key]}, "
                f"expected {same[key]}; use another folder"
            )
