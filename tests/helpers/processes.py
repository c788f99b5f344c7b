"""The real commands, each in a process of its own, or in this one."""

import importlib
import socket
import subprocess
import sys

from typer.testing import CliRunner


def command(name, *arguments, code=0):
    """Run ``automl NAME``, which must end with the code. Gives what it prints, and its errors."""
    shown = subprocess.run(
        [sys.executable, "-m", "automl", name, *map(str, arguments)], capture_output=True, text=True, timeout=300
    )
    assert shown.returncode == code, shown.stdout + shown.stderr
    return shown.stdout, shown.stderr


def invoke(name, *arguments):
    """Run ``automl NAME`` in this process, for commands that take less time than starting one. Gives what it prints.

    Errors that the user can fix are raised as a UserError.
    """
    app = importlib.import_module(f"automl.cli.{name}").app
    done = CliRunner().invoke(app, [*map(str, arguments)], catch_exceptions=False, env={"COLUMNS": "200"})
    assert done.exit_code == 0, done.output
    return done.output


def listens_on_loopback_alone(port):
    """Whether a port answers at 127.0.0.1, and not at another address of this machine."""
    socket.create_connection(("127.0.0.1", port), timeout=60).close()
    try:
        socket.create_connection(("127.0.0.2", port), timeout=60).close()
    except ConnectionRefusedError:
        return True
    return False
