"""Deterministic trainings of a task, each run once and stored in an SQLite file shared by several processes."""

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

WAIT_SECONDS = 60.0  # timeout while another process is writing


@dataclass(frozen=True)
class KeptTraining:
    """The result of training a config: its loss (None if it failed) and its seconds."""

    loss: float | None
    seconds: float
    error: str | None = None


class TrainingCache:
    """Trainings by config. A lock per config keeps two processes from running the same training."""

    def __init__(self, file: Path) -> None:
        file.parent.mkdir(parents=True, exist_ok=True)
        self._file = file
        with self._database() as database:
            database.execute("PRAGMA journal_mode=WAL")
            database.execute(
                "CREATE TABLE IF NOT EXISTS trainings (config TEXT PRIMARY KEY, loss REAL, seconds REAL, error TEXT)"
            )

    def get(self, config: Mapping[str, Any], train: Callable[[], KeptTraining]) -> KeptTraining:
        """The stored training of a config; run by ``train`` if there is none."""
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
        """The losses of all stored trainings that did not fail."""
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
        """Lock one byte of a lock file, chosen by the hash of the config; collisions are rare and harmless."""
        byte = int.from_bytes(hashlib.sha256(key.encode()).digest()[:4], "big") >> 1
        handle = os.open(self._file.with_suffix(".lock"), os.O_CREAT | os.O_RDWR)
        try:
            fcntl.lockf(handle, fcntl.LOCK_EX, 1, byte)
            yield
        finally:
            os.close(handle)


@functools.cache
def trainings(file: Path) -> TrainingCache:
    """The trainings in a file, opened once per process."""
    return TrainingCache(file)
