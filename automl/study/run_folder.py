"""The folder of a run, and the folders of its trials."""

from __future__ import annotations

import errno
import fcntl
import os
import re
import shutil
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from automl.errors import UserError, lack_of_space
from automl.study.sqlite import sqlite_url

MAX_RUNS_NAMED = 3  # in an error
BACKUP_SUFFIX = ".before"  # suffix of a folder's name while it is replaced
REMOVED = (
    "removed or renamed while the run was going on; start it again, or continue a renamed one with --resume --out "
    "NEWNAME"
)


class RunFolder:
    """The paths in a run's folder."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.study = path / "study.db"
        self.storage = path / "storage.json"  # where the study is, if it is not in the folder
        self.trials_csv = path / "trials.csv"
        self.best = path / "best.yaml"
        self.summary = path / "summary.json"
        self.model = path / "model"
        self.versions = path / "versions"  # of the model, after the first update
        self.model_before = path / f"model{BACKUP_SUFFIX}"  # while the model is replaced
        self.report = path / "report.html"
        self.columns = path / "columns.json"  # the importance of columns to the model
        self.trials = path / "trials"
        self.final = path / "final"
        self.logs = path / "logs"
        self.log = path / "run.log"
        self.data = path / "data"  # the user's prepared data
        self.targets = path / "targets"  # the run on each target, if there are several
        self.tracking = path / "tracking.json"  # the run's id for trackers
        self.starting = path / ".starting"  # exists until the study is complete

    def check_is_free(self, *, from_python: bool = False) -> None:
        """UserError if the folder is not empty, as it is never overwritten, or cannot have a study."""
        place, way_on = ("", "tune(..., resume=True)") if from_python else (" with --out", "--resume")
        try:
            str(self.path).encode()
        except UnicodeEncodeError:  # the study's database cannot have such a name
            raise UserError(f"the name of the folder {str(self.path)!r} is not UTF-8; choose another{place}") from None
        sqlite_url(self.study)
        if self.path.exists() and not self.path.is_dir():
            raise UserError(f"{str(self.path)!r} is a file; choose a folder{place}")
        if self.path.exists() and any(self.path.iterdir()) and not self.starting.exists():
            raise UserError(
                f"the folder {str(self.path)!r} is not empty; choose another{place}, or continue it with {way_on}"
            )

    @property
    def has_run(self) -> bool:
        """Whether the folder has a run, wherever its study is."""
        return self.study.exists() or self.storage.exists()

    @property
    def can_continue(self) -> bool:
        """Whether the folder has a run that had begun."""
        return self.has_run and not self.starting.exists()

    @property
    def of_all_targets(self) -> RunFolder | None:
        """The run on several targets that this run is a part of, if it has a joint model; None for other runs."""
        place = self.path.resolve()
        whole = RunFolder(place.parent.parent)
        return whole if place.parent == whole.targets and whole.model.is_dir() else None

    def busy(self) -> UserError:
        """The error that another process has the folder."""
        return UserError(
            f"the run in {str(self.path)!r}, or an update of it, is still running; wait for it to end or stop it"
        )

    def no_run(self) -> UserError:
        """The error that the folder has no run; it names runs nearby: inside, beside it, or in ``runs``."""
        reason = f"there is no run in {str(self.path)!r}: it has no study.db"
        for place in (self.path, self.path.parent, Path("runs")):
            found = sorted(map(_last_change, _runs_in(place)), reverse=True)[:MAX_RUNS_NAMED]
            if found:
                return UserError(f"{reason}; the latest in {str(place)!r}: {', '.join(name for _, name in found)}")
        return UserError(f"{reason}; give the folder that `automl run` printed last")

    def check_is_there(self) -> None:
        """Raise UserError if the folder was removed during the run."""
        if not self.has_run:
            raise UserError(f"the folder {str(self.path)!r} was {REMOVED}")

    def create(self, *, from_python: bool = False) -> None:
        """Create the folder. UserError if it is not empty."""
        self.check_is_free(from_python=from_python)
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UserError(f"cannot create the folder {str(self.path)!r}: {error.strerror}") from None

    @contextmanager
    def being_created(self) -> Iterator[None]:
        """A context for creating the study and data of a new run: if the process is killed, the folder is still free.

        Call with the folder locked. Removes leftovers of a killed start. UserError if the folder cannot be written.
        """
        try:
            if self.starting.exists():
                shutil.rmtree(self.data, ignore_errors=True)
                for file in (*self.path.glob(f"{self.study.name}*"), *self.path.glob(self.storage.name)):
                    file.unlink()
            self.starting.touch()
        except OSError as error:
            raise UserError(f"cannot write in the folder {str(self.path)!r}: {error.strerror}") from None
        yield
        self.starting.unlink()

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Lock the folder against other processes; a killed process releases its lock."""
        handle = os.open(self.path, os.O_RDONLY)
        try:
            if not _lock(handle, fcntl.LOCK_EX):
                time.sleep(0.1)  # a check whether the run is active holds the lock for microseconds
                if not _lock(handle, fcntl.LOCK_EX):
                    raise self.busy()
            yield
        finally:
            os.close(handle)

    @property
    def is_running(self) -> bool:
        """Whether a process is running in this folder."""
        handle = os.open(self.path, os.O_RDONLY)
        try:
            return not _lock(handle, fcntl.LOCK_SH)
        finally:
            os.close(handle)


def _runs_in(place: Path) -> list[Path]:
    """The folders of runs in a folder."""
    try:
        return [path for path in place.iterdir() if RunFolder(path).has_run or RunFolder(path).targets.is_dir()]
    except OSError:
        return []


def _last_change(path: Path) -> tuple[float, str]:
    return path.stat().st_mtime, path.name


def _lock(handle: int, kind: int) -> bool:
    try:
        fcntl.flock(handle, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


class TrialFolders:
    """One folder per trial, with its checkpoint after the last recorded step.

    Each attempt at a step has its own folder, which becomes the trial's once the step is recorded. So an interrupted
    step leaves the state before it intact, and an abandoned attempt that still runs somewhere does no harm.
    """

    def __init__(self, root: Path | None) -> None:
        self._root = root
        for before in () if root is None else root.glob(f"*{BACKUP_SUFFIX}"):
            _restore_backup(before)

    def begin(self, number: int, *, continues: bool) -> Path | None:
        """The folder for a new attempt: empty, or in the state of the trial's last recorded step.

        UserError if it cannot be written, such as on a full disk.
        """
        if self._root is None:
            return None
        lost = self._last_attempt(number)
        if lost is not None:
            shutil.rmtree(lost, ignore_errors=True)
        try:
            attempt = new_attempt(self._folder(number), continues=continues)
            write_atomic(self._marker(number), attempt.name)
        except OSError as error:
            raise UserError(
                f"cannot write the folder of trial {number} ({error.strerror or error}); earlier results are safe: "
                "free space and continue with --resume"
            ) from error
        return attempt

    def has(self, number: int) -> bool:
        """Whether a trial can be continued from its last recorded step; always true without folders."""
        if self._root is None:
            return True
        folder = self._folder(number)
        return folder.is_dir() and any(folder.iterdir())

    def commit(self, number: int) -> None:
        """Make the folder of the last attempt the trial's, once its step is recorded."""
        attempt = self._last_attempt(number)
        if attempt is None:
            return
        if attempt.exists():  # otherwise the process was killed before the next line
            replace_folder(self._folder(number), attempt)
        self._marker(number).unlink()

    def remove(self, number: int) -> None:
        """Delete a trial's files."""
        if self._root is not None:
            shutil.rmtree(self._folder(number), ignore_errors=True)

    @property
    def n_bytes(self) -> int:
        """Size of all files."""
        if self._root is None or not self._root.is_dir():
            return 0
        return sum(file.stat().st_size for file in self._root.rglob("*") if file.is_file())

    def _folder(self, number: int) -> Path:
        assert self._root is not None
        return self._root / f"{number:04d}"

    def _marker(self, number: int) -> Path:
        """The file with the name of the last attempt's folder; exists until the step is recorded."""
        assert self._root is not None
        return self._root / f"{number:04d}.attempt"

    def _last_attempt(self, number: int) -> Path | None:
        """The folder of the last attempt at a step that is not recorded; None if there is none or its name is lost."""
        if self._root is None or not self._marker(number).exists():
            return None
        name = self._marker(number).read_text(encoding="utf-8", errors="replace")
        # Any other content, as after a power failure, could be the path of other folders.
        return self._root / name if re.fullmatch(rf"{number:04d}\.[0-9a-f]{{8}}", name) else None


def new_attempt(place: Path, *, continues: bool) -> Path:
    """A new folder beside ``place``: empty, or a copy of it without files that cannot be read. OSError on a full disk,
    which leaves none."""
    attempt = place.with_name(f"{place.name}.{uuid.uuid4().hex[:8]}")
    if not continues:
        attempt.mkdir(parents=True)
        return attempt
    try:
        shutil.copytree(place, attempt)
    except BaseException as error:
        reason = lack_of_space(error)
        if isinstance(error, shutil.Error) and reason is None:  # of single files: what needs a missing one reports it
            return attempt
        shutil.rmtree(attempt, ignore_errors=True)
        raise error if reason is None else OSError(errno.ENOSPC, reason) from error
    return attempt


def replace_folder(place: Path, new: Path) -> None:
    """Move the complete folder ``new`` to ``place``. UserError if it was removed.

    Between the two steps, in which the process may be killed, the old folder has the suffix BACKUP_SUFFIX.
    """
    before = place.with_name(f"{place.name}{BACKUP_SUFFIX}")
    _restore_backup(before)
    with suppress(FileNotFoundError):
        place.rename(before)
    try:
        new.rename(place)
    except FileNotFoundError:
        _restore_backup(before)
        raise UserError(f"the folder {str(new)!r} was {REMOVED}") from None
    shutil.rmtree(before, ignore_errors=True)


def _restore_backup(before: Path) -> None:
    """Undo a replacement that was interrupted, or finish one that left the old folder behind."""
    place = before.with_name(before.name.removesuffix(BACKUP_SUFFIX))
    if place.exists():
        shutil.rmtree(before, ignore_errors=True)
    else:
        with suppress(FileNotFoundError):
            before.rename(place)


def write_atomic(file: Path, text: str) -> None:
    """Replace a file atomically: readers see the old or the new content, never a part of it. An OSError names it."""
    aside = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        with aside.open("w", encoding="utf-8") as written:
            written.write(text)
            written.flush()
            os.fsync(written.fileno())  # otherwise the file may be empty after a power failure
        aside.replace(file)
    except BaseException as error:
        aside.unlink(missing_ok=True)  # a partial file would keep the disk full
        if isinstance(error, OSError):
            error.filename = str(file)  # a failed write does not name its file
        raise
