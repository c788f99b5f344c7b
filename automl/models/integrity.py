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

MAX_EXPANSION = 2  # maximum bytes in memory per byte of an archive; those written here are uncompressed


def check_expansion(archive: Path | bytes) -> None:
    """Raise ValueError if a zip archive would unpack to much more than its size, BadZipFile if it is not one."""
    with zipfile.ZipFile(io.BytesIO(archive) if isinstance(archive, bytes) else archive) as content:
        unpacked = sum(part.file_size for part in content.infolist())
    size = len(archive) if isinstance(archive, bytes) else archive.stat().st_size
    if unpacked > MAX_EXPANSION * size:
        raise ValueError(f"the archive of {size:,} bytes would unpack to {unpacked:,}")


def open_arrays(file: Path) -> NpzFile:
    """The arrays of a ``numpy.savez`` file, without objects, read on access."""
    check_expansion(file)
    found: NpzFile = np.load(file, allow_pickle=False)
    return found


def checksums(folder: Path) -> dict[str, str]:
    """The checksums of all files in a folder, by relative path."""
    files = sorted(file for file in folder.rglob("*") if file.is_file())
    return {file.relative_to(folder).as_posix(): _checksum(file) for file in files}


def check_files(folder: Path, known: Mapping[str, str]) -> None:
    """Raise ValueError if a file has changed: LightGBM crashes on some truncated ones. No protection from attacks."""
    for name, checksum in known.items():
        if _checksum(folder / name) != checksum:
            raise ValueError(f"the checksum of {name} is wrong")


def _checksum(file: Path) -> str:
    return f"{zlib.crc32(file.read_bytes()):08x}"
