"""Optuna's storage in a SQLite file."""

from __future__ import annotations

import contextlib
import functools
import os
import sqlite3
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from automl.errors import UserError
from automl.study.database_errors import reason

if TYPE_CHECKING:
    from optuna.storages import RDBStorage

SPECIAL = "?%#{}"  # special characters of a URL or (the last two) of Optuna's URL template
MAX_LOG_BYTES = 16_777_216  # the write-ahead log shrinks to this size after a long read has made it grow
SECONDS_LOCKED = 60.0  # to wait for another program that has locked the database, such as a backup

_accepted = set[tuple[str, ...]]()  # versions of tables that Optuna has accepted in this process


def sqlite_url(file: Path) -> str:
    """The storage URL of a SQLite file. UserError if SQLAlchemy cannot read it."""
    from sqlalchemy import make_url

    path = str(file.resolve())
    quoted = path.translate({ord(character): f"%{ord(character):02X}" for character in SPECIAL})
    if quoted != path and make_url(f"sqlite:///{quoted}").database != path:
        raise UserError(
            f"SQLAlchemy {version('sqlalchemy')} cannot open a database in a folder with one of {SPECIAL} in its "
            f"path, {path}: choose another one with --out, or install SQLAlchemy 2.1"
        )
    return f"sqlite:///{quoted}"


def open_sqlite(where: str) -> RDBStorage:
    """The storage of a SQLite URL. UserError if it cannot be opened."""
    import optuna
    from sqlalchemy import event, make_url
    from sqlalchemy.exc import SQLAlchemyError

    file, options = Path(make_url(where).database or ""), {"connect_args": {"timeout": SECONDS_LOCKED}}
    try:
        is_new, known = _created(file), has_known_tables(file)
        storage = optuna.storages.RDBStorage(where, engine_kwargs=options, skip_compatibility_check=is_new or known)
    except (SQLAlchemyError, ValueError, RuntimeError) as error:  # the last for tables of another version of Optuna
        raise UserError(f"cannot open the storage {where}: {reason(error)}") from None

    # Write-ahead log: 5 ms instead of 160 ms per trial, readers never wait, and a killed process loses nothing.
    @event.listens_for(storage.engine, "connect")
    def _set_pragmas(connection: Any, _: Any) -> None:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=NORMAL")
        connection.execute(f"PRAGMA journal_size_limit={MAX_LOG_BYTES}")

    storage.engine.dispose()
    if not known:
        remember_tables(file)
    return storage


def connect(file: Path) -> sqlite3.Connection:
    """A read-only connection, which leaves no files behind."""
    # SQLite creates write-ahead log files even for readers, unless the database is declared immutable. Without such a
    # log it is immutable: an active run has one.
    log = file.with_name(f"{file.name}-wal")
    mode = "mode=ro" if log.exists() else "immutable=1"
    return sqlite3.connect(f"{file.resolve().as_uri()}?{mode}", uri=True, check_same_thread=False)


def has_known_tables(file: Path) -> bool:
    """Whether Optuna has accepted a database with tables of the same versions in this process.

    Its check takes a tenth of a second, as it executes all its migration scripts each time.
    """
    found = _versions_of_tables(file)
    return found != () and found in _accepted


def remember_tables(file: Path) -> None:
    """Remember the versions of a database's tables, which Optuna has accepted."""
    _accepted.add(_versions_of_tables(file))


def _versions_of_tables(file: Path) -> tuple[str, ...]:
    """Empty if they cannot be read, such as in a locked database."""
    query = "SELECT schema_version, version_num FROM version_info, alembic_version"
    try:
        with contextlib.closing(connect(file)) as database:
            (found,) = database.execute(query)
    except (sqlite3.Error, ValueError):
        return ()
    return tuple(map(str, found))


def _created(file: Path) -> bool:
    """Create a database without studies, unless there is such a file. Returns whether it did."""
    from sqlalchemy.exc import SQLAlchemyError

    if file.exists():
        return False
    part = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        with part.open("wb") as writing:
            writing.write(empty_database())
            os.fsync(writing.fileno())
        os.link(part, file)  # at once, and not if another process was faster
    except (OSError, SQLAlchemyError, UserError):  # such as no links, or a full folder for temporary files
        # Optuna then creates the database, or says what is wrong.
        return False
    finally:
        with contextlib.suppress(OSError):
            part.unlink()
    return True


@functools.cache
def empty_database() -> bytes:
    """A database without studies. Optuna takes 0.15 seconds to create one, and a process may need many."""
    import optuna

    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "empty.db"
        optuna.storages.RDBStorage(sqlite_url(file)).engine.dispose()
        return file.read_bytes()
