"""Files shared by all processes of a machine: unpacked by the first that needs them, removed after the last."""

from __future__ import annotations

import fcntl
import os
import shutil
import stat
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

COMPLETE = ".complete"


@contextmanager
def node_files(key: str, unpack: Callable[[Path], None]) -> Iterator[Path]:
    """The folder for a key, for the duration of the context. ``unpack`` fills it, once per machine.

    Leftovers of killed processes are removed too.
    """
    root = Path(tempfile.gettempdir()) / f"automl-{os.getuid()}"
    root.mkdir(mode=0o700, exist_ok=True)
    found = root.lstat()  # a link could lead to folders that would then be removed
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o022:
        raise PermissionError(f"{str(root)!r} must be a folder of yours that no one else can write to; remove it")
    _remove_unused(root)
    # A held lock is never converted: if two processes wanted to turn their shared locks into exclusive ones, the second
    # would wait until the first releases its lock, which it holds while it trains.
    folder, in_use = root / key, _shared(root / f"{key}.lock")
    try:
        unpacking = _opened(root / f"{key}.unpacking")
        try:
            fcntl.flock(unpacking, fcntl.LOCK_EX)
            if not (folder / COMPLETE).exists():
                shutil.rmtree(folder, ignore_errors=True)
                folder.mkdir()
                unpack(folder)
                (folder / COMPLETE).touch()
        finally:
            os.close(unpacking)
        yield folder
    finally:
        os.close(in_use)
        _remove_unused(root)


def _opened(lock: Path) -> int:
    return os.open(lock, os.O_RDWR | os.O_CREAT, 0o600)


def _shared(file: Path) -> int:
    """The open lock file, with a lock shared by all users of its folder."""
    while True:
        lock = _opened(file)
        fcntl.flock(lock, fcntl.LOCK_SH)
        if _is_at(lock, file):
            return lock
        os.close(lock)


def _is_at(lock: int, file: Path) -> bool:
    """Whether an open file has not been removed since. Call with the lock held: only its sole holder removes it."""
    try:
        return os.path.samestat(os.fstat(lock), file.stat())
    except FileNotFoundError:
        return False


def _remove_unused(root: Path) -> None:
    """Remove unused folders with their lock files."""
    for file in root.glob("*.lock"):
        try:
            lock = os.open(file, os.O_RDWR)
        except FileNotFoundError:  # another process has removed it
            continue
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if _is_at(lock, file):
                shutil.rmtree(file.with_suffix(""), ignore_errors=True)
                file.with_suffix(".unpacking").unlink(missing_ok=True)
                file.unlink()
        except BlockingIOError:
            pass
        finally:
            os.close(lock)
