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
    found: DataFrame = _rdata(file).read_rda(file)[name]
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
    classes = rdata.conversion.DEFAULT_CLASS_MAP
    found: DataFrame = rdata.conversion.convert(object_, {**classes, "tbl_df": classes["data.frame"]})  # of tibble
    return found


def _decompressed(entry: bytes) -> bytes:
    """The content of an object. ValueError if it is damaged."""
    (size,), kind = struct.unpack(">I", entry[:4]), entry[4:5]
    if kind == b"Z":
        filters = [{"id": lzma.FILTER_LZMA2, "preset": 6}]
        content = lzma.decompress(entry[5:], format=lzma.FORMAT_RAW, filters=filters)
    else:
        content = bz2.decompress(entry[5:]) if kind == b"2" else zlib.decompress(entry[4:])
    if len(content) != size:
        raise ValueError(f"an object of {size} bytes in R's database has {len(content)}")
    return content


def _rdata(file: Path) -> Any:
    try:
        import rdata
    except ImportError as error:
        raise UserError(f"reading the R file {file.name} requires: {install_command('tabular')}") from error
    return rdata
