"""Users' files, each by the way that ``python -m automl.run --data FILE`` takes: read, split, encoded, then trained.

What is prepared and trained is kept under the data's name and a hash of how it is asked for. When the preparation's own
code changes, remove the folder KEPT.
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

KEPT = Path("runs/trainings/own")  # each training is run once, whichever strategies ask for it


def tasks() -> list[LiveTask]:
    """All of them. UserError where data are not on this machine."""
    check_all()
    return [task_of(file, KEPT) for file in FILES]


def task_of(file: UsersFile, kept: Path) -> LiveTask:
    """The task on a user's file, which is prepared in the folder ``kept`` once. UserError for what is wrong with it."""
    folder = kept / f"{file.name}-{hashlib.sha256(repr(file).encode()).hexdigest()[:8]}"
    prepared = folder / "data"
    request = Request(str(folder / "file"), **file.options)
    with _locked(folder):
        if not prepared.exists():
            _prepare(file, request, prepared)
    # The file is not read again, so that its name and place do not matter here.
    settings = new_settings(Settings(data=asdict(request)), None, [], prepared=prepared)
    task = LiveTask.of("own", file.name, build_task(settings, prepared), folder)
    return replace(task, split=file.split)


def _prepare(file: UsersFile, request: Request, prepared: Path) -> None:
    """Whole or not at all."""
    from automl.data.ingest.prepare import prepare

    with tempfile.TemporaryDirectory(dir=prepared.parent) as aside:
        data = file.data.write(Path(aside), file.target)
        prepare(replace(request, data=str(data)), Path(aside) / "data")
        shutil.move(Path(aside) / "data", prepared)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Keep other processes of the comparison from preparing the same data meanwhile."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
