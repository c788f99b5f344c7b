"""What workers on other machines have in common."""

from dataclasses import asdict

import psutil
import pytest
from slow_lanes import SlowLanes

from automl.tasks.function import as_task
from automl.tuning.jobs import EpochDone, JobEnded, LaneEnded
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


def test_a_lane_is_stopped_and_the_others_of_its_program_go_on():
    lanes = [asdict(Job(key, {"x": 0.5}, 1, epochs, folder=f"{key}")) for key, epochs in ((4, 30), (7, 1_000))]
    supervisor, events = Supervisor(SlowLanes(), WorkerSettings(), "name"), []
    try:
        supervisor.send({"job": lanes[0] | {"key": 0, "lanes": lanes}})
        while not any(isinstance(event, JobEnded) for event in events):
            is_first = not events
            events += supervisor.wait(10.0)
            if is_first and events:
                supervisor.send({"stop": 7})
    finally:
        supervisor.close()
    assert {event.lane: event.error for event in events if isinstance(event, LaneEnded)} == {4: None, 7: None}
    trained = [event.lane for event in events if isinstance(event, EpochDone)]
    assert trained.count(4) == 30
    assert trained.count(7) < 1_000
