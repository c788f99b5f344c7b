"""Both sides of a run with workers over TCP."""

import os
import time

from automl.tasks.function import as_task
from automl.tuning.jobs import Job
from automl.tuning.remote import WorkerSettings
from automl.tuning.tcp_executor import TcpExecutor
from automl.tuning.tcp_worker import connected

SPACE = {"x": {"float": [0, 1]}}
TOKEN = "a secret of enough characters"


def job(key=0, **changes):
    return Job(**{"key": key, "config": {"x": 0.5}, "seed": 1, "epochs": 3} | changes)


def executor_of(function, *, said=None, token=TOKEN, **options):
    say = print if said is None else said.append
    task = as_task(function, SPACE, max_epochs=options.pop("max_epochs", 3))
    settings = options.pop("settings", WorkerSettings())
    return TcpExecutor(task, settings, listen="127.0.0.1:0", token=token.encode(), say=say, **options)


def until(true, executor=None, seconds=120.0):
    """Wait until it is true, and give the events that have come."""
    events, end = [], time.monotonic() + seconds
    while not true():
        events += executor.wait(0.1) if executor is not None else []
        assert time.monotonic() < end, "it does not happen"
    return events


def line_to(executor):
    """What a worker has once both sides have proved that they know the token."""
    return connected(f"127.0.0.1:{executor.port}", None, TOKEN.encode(), "name")


def heard(line, key):
    """The next message with a key."""
    while key not in (message := line.receive()):
        assert message == {"alive": True}
    return message[key]


def curve(config, seed):
    for _ in range(3):
        yield {"loss": config["x"] + seed, "pid": os.getpid()}
