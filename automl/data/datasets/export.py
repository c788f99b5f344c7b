"""Export of a data set as ordinary files: tables, texts, pairs, molecules, a series, sequences, images.

The known examples (training and validation set) and the new ones (test set) are separate files, for trying the whole
workflow from a file to predictions.
"""

from __future__ import annotations

import csv
import tempfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from automl.data.datasets.files import files_of
from automl.data.datasets.registry import load_data, load_parts
from automl.data.examples import Examples, Parts
from automl.errors import UserError

KNOWN, NEW = "known", "new"


@dataclass(frozen=True)
class ExportFormat:
    """How a data set is written, and its options for ``python -m automl.run --data``."""

    write: Callable[[str, ExportFormat, Path, int | None], tuple[Path, Path]]
    options: str = ""
    columns: tuple[str, ...] = ()


def export(name: str, out: Path, size: int | None = None) -> tuple[Path, Path, str]:
    """Write the files of known and new examples to the new folder ``out``; returns both and the column options.

    ``size``: number of known examples, from all classes; None: all. UserError if the data set cannot be exported or
    ``out`` exists.
    """
    if name not in FORMATS:
        raise UserError(f"{name!r} cannot be exported; choose one of: {', '.join(FORMATS)}")
    if out.exists():
        raise UserError(f"{str(out)!r} already exists; give a new folder")
    form = FORMATS[name]
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f"{out.name}-", dir=out.parent) as aside:
        written = form.write(name, form, Path(aside) / out.name, size)
        (Path(aside) / out.name).rename(out)
    known, new = (out / file.name for file in written)
    return known, new, form.options


def export_whole(name: str, folder: Path) -> dict[str, Any]:
    """Write known and new examples as one data set, with the new ones as its test set.

    ``folder``: new or empty. Returns the fields of the request to read them, see ``automl.data.ingest.request``.
    UserError if the data set cannot be exported.
    """
    known, new, options = export(name, folder / "files")
    words = options.split()
    fields: dict[str, Any] = {option[2:]: value for option, value in zip(words[::2], words[1::2], strict=True)}
    if known.is_dir():
        whole = folder / name
        for part, place in (("train", known), ("test", new)):
            (whole / part).parent.mkdir(exist_ok=True)
            place.rename(whole / part)
        return {"data": str(whole)}
    if known.suffix == ".ts":  # the reader finds the other file
        return {"data": str(known)}
    whole = folder / f"{name}.csv"
    with whole.open("wb") as file, new.open("rb") as rest:
        file.write(known.read_bytes())
        rest.readline()  # the header
        file.write(rest.read())
    with new.open(newline="", encoding="utf-8") as text:
        n_test = sum(1 for _ in csv.reader(text)) - 1
    if "horizon" in fields:
        fields["horizon"] = int(fields["horizon"])
    return {"data": str(whole), "n_test": n_test, **fields}


def write_pictures(folder: Path, pixels: NDArray[Any], labels: NDArray[Any]) -> list[Path]:
    """Write one PNG per image, in one folder per class; ``pixels``: (n, 1, height, width), 0 to 255."""
    from PIL import Image

    files = []
    for number, (picture, label) in enumerate(zip(pixels, labels, strict=True)):
        file = folder / str(label) / f"{number}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture[0].astype(np.uint8)).save(file)
        files.append(file)
    return files


def _pictures(name: str, form: ExportFormat, folder: Path, size: int | None) -> tuple[Path, Path]:
    splits = load_data(name, size)
    scale = 255.0 / splits.x_train.max()  # digits range up to 16
    pixels, labels = splits.x_train, splits.y_train
    if size is None:
        pixels, labels = np.concatenate([pixels, splits.x_valid]), np.concatenate([labels, splits.y_valid])
    write_pictures(folder / KNOWN, scale * pixels, labels)
    write_pictures(folder / NEW, scale * splits.x_test, splits.y_test)
    return folder / KNOWN, folder / NEW


def _rows(name: str, form: ExportFormat, folder: Path, size: int | None) -> tuple[Path, Path]:
    given: Parts[Examples[Any, Any]] = load_parts(name, size)
    known = given.train
    if size is None:
        known = Examples(known.x + given.valid.x, known.y + given.valid.y)
    files = folder / f"{KNOWN}.csv", folder / f"{NEW}.csv"
    for file, part in zip(files, (known, given.test), strict=True):
        rows = ((*(x if isinstance(x, tuple) else (x,)), _first(y)) for x, y in zip(part.x, part.y, strict=True))
        _write_csv(file, form.columns, rows)
    return files


def _first(y: Any) -> Any:
    """The first (most common) of several references."""
    return y[0] if isinstance(y, tuple) else y


def _series(name: str, form: ExportFormat, folder: Path, size: int | None) -> tuple[Path, Path]:
    import pandas as pd

    if size is not None:
        raise UserError("a time series cannot be subsampled; leave --size out")
    from automl.data.datasets.sp500 import log_range

    given: Parts[pd.DataFrame] = load_parts(name, None)
    files = folder / f"{KNOWN}.csv", folder / f"{NEW}.csv"
    folder.mkdir()
    for file, days in zip(files, (pd.concat([given.train, given.valid]), given.test), strict=True):
        days.assign(Range=log_range(days)).to_csv(file)
    return files


def _sequences(name: str, form: ExportFormat, folder: Path, size: int | None) -> tuple[Path, Path]:
    if size is not None:
        raise UserError("sequences are exported in full; leave --size out")
    files = files_of(name)
    folder.mkdir()
    known, new = (folder / Path(file.place).name for file in files.files)  # _TRAIN.ts, _TEST.ts
    for file, given in zip((known, new), files.files, strict=True):
        file.write_bytes(files.read(given.place))
    return known, new


def _signals(name: str, form: ExportFormat, folder: Path, size: int | None) -> tuple[Path, Path]:
    splits = load_data(name, size)
    x, y = splits.x_train, splits.y_train
    if size is None:
        x, y = np.concatenate([x, splits.x_valid]), np.concatenate([y, splits.y_valid])
    files = folder / f"{name}_TRAIN.ts", folder / f"{name}_TEST.ts"
    folder.mkdir()
    for file, signals, labels in zip(files, (x, splits.x_test), (y, splits.y_test), strict=True):
        lines = (
            ":".join([*(",".join(f"{value:.6g}" for value in channel) for channel in signal), splits.classes[label]])
            for signal, label in zip(signals, labels, strict=True)
        )
        file.write_text("\n".join(["@classLabel true " + " ".join(splits.classes), "@data", *lines, ""]))
    return files


def _write_csv(file: Path, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("w", newline="", encoding="utf-8") as opened:
        writer = csv.writer(opened)
        writer.writerow(columns)
        writer.writerows(rows)


MEASURES = tuple(f"measure_{i}" for i in range(1, 17))
FORMATS = {
    "mnist1d": ExportFormat(_signals),
    "digits": ExportFormat(_pictures),
    "fashion-mnist": ExportFormat(_pictures),
    "newsgroups": ExportFormat(_rows, "--text text --target group", ("text", "group")),
    "reuters52": ExportFormat(_rows, "--text text --target topic", ("text", "topic")),
    "bible": ExportFormat(_rows, "--source english --into spanish", ("english", "spanish")),
    "cmudict": ExportFormat(_rows, "--source word --into phones", ("word", "phones")),
    "chembl234": ExportFormat(_rows, "--smiles smiles --target affinity", ("smiles", "affinity")),
    "sp500": ExportFormat(_series, "--time Date --target Range --horizon 1"),
    "osuleaf": ExportFormat(_sequences),
    "vowels": ExportFormat(_sequences),
    "letter": ExportFormat(_rows, "--target letter", (*MEASURES, "letter")),
}
