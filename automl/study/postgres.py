"""PostgreSQL as the storage of runs: its connections, and the lock by which one process leads a run.

A password is never part of a URL: libpq itself takes it from PGPASSWORD or a password file, so that no setting, file or
message of a run can hold it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from automl.errors import UserError, install_command
from automl.study.database_errors import ConnectionLost, is_disconnected, reason

if TYPE_CHECKING:
    from optuna.storages import RDBStorage
    from sqlalchemy import Connection, Engine

SCHEMES = ("postgresql", "postgres", "postgresql+psycopg")
SECRET = ("password", "sslpassword")  # parameters that a URL must not have
EXAMPLE = "postgresql://user@host/database"
SCHEMA_LOCK = 0x6175746F6D6C  # held while tables are created, which two processes cannot do at once
# Both sides notice a silently lost peer within 11 seconds.
CLIENT = {
    "connect_timeout": 10, "keepalives_idle": 5, "keepalives_interval": 2, "keepalives_count": 3,
    "tcp_user_timeout": 11_000, "application_name": "automl",
}  # fmt: skip
SERVER = {
    "tcp_keepalives_idle": 5, "tcp_keepalives_interval": 2, "tcp_keepalives_count": 3, "tcp_user_timeout": 11_000,
    "idle_session_timeout": 0,  # a leader is idle while it waits for trainings
}  # fmt: skip
READ_ONLY = "-c default_transaction_read_only=on"


def checked_url(text: str) -> str:
    """A database's URL for SQLAlchemy. UserError if it is not for PostgreSQL or holds a password.

    Messages never show an unchecked URL, since it may hold a password anywhere.
    """
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import ArgumentError

    try:
        url = make_url(text)
    except (ArgumentError, ValueError):
        raise UserError(f"the storage is no database URL; write it as {EXAMPLE}") from None
    if url.drivername not in SCHEMES:
        raise UserError(f"the storage must be a URL such as {EXAMPLE}, not of {url.drivername!r}")
    if url.password is not None or any(name in url.query for name in SECRET):
        raise UserError(
            "the storage's URL holds a password, which every user of this machine could see; leave it out and give it "
            "in the variable PGPASSWORD or in a file (~/.pgpass, or ?passfile=FILE in the URL)"
        )
    return url.set(drivername="postgresql+psycopg").render_as_string(hide_password=False)


def shown(url: str) -> str:
    """A checked URL in the form that users write."""
    return url.replace("postgresql+psycopg:", "postgresql:", 1)


def open_storage(url: str, *, reads_only: bool = False) -> RDBStorage:
    """Optuna's storage at a checked URL, with a new connection for each use. Creates missing tables unless
    ``reads_only``."""
    from optuna.exceptions import StorageInternalError
    from sqlalchemy import NullPool
    from sqlalchemy.exc import ProgrammingError

    with reachable(url):
        if not reads_only:
            with alone(url):
                return _storage(url, poolclass=NullPool)
        try:
            return _storage(url, READ_ONLY, poolclass=NullPool, skip_table_creation=True)
        except (ProgrammingError, StorageInternalError) as error:
            if _sqlstate(error) == "42P01":  # undefined_table
                raise UserError(f"there is no run in {shown(url)}") from None
            raise


def engine_of(url: str) -> Engine:
    """An engine with one connection at a time, which is replaced if it is lost."""
    from sqlalchemy import create_engine

    engine = create_engine(url, connect_args=_client(url), pool_size=1, max_overflow=0)
    _set_at_connect(engine)
    return engine


class LeaderConnection:
    """The only connection by which a process writes to a run; it leads the run while the connection holds its lock.

    The server releases the lock when the connection ends, whatever happens to the process or machine. The connection is
    never replaced, so that nothing is written without the lock.
    """

    def __init__(self, url: str, name: str) -> None:
        """Connect, without the lock. ``url``: checked. ``name``: of the run. UserError if there is no server."""
        from sqlalchemy import event

        open_storage(url)
        with reachable(url):
            self.storage = _storage(
                url, skip_table_creation=True, skip_compatibility_check=True, pool_size=1, max_overflow=0
            )
            self.storage.engine.dispose()
            n_connections = 0

            @event.listens_for(self.storage.engine, "do_connect")
            def _only_once(*_: Any) -> None:
                nonlocal n_connections
                n_connections += 1
                if n_connections > 1:
                    raise ConnectionLost(f"the connection to {shown(url)} was lost")

            with self.storage.engine.connect() as connection:
                self._key = lock_key(connection, name)
        self.url, self.name = url, name

    def taken(self, seconds: float) -> bool:
        """Whether this process leads the run, after waiting for the lock at most this many seconds."""
        from sqlalchemy import text
        from sqlalchemy.exc import OperationalError

        with connected(), self.storage.engine.connect() as connection:
            connection.execute(text(f"SET LOCAL lock_timeout = {max(1, round(1000 * seconds))}"))
            try:
                connection.execute(text("SELECT pg_advisory_lock(:key)"), {"key": self._key})
            except OperationalError as error:
                if _sqlstate(error) == "55P03":  # lock_not_available
                    return False
                raise
        return True

    def close(self) -> None:
        """End the connection, and with it the lock."""
        self.storage.engine.dispose()


@contextmanager
def connected() -> Iterator[None]:
    """Turn errors of a lost connection into ConnectionLost."""
    import psycopg
    from optuna.exceptions import StorageInternalError
    from sqlalchemy.exc import OperationalError, SQLAlchemyError

    try:
        yield
    except (StorageInternalError, SQLAlchemyError, psycopg.OperationalError) as error:
        cannot_connect = isinstance(error, OperationalError) and _sqlstate(error) is None
        if is_disconnected(error) or cannot_connect or isinstance(error, psycopg.OperationalError):
            raise ConnectionLost(f"the connection to the database was lost ({reason(error)})") from error
        raise


def is_led(connection: Connection, name: str) -> bool:
    """Whether some process leads a run."""
    return leader_pid(connection, name) is not None


def leader_pid(connection: Connection, name: str) -> int | None:
    """The PID of the server process that holds the lock of a run."""
    from sqlalchemy import text

    key = lock_key(connection, name) % 2**64
    query = text(
        "SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND granted AND objsubid = 1 AND classid = :high "
        "AND objid = :low AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
    )
    pid: int | None = connection.execute(query, {"high": key >> 32, "low": key % 2**32}).scalar()
    return pid


def lock_key(connection: Connection, name: str) -> int:
    """The key of a run's advisory lock in its database: a signed 64-bit hash of its schema and name."""
    from sqlalchemy import text

    schema = connection.execute(text("SELECT current_schema()")).scalar()
    digest = hashlib.blake2b(f"automl {schema} {name}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, signed=True)


def _storage(
    url: str,
    options: str = "",
    *,
    skip_table_creation: bool = False,
    skip_compatibility_check: bool = False,
    **pool: Any,
) -> RDBStorage:
    """``options``: server options for each connection. ``pool``: SQLAlchemy's options."""
    import optuna

    storage = optuna.storages.RDBStorage(
        url, engine_kwargs={"connect_args": _client(url, options), **pool}, skip_table_creation=skip_table_creation,
        skip_compatibility_check=skip_compatibility_check,
    )  # fmt: skip
    _set_at_connect(storage.engine)
    storage.engine.dispose()  # connections made without the settings
    return storage


def _set_at_connect(engine: Engine) -> None:
    from sqlalchemy import event

    names, values = list(SERVER), [str(value) for value in SERVER.values()]
    known = "SELECT set_config(name, value, false) FROM pg_settings JOIN unnest(%s::text[], %s::text[]) t (name, value)"

    @event.listens_for(engine, "connect")
    def _set(connection: Any, _: Any) -> None:
        connection.execute(f"{known} USING (name)", [names, values])  # older servers lack some
        connection.commit()


def _sqlstate(error: BaseException) -> str | None:
    """The PostgreSQL code of an error."""
    causes = (error, error.__cause__, getattr(error.__cause__, "orig", None))
    return next((code for each in causes if (code := getattr(each, "sqlstate", None)) is not None), None)


def _client(url: str, options: str = "") -> dict[str, Any]:
    """Connection parameters except those in the URL. ``options``: of the server, in addition to the URL's."""
    from sqlalchemy import make_url

    given = make_url(url).query
    own = {name: value for name, value in CLIENT.items() if name not in given}
    return own | {"options": " ".join([*_texts(given.get("options", ())), options])}


def _texts(value: str | Sequence[str]) -> Sequence[str]:
    return [value] if isinstance(value, str) else value


@contextmanager
def alone(url: str) -> Iterator[Connection]:
    """A transaction during which no other process creates tables."""
    from sqlalchemy import NullPool, create_engine, text

    with create_engine(url, poolclass=NullPool, connect_args=_client(url)).connect() as connection:
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": SCHEMA_LOCK})
        yield connection


@contextmanager
def reachable(url: str) -> Iterator[None]:
    """Turn errors on opening a database into a UserError, including a missing driver."""
    from optuna.exceptions import StorageInternalError
    from sqlalchemy.exc import SQLAlchemyError

    try:
        import psycopg  # noqa: F401
    except ImportError:
        raise UserError(
            f"a PostgreSQL storage needs the package psycopg; install it with: {install_command('postgres')}"
        ) from None
    try:
        yield
    except (SQLAlchemyError, StorageInternalError, RuntimeError) as error:
        raise UserError(f"cannot open the storage {shown(url)}: {reason(error)}") from None
