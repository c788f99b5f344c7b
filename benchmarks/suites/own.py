"""User files, processed like ``python -m automl.run --data FILE``: read, split, encoded, then trained.

Prepared data and trainings are stored under the name of the data and a hash of the options. Remove the folder KEPT
when the code of the preparation changes.
"""

from __future__ import annotations

import fcntl
import hashlib
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path

from automl.data.ingest.request import Request
from automl.runs.configure import new_settings
from automl.runs.settings import Settings, build_task
from benchmarks.suites.live_task import LiveTask
from benchmarks.suites.own_files import FILES, UsersFile, check_all

KEPT = Path("runs/trainings/own")  # each training is run once and shared by all strategies


def tasks() -> list[LiveTask]:
    """All tasks. Raises UserError if data are not on this machine."""
    check_all()
    return [task_of(file, KEPT) for file in FILES]


def task_of(file: UsersFile, kept: Path) -> LiveTask:
    """The task on a user file, which is prepared once in the folder ``kept``. Raises UserError for invalid data."""
    folder = kept / f"{file.name}-{hashlib.sha256(repr(file).encode()).hexdigest()[:8]}"
    prepared = folder / "data"
    request = Request(str(folder / "file"), **file.options)
    with _locked(folder):
        if not prepared.exists():
            _prepare(file, request, prepared)
    # The file is not read again, so its name and location do not matter here.
    settings = new_settings(Settings(data=asdict(request)), None, [], prepared=prepared)
    task = LiveTask.of("own", file.name, build_task(settings, prepared), folder)
    return replace(task, split=file.split)


def _prepare(file: UsersFile, request: Request, prepared: Path) -> None:
    """Prepare the data atomically."""
    from automl.data.ingest.prepare import prepare

    with tempfile.TemporaryDirectory(dir=prepared.parent) as aside:
        data = file.data.write(Path(aside), file.target)
        prepare(replace(request, data=str(data)), Path(aside) / "data")
        shutil.move(Path(aside) / "data", prepared)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Keep other processes from preparing the same data at the same time."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
