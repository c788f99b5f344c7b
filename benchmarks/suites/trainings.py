"""Deterministic trainings of a task, each run once and kept in an SQLite file that several processes may share."""

from __future__ import annotations

import fcntl
import functools
import hashlib
import json
import os
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

WAIT_SECONDS = 60.0  # for another process that is writing


@dataclass(frozen=True)
class KeptTraining:
    """What came of a config: its loss, None where it failed, and the seconds it took."""

    loss: float | None
    seconds: float
    error: str | None = None


class Trainings:
    """Trainings by config. A lock per config keeps two processes from running the same training at the same time."""

    def __init__(self, file: Path) -> None:
        file.parent.mkdir(parents=True, exist_ok=True)
        self._file = file
        with self._database() as database:
            database.execute("PRAGMA journal_mode=WAL")
            database.execute(
                "CREATE TABLE IF NOT EXISTS trainings (config TEXT PRIMARY KEY, loss REAL, seconds REAL, error TEXT)"
            )

    def get(self, config: Mapping[str, Any], train: Callable[[], KeptTraining]) -> KeptTraining:
        """The training of a config: as it is kept, or run now by ``train``."""
        key = json.dumps(config, sort_keys=True)
        found = self._find(key)
        if found is None:
            with self._locked(key):
                found = self._find(key)
                if found is None:
                    found = train()
                    self._keep(key, found)
        return found

    def losses(self) -> list[float]:
        """Of all trainings that are kept and did not fail."""
        with self._database() as database:
            return [loss for (loss,) in database.execute("SELECT loss FROM trainings WHERE loss IS NOT NULL")]

    def _find(self, key: str) -> KeptTraining | None:
        with self._database() as database:
            row = database.execute("SELECT loss, seconds, error FROM trainings WHERE config = ?", (key,)).fetchone()
        return None if row is None else KeptTraining(*row)

    def _keep(self, key: str, training: KeptTraining) -> None:
        with self._database() as database:
            row = (key, training.loss, training.seconds, training.error)
            database.execute("INSERT OR IGNORE INTO trainings VALUES (?, ?, ?, ?)", row)

    @contextmanager
    def _database(self) -> Iterator[sqlite3.Connection]:
        with closing(sqlite3.connect(self._file, timeout=WAIT_SECONDS)) as database, database:
            yield database

    @contextmanager
    def _locked(self, key: str) -> Iterator[None]:
        """One byte of a lock file stands for a config, or rarely for several."""
        byte = int.from_bytes(hashlib.sha256(key.encode()).digest()[:4], "big") >> 1
        handle = os.open(self._file.with_suffix(".lock"), os.O_CREAT | os.O_RDWR)
        try:
            fcntl.lockf(handle, fcntl.LOCK_EX, 1, byte)
            yield
        finally:
            os.close(handle)


@functools.cache
def trainings(file: Path) -> Trainings:
    """The trainings in a file, opened once in a process."""
    return Trainings(file)
