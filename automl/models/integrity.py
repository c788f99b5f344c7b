"""Checks of a model's files, which may come from anywhere, before they are read."""

from __future__ import annotations

import io
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.lib.npyio import NpzFile

MAX_EXPANSION = 2  # bytes in memory for each byte of an archive: what is written here is not compressed


def check_expansion(archive: Path | bytes) -> None:
    """ValueError if a zip archive would unpack to much more than its size; BadZipFile if it is none."""
    with zipfile.ZipFile(io.BytesIO(archive) if isinstance(archive, bytes) else archive) as content:
        unpacked = sum(part.file_size for part in content.infolist())
    size = len(archive) if isinstance(archive, bytes) else archive.stat().st_size
    if unpacked > MAX_EXPANSION * size:
        raise ValueError(f"the archive of {size:,} bytes would unpack to {unpacked:,}")


def open_arrays(file: Path) -> NpzFile:
    """The arrays of a file of ``numpy.savez``, without objects, read when they are asked for."""
    check_expansion(file)
    found: NpzFile = np.load(file, allow_pickle=False)
    return found


def checksums(folder: Path) -> dict[str, str]:
    """Of all files in a folder, by their relative paths."""
    files = sorted(file for file in folder.rglob("*") if file.is_file())
    return {file.relative_to(folder).as_posix(): _checksum(file) for file in files}


def check_files(folder: Path, known: Mapping[str, str]) -> None:
    """ValueError if a file has changed: LightGBM crashes on some that are cut. Does not help against attacks."""
    for name, checksum in known.items():
        if _checksum(folder / name) != checksum:
            raise ValueError(f"the checksum of {name} is wrong")


def _checksum(file: Path) -> str:
    return f"{zlib.crc32(file.read_bytes()):08x}"
