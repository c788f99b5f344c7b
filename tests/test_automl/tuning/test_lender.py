"""A process that lends its workers, against jobs that somebody else has put into the database."""

import json
import time
from dataclasses import asdict

import pytest
from slow_lanes import SlowLanes

from automl.errors import UserError
from automl.space.parse import load_space
from automl.study.postgres import LeaderConnection, checked_url, engine_of
from automl.study.storage import Store
from automl.tasks.function import as_task
from automl.tuning import job_table
from automl.tuning.executor import SerialExecutor
from automl.tuning.job_table import JobTable, make_tables
from automl.tuning.jobs import Job
from automl.tuning.lender import Lender
from automl.tuning.packs import together
from automl.tuning.process_executor import ProcessExecutor

pytestmark = pytest.mark.postgres
SPACE = load_space({"x": {"float": [0, 1]}})


def test_a_job_cannot_name_a_folder_outside_of_the_run(database, tmp_path):
    url = checked_url(database)
    connection, engine = LeaderConnection(url, "run"), engine_of(url)
    Store.create(connection.storage, SPACE, {"task": "t"}, "run")
    make_tables(url)
    task = as_task(lambda config, folder: config["x"], SPACE)
    table = JobTable(connection.storage.engine, 1)
    table.put(0, json.dumps(asdict(Job(0, {"x": 0.5}, 0, 1, folder="../outside"))))
    lender = Lender(JobTable(engine, 1), SerialExecutor(task), tmp_path / "run", "cpu")
    with pytest.raises(UserError, match=r"a folder outside of the run's: '\.\./outside'"):
        watch(lender)
    lender.close()
    engine.dispose()
    connection.close()
    assert list(tmp_path.iterdir()) == []


def test_a_training_that_is_stopped_stops_no_lane_with_the_number_of_its_job(database, tmp_path):
    url = checked_url(database)
    connection, engine = LeaderConnection(url, "run"), engine_of(url)
    Store.create(connection.storage, SPACE, {"task": "t"}, "run")
    make_tables(url)
    table = JobTable(connection.storage.engine, 1)
    single, *lanes = (
        Job(key, {"x": 0.5}, 1, epochs, folder=f"{key}") for key, epochs in ((0, 1_000), (1, 60), (2, 60))
    )
    alone = table.put(0, json.dumps(asdict(single)))
    program = table.put(1, json.dumps(asdict(together(lanes))))
    assert alone == lanes[0].key
    lender = Lender(JobTable(engine, 1), ProcessExecutor(SlowLanes(), 2), tmp_path / "run", "cpu")
    try:
        found = {alone: [], program: []}
        deadline = time.monotonic() + 60
        while not all(any(event["event"] == "JobEnded" for event in events) for events in found.values()):
            for job, _, content in table.events({job: len(events) for job, events in found.items()}):
                found[job].append(json.loads(content))
            if all(found.values()):
                table.stop(alone)
            lender.check()
            assert time.monotonic() < deadline
            time.sleep(0.05)
    finally:
        lender.close()
        engine.dispose()
        connection.close()
    assert len(found[alone]) < 1_000
    trained = [event["lane"] for event in found[program] if event["event"] == "EpochDone"]
    assert [trained.count(lane.key) for lane in lanes] == [60, 60]


def test_jobs_that_were_killed_in_an_outage_are_lost_even_if_nobody_noticed(postgres, database, tmp_path, monkeypatch):
    """Taken again under the same id, their first events would count as known."""
    monkeypatch.setattr(job_table, "LEASE_SECONDS", 1.5)
    url = checked_url(database)
    connection, engine, later = LeaderConnection(url, "run"), engine_of(url), engine_of(url)
    Store.create(connection.storage, SPACE, {"task": "t"}, "run")
    make_tables(url)
    table = JobTable(connection.storage.engine, 1)
    job = table.put(0, json.dumps(asdict(Job(0, {"x": 0.5}, 1, 1_000, folder="0"))))
    lender = Lender(JobTable(engine, 1), ProcessExecutor(SlowLanes(), 1), tmp_path / "run", "cpu")
    try:
        until(lambda: table.events({job: 0}), lender)
        first = lender.id
        postgres.stop()
        time.sleep(3)
        postgres.start()
        until(lambda: lender.id != first, lender)
        assert [lost for lost, _ in JobTable(later, 1).remove_dead_lenders()] == [job]
    finally:
        lender.close()
        for each in (engine, later):
            each.dispose()
        connection.close()


def until(true, lender):
    deadline = time.monotonic() + 60
    while not true():
        lender.check()
        assert time.monotonic() < deadline
        time.sleep(0.05)


def watch(lender):
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        lender.check()
        time.sleep(0.05)
