"""Every command into a pipe that nobody reads, as with ``| head -1``."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from processes import begun
from sklearn.datasets import load_diabetes

from automl.cli import COMMANDS, WORK

GOES_ON = "automl: standard output was closed; the command continues\n"
SERVERS = ("serve", "dashboard")


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with a run, whose output was closed, and its data."""
    folder = tmp_path_factory.mktemp("closed")
    frame = load_diabetes(as_frame=True).frame.round(4)
    frame[:300].to_csv(folder / "known.csv", index=False)
    frame[300:].to_csv(folder / "new.csv", index=False)
    assert ended(folder, "run") == (0, GOES_ON)
    return folder


def ended(folder, name):
    """The code of a command whose output is closed, and its errors."""
    port, errors = free_port(), folder / f"{name}.errors"
    with begun("automl", name, *arguments(folder, name, port), out=None, err=errors) as (child, wait):
        if name in SERVERS:
            try:
                assert wait_for(f"http://127.0.0.1:{port}/") == 200
            finally:
                os.kill(child, signal.SIGINT)
        code = wait()
    return code, errors.read_text()


def arguments(folder, name, port):
    run = folder / "run"
    return {
        "run": [
            "--data", folder / "known.csv", "--target", "target", "--model", "linear", "--trials", 2, "--epochs", 1,
            "--workers", 1, "--final-seeds", 1, "--no-learn", "--prior", "none", "--out", run,
        ],
        "predict": [run, "--data", folder / "new.csv", "--out", folder / "predictions.csv"],
        "update": [run, "--data", folder / "new.csv"],
        "export": [run, "--onnx", "--out", folder / "model.onnx"],
        "serve": [run, "--port", port],
        "explain": [run],
        "report": [run],
        "watch": [run],
        "dashboard": [run, "--port", port],
        "select": ["--task", "digits-cnn"],
        "baseline": ["digits"],
        "doctor": [],
        "data": ["list"],
    }[name]  # fmt: skip


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return taken.getsockname()[1]


def wait_for(url):
    for _ in range(600):
        with contextlib.suppress(urllib.error.URLError), urllib.request.urlopen(url, timeout=60) as answer:
            return answer.status
        time.sleep(0.1)
    raise TimeoutError(url)


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in COMMANDS if name != "worker"])  # which needs a run that listens
def test_a_command_whose_output_is_closed_goes_on_to_its_end(place, name):
    if name == "run":
        assert json.loads((place / "run" / "summary.json").read_text())["n_trials"] == 2
        return
    assert ended(place, name) == (0, GOES_ON if name in WORK else "")
    if name == "predict":
        assert len((place / "predictions.csv").read_text().splitlines()) == 143
    elif name == "update":
        assert (place / "run" / "versions").is_dir()


@pytest.mark.parametrize("arguments", [["--help"], ["run", "--list"]])
def test_output_that_does_not_fit_on_the_disk_is_one_line(arguments):
    with Path("/dev/full").open("w") as full:
        shown = subprocess.run(
            [sys.executable, "-m", "automl", *arguments], stdout=full, stderr=subprocess.PIPE, text=True
        )
    line = "automl: No space left on device: 'standard output'; free space and try again\n"
    assert (shown.returncode, shown.stderr) == (2, line)


@pytest.mark.parametrize("arguments", [["--help"], ["run", "--list"], ["data", "list"]])
def test_without_a_reader_there_is_no_error(arguments):
    ours, theirs = os.pipe()
    os.close(ours)
    shown = subprocess.run(
        [sys.executable, "-m", "automl", *arguments], stdout=theirs, stderr=subprocess.PIPE, text=True
    )
    os.close(theirs)
    assert (shown.returncode, shown.stderr.replace(GOES_ON, "")) == (0, "")
