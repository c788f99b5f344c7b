"""A private PostgreSQL server in a temporary folder, from the installed binaries.

PostgreSQL refuses to run as root: for root it is started as ``nobody``.
"""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from automl.errors import UserError

USER = "automl"


@dataclass
class PostgresServer:
    """A server on the loopback interface, with its files in a folder."""

    folder: Path
    port: int
    password: str = field(repr=False)
    n_databases: int = 0
    process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    def url(self, database: str = "postgres") -> str:
        """The URL of a database, without the password."""
        return f"postgresql://{USER}@127.0.0.1:{self.port}/{database}"

    def new_database(self) -> str:
        """The URL of an empty database."""
        import psycopg

        self.n_databases += 1
        name = f"test{self.n_databases}"
        with psycopg.connect(self.url(), password=self.password, autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}".encode())
        return self.url(name)

    def start(self) -> None:
        """Start the server and wait until it answers. TimeoutError after 30 s."""
        import psycopg

        options = ["-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories=", "-c", "fsync=off"]
        with (self.folder / "log").open("a") as log:
            self.process = subprocess.Popen(
                [program("postgres"), "-D", self.folder / "data", "-p", str(self.port), *options],
                stderr=log,
                **ordinary_user(),
            )
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            try:
                psycopg.connect(self.url(), password=self.password).close()
                return
            except psycopg.OperationalError:
                assert self.process.poll() is None, (self.folder / "log").read_text()
                time.sleep(0.05)
        raise TimeoutError((self.folder / "log").read_text())

    def stop(self) -> None:
        """Stop the server at once, with all connections."""
        assert self.process is not None
        self.process.send_signal(signal.SIGINT)
        self.process.wait(30)


@contextmanager
def postgres_server() -> Iterator[PostgresServer]:
    """A server for the duration of the context. UserError if PostgreSQL is not installed."""
    folder = Path(tempfile.mkdtemp(prefix="automl-postgres-"))
    server = PostgresServer(folder, free_port(), secrets.token_hex(8))
    try:
        (folder / "password").write_text(server.password)
        if os.geteuid() == 0:
            shutil.chown(folder, "nobody")
            shutil.chown(folder / "password", "nobody")
        subprocess.run(
            [
                program("initdb"), "-D", folder / "data", "-U", USER, "-E", "UTF8", "--locale=C", "--no-sync",
                "--auth=scram-sha-256", f"--pwfile={folder / 'password'}",
            ],
            check=True, capture_output=True, **ordinary_user(),
        )  # fmt: skip
        server.start()
        yield server
    finally:
        if server.process is not None and server.process.poll() is None:
            server.stop()
        shutil.rmtree(folder)


def program(name: str) -> str:
    """The path of a server program; Debian keeps these out of the PATH, in a folder per version."""
    found = shutil.which(name)
    if found is None:
        folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda folder: float(folder.parent.name))
        if not folders:
            raise UserError("PostgreSQL is not installed; install it with: apt-get install postgresql")
        found = str(folders[-1] / name)
    return found


def ordinary_user() -> dict[str, Any]:
    """Options of a process that must not run as root."""
    return {"user": "nobody", "group": "nogroup", "cwd": "/"} if os.geteuid() == 0 else {}


def free_port() -> int:
    """A port that nothing listens on at the moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port
