"""The real commands, each in a process of its own, or in this one."""

import atexit
import functools
import importlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path

from typer.testing import CliRunner

# Commands as children of one process, which has imported already what takes each of them 3 seconds. Not torch, which
# LightGBM should not share a process with.
SERVER = """
import json, os, runpy, sys
import alembic.command, alembic.migration, jinja2, optuna.storages._rdb.models, optuna.storages._rdb.storage, pandas
import plotly.offline, pydantic.type_adapter, scipy.stats, sklearn.ensemble, sklearn.pipeline
import sqlalchemy.dialects.sqlite, yaml
import automl.analysis.report, automl.cli.dispatch, automl.cli.run, automl.deployment.predictor, automl.study.open_study
from automl.models.skops_format import estimator_bytes
from automl.study.sqlite import empty_database

empty_database()
estimator_bytes(sklearn.pipeline.Pipeline([("model", sklearn.ensemble.RandomForestClassifier())]))  # imports skops
automl.analysis.report.environment().get_template("report.html")

for line in sys.stdin:
    job = json.loads(line)
    child = os.fork()
    if not child:
        os.chdir(job["cwd"])
        os.environ.clear()
        os.environ.update(job["env"])
        sys.path[0] = job["cwd"]
        for place, file in enumerate((os.devnull, job["out"], job["err"])):
            if file is not None:
                os.dup2(os.open(file, os.O_RDWR | os.O_CREAT | os.O_TRUNC), place)
            else:
                read, write = os.pipe()
                os.close(read)
                os.dup2(write, place)
        sys.stdin = open(0, closefd=False)
        sys.argv = [job["module"], *job["arguments"]]
        runpy.run_module(job["module"], run_name="__main__", alter_sys=True)
        sys.exit()
    print(child, flush=True)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


@functools.cache
def _server():
    """The process of which commands are children; it ends with this one."""
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    server = subprocess.Popen([sys.executable, "-c", SERVER], text=True, **pipes)
    atexit.register(server.communicate)  # closes what it reads from
    return server


def command(name, *arguments, code=0, cwd=None, env=None):
    """Run ``automl NAME``, which must end with the code. Gives what it prints, and its errors."""
    return module("automl", name, *arguments, code=code, cwd=cwd, env=env)


def module(name, *arguments, code=0, cwd=None, env=None):
    """The same for ``python -m NAME``."""
    with tempfile.TemporaryDirectory() as folder:
        out, err = (Path(folder) / stream for stream in ("out", "err"))
        with begun(name, *arguments, out=out, err=err, cwd=cwd, env=env) as (_, wait):
            ended = wait()
        printed, errors = out.read_text(), err.read_text()
    assert ended == code, printed + errors
    return printed, errors


@contextmanager
def begun(name, *arguments, out, err, cwd=None, env=None):
    """Start ``python -m NAME``, one at a time. Gives the number of its process, and a function that waits for its code.

    ``out``, ``err``: files to write to; None: a pipe that nobody reads.
    """
    server = _server()
    job = {
        "module": name, "arguments": [*map(str, arguments)], "cwd": str(cwd or Path.cwd()),
        "env": env or {**os.environ}, "out": out and str(out), "err": err and str(err),
    }  # fmt: skip
    print(json.dumps(job), file=server.stdin, flush=True)
    child = int(server.stdout.readline())
    try:
        yield child, lambda: int(server.stdout.readline())
    except BaseException:  # such as a time limit of the test
        os.kill(child, signal.SIGKILL)
        server.stdout.readline()  # its code, which would be taken for that of the next one
        raise


def invoke(name, *arguments, code=0):
    """Run ``automl NAME`` in this process, for commands that take less time than starting one. Gives what it prints.

    Errors that the user can fix are raised as a UserError.
    """
    app = importlib.import_module(f"automl.cli.{name}").app
    done = CliRunner().invoke(app, [*map(str, arguments)], catch_exceptions=False, env={"COLUMNS": "200"})
    assert done.exit_code == code, done.output
    return done.output


def listens_on_loopback_alone(port):
    """Whether a port answers at 127.0.0.1, and not at another address of this machine."""
    socket.create_connection(("127.0.0.1", port), timeout=60).close()
    try:
        socket.create_connection(("127.0.0.2", port), timeout=60).close()
    except ConnectionRefusedError:
        return True
    return False
