"""Optuna's storage in a SQLite file."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from automl.errors import UserError
from automl.study.database_errors import reason

if TYPE_CHECKING:
    from optuna.storages import RDBStorage

SPECIAL = "?%#{}"  # in a URL or, the last two, in Optuna's template of one
MAX_LOG_BYTES = 16_777_216  # the write-ahead log shrinks to this size after a long read has made it grow
SECONDS_LOCKED = 60.0  # to wait for another program that has locked the database, such as a backup


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
    from sqlalchemy import event
    from sqlalchemy.exc import SQLAlchemyError

    try:
        storage = optuna.storages.RDBStorage(where, engine_kwargs={"connect_args": {"timeout": SECONDS_LOCKED}})
    except (SQLAlchemyError, ValueError) as error:
        raise UserError(f"cannot open the storage {where}: {reason(error)}") from None

    # Write-ahead log: 5 ms instead of 160 ms per trial, readers never wait, and a killed process loses nothing.
    @event.listens_for(storage.engine, "connect")
    def _set_pragmas(connection: Any, _: Any) -> None:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=NORMAL")
        connection.execute(f"PRAGMA journal_size_limit={MAX_LOG_BYTES}")

    storage.engine.dispose()
    return storage
