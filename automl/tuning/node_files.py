"""Files that all processes of one machine use: unpacked by the first that needs them, removed after the last."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

COMPLETE = ".complete"


@contextmanager
def node_files(key: str, unpack: Callable[[Path], None]) -> Iterator[Path]:
    """The folder for a key, for as long as the context lasts. ``unpack`` fills it, once on this machine.

    What processes that were killed have left behind is removed too.
    """
    root = Path(tempfile.gettempdir()) / f"automl-{os.getuid()}"
    root.mkdir(mode=0o700, exist_ok=True)
    if root.stat().st_uid != os.getuid():
        raise PermissionError(f"{str(root)!r} belongs to another user")
    folder, lock = root / key, os.open(root / f"{key}.lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_SH)
        while not (folder / COMPLETE).exists():
            _change(lock, fcntl.LOCK_EX)
            if not (folder / COMPLETE).exists():
                shutil.rmtree(folder, ignore_errors=True)
                folder.mkdir()
                unpack(folder)
                (folder / COMPLETE).touch()
            _change(lock, fcntl.LOCK_SH)  # another process may remove the folder before this has the lock
        yield folder
    finally:
        os.close(lock)
        _remove_unused(root)


def _change(lock: int, kind: int) -> None:
    """Linux gives a lock back before it takes the other kind. Where that is not so (gVisor), two processes that hold a
    shared lock and want an exclusive one would wait for each other for ever."""
    fcntl.flock(lock, fcntl.LOCK_UN)
    fcntl.flock(lock, kind)


def _remove_unused(root: Path) -> None:
    """A lock's file stays: another process may be about to lock it."""
    for file in root.glob("*.lock"):
        lock = os.open(file, os.O_RDWR)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(file.with_suffix(""), ignore_errors=True)
        except BlockingIOError:
            pass
        finally:
            os.close(lock)
