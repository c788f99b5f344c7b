"""Prepared data in a folder: one file per array, memory-mapped by all processes. Texts are read into memory."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from zipfile import BadZipFile  # raised for a file of arrays that begins like an archive

import numpy as np

from automl.data.inputs import Array, inputs_from_json, inputs_to_json, text_array
from automl.data.splits import Splits
from automl.data.targets import target_from_json
from automl.errors import Blocked, UserError

ARRAYS = ("x_train", "y_train", "x_valid", "y_valid", "x_test", "y_test")
RULES = "rules.json"  # written last: a folder that has it is complete
ENDS = ".ends.npy"  # where each text ends in the UTF-8 bytes of all


def write_prepared(splits: Splits, folder: Path) -> None:
    """Write the arrays and their metadata."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in ARRAYS:
        array = getattr(splits, name)
        if array.dtype.kind == "T":
            encoded = [text.encode() for text in array]
            np.save(folder / f"{name}{ENDS}", np.cumsum([len(each) for each in encoded], dtype=np.int64))
            array = np.frombuffer(b"".join(encoded), np.uint8)
        np.save(folder / f"{name}.npy", array)
    rules = {**inputs_to_json(splits.inputs), **splits.target.to_json()}
    (folder / RULES).write_text(json.dumps(rules) + "\n", encoding="utf-8")


def read_prepared(folder: Path) -> Splits:
    """Read what write_prepared wrote. The arrays are memory-mapped, shared by all processes.

    Blocked, naming the file, if one is missing or damaged.
    """
    arrays = {name: _read(folder, name) for name in ARRAYS}
    with reading(folder / RULES) as file:
        rules = json.loads(file.read_text(encoding="utf-8"))
        splits = Splits(**arrays, inputs=inputs_from_json(rules), target=target_from_json(rules))
    for part in ("train", "valid", "test"):
        with reading(folder / f"y_{part}.npy"):
            if len(arrays[f"y_{part}"]) != len(arrays[f"x_{part}"]):
                raise ValueError("it has another number of rows than the examples")
    return splits


def read_array(file: Path, **how: Any) -> Array:
    """An array of the prepared data. Blocked if it is missing or damaged. ``how``: as in ``numpy.load``."""
    with reading(file):
        array: Array = np.load(file, allow_pickle=False, **how)
        return array


@contextmanager
def reading(file: Path) -> Iterator[Path]:
    """Raise Blocked, naming the file of prepared data, if what is read of it within the context is unusable."""
    try:
        yield file
    except FileNotFoundError:
        raise Blocked(f"{str(file)!r} is missing; copy it back, or start a new run") from None
    except UserError:
        raise
    except (EOFError, ValueError, LookupError, TypeError, AttributeError, RecursionError, BadZipFile) as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise Blocked(f"{str(file)!r} is damaged ({reason}); copy it back, or start a new run") from error


def _read(folder: Path, name: str) -> Array:
    # "c" (copy-on-write): torch wants writable arrays; nothing is written to them.
    array = read_array(folder / f"{name}.npy", mmap_mode="c")
    if not (folder / f"{name}{ENDS}").exists():
        return array
    ends, content = read_array(folder / f"{name}{ENDS}").tolist(), array.tobytes()
    starts = [0, *ends][:-1]
    with reading(folder / f"{name}.npy"):
        return text_array([content[start:end].decode() for start, end in zip(starts, ends, strict=True)])
