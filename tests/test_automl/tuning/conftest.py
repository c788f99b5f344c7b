"""A search that is watched, and workers of the real command."""

import subprocess
import sys

import pytest
from tcp_workers import TOKEN

import automl
from automl.tuning.tuner import Tuner


@pytest.fixture
def tune_watched(monkeypatch):
    """``automl.tune``, with a function that is called after each round of the loop."""

    def tune(*arguments, watch, **options):
        with monkeypatch.context() as patch:
            patch.setattr("automl.runs.search.Tuner", lambda *a, **kw: Tuner(*a, **kw | {"watch": watch}))
            return automl.tune(*arguments, **options)

    return tune


@pytest.fixture
def worker(tmp_path):
    """Starts the real command; what still runs is killed at the end."""

    def start(port, *options, token=TOKEN, host="127.0.0.1"):
        (tmp_path / "token").write_text(token)
        command = [sys.executable, "-m", "automl", "worker", "--connect", f"{host}:{port}"]
        options = ["--token-file", tmp_path / "token", "--workers", "1", *options]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        started.append(subprocess.Popen([*command, *map(str, options)], **pipes))
        return started[-1]

    started = []
    yield start
    for process in started:
        process.kill()
        process.communicate()
