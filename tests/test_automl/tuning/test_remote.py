"""What workers on other machines have in common."""

from dataclasses import asdict

import psutil
import pytest

from automl.tasks.function import as_task
from automl.tuning.remote import Supervisor, WorkerSettings
from automl.tuning.worker import Job

JOB = asdict(Job(0, {"x": 0.5}, seed=1, epochs=1))


def test_a_message_that_cannot_be_obeyed_is_an_error_and_nothing_starts_after_the_end():
    """The run does not wait for an answer to a job: it would wait for its events for ever."""
    supervisor = Supervisor(as_task(lambda config: 0.0, {"x": {"float": [0, 1]}}), WorkerSettings(), "name")
    try:
        supervisor.send({"job": {"kind": "unknown"}})
        with pytest.raises(KeyError, match="lanes"):
            supervisor.wait(0.0)
    finally:
        supervisor.close()
    before = set(psutil.Process().children())
    supervisor.send({"job": JOB})
    assert set(psutil.Process().children()) <= before
