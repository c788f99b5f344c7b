"""The folder of a run, and the folders of its trials."""

from __future__ import annotations

import fcntl
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from automl.errors import UserError

if TYPE_CHECKING:
    pass


class RunFolder:
    """What lies where in a run's folder."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.study = path / "study.db"
        self.trials_csv = path / "trials.csv"
        self.best = path / "best.yaml"
        self.summary = path / "summary.json"
        self.model = path / "model"
        self.versions = path / "versions"  # of the model, once it was updated
        self.model_before = path / "model.before"  # while it is replaced for the first time
        self.report = path / "report.html"
        self.trials = path / "trials"
        self.final = path / "final"
        self.logs = path / "logs"
        self.data = path / "data"  # the user's own, prepared
        self.tracking = path / "tracking.json"  # by what the trackers know the run

    def check_is_free(self) -> None:
        """UserError for a folder that is not empty, which is never overwritten."""
        if self.path.exists() and not self.path.is_dir():
            raise UserError(f"{str(self.path)!r} is a file; choose a folder with --out")
        if self.path.exists() and any(self.path.iterdir()):
            raise UserError(
                f"the folder {str(self.path)!r} is not empty; choose another with --out, or continue it with --resume"
            )

    def create(self) -> None:
        """Make the folder; one that is not empty is refused."""
        self.check_is_free()
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UserError(f"cannot make the folder {str(self.path)!r}: {error.strerror}") from None

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other processes from running in this folder; a process that is killed leaves no lock behind."""
        handle = os.open(self.path, os.O_RDONLY)
        try:
            if not _lock(handle, fcntl.LOCK_EX):
                time.sleep(0.1)  # whoever asked whether a run goes on holds the folder for microseconds
                if not _lock(handle, fcntl.LOCK_EX):
                    raise UserError(f"the run in {str(self.path)!r} is still going on; wait for its end or stop it")
            yield
        finally:
            os.close(handle)

    @property
    def going_on(self) -> bool:
        """Whether a process runs in this folder."""
        handle = os.open(self.path, os.O_RDONLY)
        try:
            return not _lock(handle, fcntl.LOCK_SH)
        finally:
            os.close(handle)


def _lock(handle: int, kind: int) -> bool:
    try:
        fcntl.flock(handle, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


class TrialFolders:
    """One folder a trial, for its checkpoint. A step that is interrupted leaves the state before it intact."""

    def __init__(self, root: Path | None) -> None:
        self._root = root

    def begin(self, number: int, *, continues: bool) -> Path | None:
        """The folder to train in: empty, or as the trial's last told step left it."""
        if self._root is None:
            return None
        folder, before = self._folder(number), self._before(number)
        if not continues:
            self._anew(number).mkdir(parents=True, exist_ok=True)
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
        elif before.exists():  # a step was interrupted: back to where it began
            shutil.rmtree(folder, ignore_errors=True)
            shutil.copytree(before, folder)
        else:
            aside = before.with_suffix(".copying")
            shutil.rmtree(aside, ignore_errors=True)
            shutil.copytree(folder, aside)
            aside.rename(before)
        return folder

    def has(self, number: int) -> bool:
        """Whether a trial can go on from what its last told step left; without folders, nothing can be missing."""
        if self._root is None:
            return True
        return not self._anew(number).exists() and (self._folder(number).exists() or self._before(number).exists())

    def commit(self, number: int) -> None:
        """The step was told: what it left in the folder stands."""
        if self._root is not None:
            shutil.rmtree(self._before(number), ignore_errors=True)
            shutil.rmtree(self._anew(number), ignore_errors=True)

    def remove(self, number: int) -> None:
        """Delete what a trial left behind."""
        if self._root is not None:
            shutil.rmtree(self._folder(number), ignore_errors=True)

    def _folder(self, number: int) -> Path:
        assert self._root is not None
        return self._root / f"{number:04d}"

    def _before(self, number: int) -> Path:
        assert self._root is not None
        return self._root / f"{number:04d}.before"

    def _anew(self, number: int) -> Path:
        """Is there while a step trains from the beginning."""
        assert self._root is not None
        return self._root / f"{number:04d}.anew"


def write_aside(file: Path, text: str) -> None:
    """Replace a file in one step: whoever reads it sees the old or the new one, never half of it."""
    aside = file.with_name(f".{file.name}.{os.getpid()}")
    aside.write_text(text, encoding="utf-8")
    aside.replace(file)
