"""The files of a cross-validated training, with checksums: its record, predictions and fitted models."""

from __future__ import annotations

import json
import os
import shutil
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from automl.errors import writes
from automl.models.integrity import check_files, checksums
from automl.models.learners.base import Learner
from automl.study.run_folder import write_atomic
from automl.task import CheckpointDamaged

PREDICTIONS, OUT_OF_BAG, RECORD = "predictions.npy", "out_of_bag.npy", "record.json"
MODEL, CHECKSUMS = "model", "checksums.json"  # the folder of a model fitted to all rows; in it and those of folds


def model_places(folder: Path, kind: type[Learner], n_folds: int) -> list[Path]:
    """The folders of a complete training's models, fitted or not: one per fold if the family is bagged and any of them
    exists, else the one for all rows."""
    if kind.is_bagged and n_folds > 1 and any(place.name[5:].isdigit() for place in folder.glob("fold-*")):
        return [folder / f"fold-{fold}" for fold in range(n_folds)]
    return [folder / MODEL]


def scored_place(folder: Path) -> Path:
    """The folder of the model scored on the validation set, if that is the only fold and models are kept."""
    return folder / "fold-0"


def places_to_fit(folder: Path, kind: type[Learner], n_folds: int) -> dict[Path, str]:
    """Those of ``model_places`` whose model is missing or damaged, with the reason."""
    found = {}
    for place in model_places(folder, kind, n_folds):
        try:
            check_model(place)
        except CheckpointDamaged as error:
            found[place] = str(error)
    return found


def write_model(learner: Learner, place: Path) -> None:
    """Write a fitted model to a folder, replacing it. Blocked if there is no space for it."""
    aside = place.with_name(f"{place.name}.{os.getpid()}")
    with writes(place):
        aside.mkdir(parents=True)
        learner.save(aside)
        (aside / CHECKSUMS).write_text(json.dumps(checksums(aside)) + "\n", encoding="utf-8")
        shutil.rmtree(place, ignore_errors=True)
        aside.rename(place)


def check_model(place: Path) -> None:
    """Raise CheckpointDamaged, naming the file, if the model in a folder is missing or damaged."""
    if not place.is_dir():
        raise CheckpointDamaged(f"{place} is missing")
    try:
        check_files(place, json.loads((place / CHECKSUMS).read_text(encoding="utf-8")))
    except FileNotFoundError as error:
        raise CheckpointDamaged(f"{error.filename} is missing") from error
    except Exception as error:  # of JSON with any content
        raise CheckpointDamaged(f"{place} is damaged ({' '.join(str(error).split())})") from error


def write_training(folder: Path, arrays: Mapping[str, NDArray[Any]], record: Mapping[str, Any]) -> None:
    """Write the arrays, then the record with their checksums. Blocked if there is no space for them."""
    with writes(folder):
        for name, array in arrays.items():
            aside = folder / f"{name}.{os.getpid()}"
            with aside.open("wb") as file:
                np.save(file, array)
            aside.replace(folder / name)
        write_atomic(folder / RECORD, json.dumps({**record, "checksum": checksum(json.dumps(record).encode())}))


def read_record(folder: Path) -> dict[str, Any]:
    """The record of the training in a folder: config, seed, and the losses, rounds and seconds by fold.

    CheckpointDamaged if it cannot be read.
    """
    with reading(folder):
        content: dict[str, Any] = json.loads((folder / RECORD).read_text(encoding="utf-8"))
        if content.pop("checksum") != checksum(json.dumps(content).encode()):
            raise ValueError(f"the checksum of {RECORD} is wrong")
    return content


def read_predictions(folder: Path, rows: NDArray[np.bool_] | None = None) -> NDArray[np.float32]:
    """The out-of-fold predictions of the training in a folder, (n,) or (n, n_classes).

    ``rows``: mask (n,) of the rows to check: those of finished folds. CheckpointDamaged if unreadable or changed.
    """
    with reading(folder):
        found: NDArray[np.float32] = np.load(folder / PREDICTIONS, allow_pickle=False)
        if rows is not None:
            check_array(read_record(folder), PREDICTIONS, found[rows])
    return found


@contextmanager
def reading(folder: Path) -> Iterator[None]:
    """Raise CheckpointDamaged if what is read within the context is missing, truncated or changed."""
    try:
        yield
    except CheckpointDamaged:
        raise
    except Exception as error:  # of JSON and of arrays with any content
        reason = " ".join(str(error).split()) or type(error).__name__
        raise CheckpointDamaged(f"the checkpoint in {folder} is damaged ({reason})") from error


def check_array(record: Mapping[str, Any], name: str, array: NDArray[Any]) -> None:
    """Raise ValueError if an array does not match the record's checksum."""
    if record["checksums"][name] != checksum(array):
        raise ValueError(f"the checksum of {name} is wrong")


def checksum(content: NDArray[Any] | bytes) -> str:
    """The CRC-32 of an array or bytes, which detects a flipped bit."""
    return f"{zlib.crc32(content if isinstance(content, bytes) else np.ascontiguousarray(content).tobytes()):08x}"
