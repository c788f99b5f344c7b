"""Tables in files of R, read without R and without running code."""

from __future__ import annotations

import bz2
import lzma
import struct
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from automl.errors import UserError, install_command

if TYPE_CHECKING:
    from pandas import DataFrame


def read_rda(file: Path, name: str) -> DataFrame:
    """The data frame of this name in an R data file."""
    rdata = _rdata(file)
    found: DataFrame = rdata.read_rda(file, constructor_dict=_classes(rdata))[name]
    return found


def read_object(index: Path, database: Path, name: str) -> DataFrame:
    """The data frame of this name in a lazy-load database, which is an index (.rdx) and a file of objects (.rdb).

    Each object is a length of four bytes and, compressed, what R's ``serialize`` returns (R Internals, section 1.8, and
    R's function ``lazyLoadDBfetch``).
    """
    rdata = _rdata(index)
    entries = rdata.conversion.convert(rdata.parser.parse_file(index, extension=".rds"))["variables"]
    begin, n_bytes = map(int, entries[name])
    with database.open("rb") as content:
        content.seek(begin)
        object_ = rdata.parser.parse_data(_decompressed(content.read(n_bytes)), extension=".rds")
    found: DataFrame = rdata.conversion.convert(object_, _classes(rdata))
    return found


def _decompressed(entry: bytes) -> bytes:
    """The content of an object. ValueError if it is damaged."""
    try:
        (size,), kind = struct.unpack(">I", entry[:4]), entry[4:5]
        if kind == b"Z":
            filters = [{"id": lzma.FILTER_LZMA2, "preset": 6}]
            content = lzma.decompress(entry[5:], format=lzma.FORMAT_RAW, filters=filters)
        else:
            content = bz2.decompress(entry[5:]) if kind == b"2" else zlib.decompress(entry[4:])
    except (struct.error, zlib.error, lzma.LZMAError, OSError, ValueError) as error:
        raise ValueError(f"an object in R's database is damaged: {error}") from error
    if len(content) != size:
        raise ValueError(f"an object in R's database is damaged: it has {len(content)} bytes instead of {size}")
    return content


def _classes(rdata: Any) -> dict[str, Any]:
    """How to build the objects of R's classes: those known to rdata, and data frames of the package tibble."""
    known = rdata.conversion.DEFAULT_CLASS_MAP
    return {**known, "tbl_df": known["data.frame"]}


def _rdata(file: Path) -> Any:
    try:
        import rdata
    except ImportError as error:
        raise UserError(f"reading the R file {file.name} requires: {install_command('tabular')}") from error
    return rdata
