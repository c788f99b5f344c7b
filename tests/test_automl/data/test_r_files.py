"""Tables in files of R: data files, and the databases of packages that load their data lazily."""

import bz2
import lzma
import struct
import zlib

import numpy as np
import pandas as pd
import pytest

from automl.data.datasets.r_files import read_object, read_rda

rdata = pytest.importorskip("rdata")
SHAPES = pd.Index(["needle", "round"], dtype=object)  # rdata cannot write the strings of pandas 3
FRAMES = {
    "leaves": pd.DataFrame({"shape": pd.Categorical.from_codes([1, 0, 1], SHAPES), "area": [1.5, 2.0, np.nan]}),
    "cars": pd.DataFrame({"doors": [2, 4], "make": ["Saab", "Buick"]}).astype({"make": object}),
    "rooms": pd.DataFrame({"price": [100.25]}),
}


def lzma_raw(content):
    filters = [{"id": lzma.FILTER_LZMA2, "preset": 6}]
    return b"Z" + lzma.compress(content, format=lzma.FORMAT_RAW, filters=filters)


COMPRESSIONS = {"leaves": lzma_raw, "cars": zlib.compress, "rooms": lambda content: b"2" + bz2.compress(content)}


@pytest.fixture
def database(tmp_path):
    """The index and the objects of FRAMES, one for each compression of R, and their places."""
    places, content, one = {}, b"", tmp_path / "one.rds"
    for name, frame in FRAMES.items():
        rdata.write_rds(one, frame, compression=None)
        entry = struct.pack(">I", one.stat().st_size) + COMPRESSIONS[name](one.read_bytes())
        places[name] = np.array([len(content), len(entry)], np.int32)
        content += entry
    index, objects = tmp_path / "Rdata.rdx", tmp_path / "Rdata.rdb"
    rdata.write_rds(index, {"variables": places, "references": {}, "compressed": 3})
    objects.write_bytes(content)
    return index, objects, places


@pytest.mark.parametrize("name", FRAMES)
def test_a_table_of_a_database_is_read(database, name):
    index, objects, _ = database
    found = read_object(index, objects, name)
    assert found.to_csv(index=False) == FRAMES[name].to_csv(index=False)


@pytest.mark.parametrize("name", FRAMES)
@pytest.mark.parametrize("is_cut", [False, True])
def test_a_damaged_database_is_refused(database, name, is_cut):
    index, objects, places = database
    content, begin = bytearray(objects.read_bytes()), int(places[name][0])
    content[begin + 3] ^= 1  # in the length of the object
    objects.write_bytes(content[: begin + 12] if is_cut else content)
    with pytest.raises(ValueError, match="an object in R's database is damaged: "):
        read_object(index, objects, name)


def test_a_data_file_is_read(tmp_path):
    rdata.write_rda(tmp_path / "cars.rda", {"cars": FRAMES["cars"]})
    found = read_rda(tmp_path / "cars.rda", "cars")
    assert found.to_dict("list") == FRAMES["cars"].to_dict("list")
