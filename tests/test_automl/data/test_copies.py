"""Copies of built-in data sets as prepared arrays."""

import os

import numpy as np
import pytest
from stand_ins import all_put

from automl.data.datasets import copies
from automl.data.datasets.copies import copied
from automl.data.datasets.registry import SOURCES, forget_splits, load_data, source_module
from automl.data.memory_map import ARRAYS
from automl.data.splits import make_splits


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("AUTOML_DATA", str(tmp_path))
    return tmp_path / "prepared" / "shapes"


def made(seed=0):
    x, y = np.random.default_rng(seed).normal(size=(60, 1, 4)).astype(np.float32), np.arange(60) % 3
    return make_splits(x[:45], y[:45], x[45:], y[45:], n_valid=9, classes=("a", "b", "c"))


def assert_same(found, wanted):
    for name in ARRAYS:
        np.testing.assert_array_equal(getattr(found, name), getattr(wanted, name))
    assert (found.inputs, found.target) == (wanted.inputs, wanted.target)


DAMAGES = {"x_train.npy": b"", "y_test.npy": None, "rules.json": b"{}", "x_test.npy": b"PK not an archive"}


def forbidden():
    raise AssertionError("made again")


def test_a_data_set_is_made_once_and_then_mapped(folder):
    wanted = made()
    assert_same(copied("shapes", lambda: wanted), wanted)
    again = copied("shapes", forbidden)
    assert_same(again, wanted)
    assert isinstance(again.x_train, np.memmap)
    assert [file.name for file in folder.parent.iterdir()] == ["shapes"], "nothing is left of the writing"


def test_a_damaged_copy_is_made_again(folder):
    copied("shapes", made)
    (copy,) = folder.iterdir()
    for name, content in DAMAGES.items():
        (copy / name).unlink() if content is None else (copy / name).write_bytes(content)
        assert_same(copied("shapes", made), made())
        assert_same(copied("shapes", forbidden), made())
    np.save(copy / "y_train.npy", np.zeros(3, int))
    assert_same(copied("shapes", made), made())


def test_a_copy_of_another_version_is_not_used_and_goes_after_a_week(folder, monkeypatch):
    copied("shapes", lambda: made(1))
    (first,) = folder.iterdir()
    (folder / "aside-killed").mkdir()
    monkeypatch.setattr(copies, "_made_by", lambda: "second")
    assert_same(copied("shapes", made), made())
    assert {file.name for file in folder.iterdir()} == {first.name, "aside-killed", "second"}, "others may use them"
    for old in (first, folder / "aside-killed"):
        os.utime(old, (0, 0))
    monkeypatch.setattr(copies, "_made_by", lambda: "third")
    assert_same(copied("shapes", made), made())
    assert {file.name for file in folder.iterdir()} == {"second", "third"}


def test_the_copy_of_a_quicker_process_is_taken(folder):
    def slowly():
        copied("shapes", made)  # meanwhile
        return made()

    assert isinstance(copied("shapes", slowly).x_train, np.memmap)


def test_without_a_folder_to_write_to_there_is_no_copy(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("AUTOML_DATA", str(tmp_path / "file"))
    assert_same(copied("shapes", made), made())


def test_an_error_of_the_data_set_is_raised():
    with pytest.raises(AssertionError, match="made again"):
        copied("shapes", forbidden)


def test_every_array_source_is_the_same_from_its_copy(tmp_path):
    with all_put(tmp_path):
        names = [name for name in SOURCES if hasattr(source_module(name), "load") and name != "fashion-mnist"]
        assert len(names) > 8  # Fashion-MNIST, the large one, has no stand-in
        for name in names:
            first = load_data(name, None)
            forget_splits()
            again = load_data(name, None)
            assert isinstance(again.x_train, np.memmap), name
            assert_same(again, first)
