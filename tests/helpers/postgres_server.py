"""A private PostgreSQL server in a temporary folder, from the installed binaries.

PostgreSQL refuses to run as root: tests that do start it as ``nobody``.
"""

import os
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psycopg

USER = "automl"


@dataclass
class Server:
    folder: Path
    port: int
    password: str
    n_databases: int = 0
    process: subprocess.Popen | None = field(default=None, repr=False)

    def url(self, database="postgres"):
        """Of a database, without the password."""
        return f"postgresql://{USER}@127.0.0.1:{self.port}/{database}"

    def new_database(self):
        """The URL of an empty database."""
        self.n_databases += 1
        name = f"test{self.n_databases}"
        with psycopg.connect(self.url(), password=self.password, autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}")
        return self.url(name)

    def start(self):
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
                return psycopg.connect(self.url(), password=self.password).close()
            except psycopg.OperationalError:
                assert self.process.poll() is None, (self.folder / "log").read_text()
                time.sleep(0.05)
        raise TimeoutError((self.folder / "log").read_text())

    def stop(self):
        """At once, with all connections."""
        self.process.send_signal(signal.SIGINT)
        self.process.wait(30)


@contextmanager
def postgres_server():
    folder = Path(tempfile.mkdtemp(prefix="automl-postgres-"))
    server = Server(folder, free_port(), secrets.token_hex(8))
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


def program(name):
    """Debian keeps the server's programs, of each version, out of the PATH."""
    found = shutil.which(name)
    if found is None:
        folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda folder: float(folder.parent.name))
        assert folders, "PostgreSQL is not installed: apt-get install postgresql"
        found = str(folders[-1] / name)
    return found


def ordinary_user():
    return {"user": "nobody", "group": "nogroup", "cwd": "/"} if os.geteuid() == 0 else {}


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
