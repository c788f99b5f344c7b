"""The file of the data or of the task that a run was started from, and whether it has changed since."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from automl.runs.settings import Settings


def source_of(settings: Settings) -> dict[str, Any] | None:
    """The size, the time of the last change and a hash of the file or folder; None if there is none, or it is gone."""
    place = _place(settings)
    try:
        return None if place is None else _stamp(place) | {"hash": _hash(place)}
    except OSError:
        return None


def about_changes(settings: Settings) -> str | None:
    """A note that the file has changed since the run was started, and what that means; None otherwise."""
    place, before = _place(settings), settings.source
    if place is None or before is None:
        return None
    try:
        stamp = _stamp(place)
        if (stamp and stamp.items() <= before.items()) or before["hash"] == _hash(place):
            return None
    except OSError:  # what needs it reports it
        return None
    changed = f"{str(place)!r} has changed since the run was started"
    if settings.data is not None:
        return f"{changed}: the run keeps the data that it read; start a new run to use the new ones"
    return f"{changed}: further trainings use the new version, so their results may not compare with earlier ones"


def _place(settings: Settings) -> Path | None:
    """The user's file or folder; None for a built-in task and a command."""
    if settings.data is not None:
        path = Path(settings.data["data"])
        return path if path.is_absolute() else None  # otherwise the name of a built-in task
    file, is_file, _ = (settings.task or "").rpartition(":")
    return Path(file) if is_file and file.endswith(".py") else None


def _stamp(place: Path) -> dict[str, Any]:
    """What tells without reading the file that it has not changed; nothing for a folder."""
    if place.is_dir():
        return {}
    found = place.stat()
    return {"bytes": found.st_size, "modified": found.st_mtime_ns}


def _hash(place: Path) -> str:
    """Of a file's content; of the names and sizes of a folder's files, which may be too many to read."""
    if not place.is_dir():
        with place.open("rb") as file:
            return hashlib.file_digest(file, "blake2b").hexdigest()[:32]
    names = sorted((str(file.relative_to(place)), file.stat().st_size) for file in place.rglob("*") if file.is_file())
    return hashlib.blake2b(repr(names).encode(errors="surrogateescape"), digest_size=16).hexdigest()
