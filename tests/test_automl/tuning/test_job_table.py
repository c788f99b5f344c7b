"""The table of jobs that processes share, on a real server."""

import psycopg
import pytest

from automl.space.parse import load_space
from automl.study.postgres import LeaderConnection, checked_url, engine_of
from automl.study.storage import Store
from automl.study.study import Study
from automl.tuning.job_table import JobTable, make_tables
from automl.tuning.jobs import Job, JobEnded, event_to_json
from automl.tuning.packs import together
from automl.tuning.shared_executor import SharedExecutor
from strategies.base import Proposal

pytestmark = pytest.mark.postgres


@pytest.fixture
def tables(database):
    """The leader's side and a lender's."""
    url = checked_url(database)
    connection, engine = LeaderConnection(url, "run"), engine_of(url)
    Store.create(connection.storage, load_space({"x": {"float": [0, 1]}}), {"task": "t"}, "run")
    make_tables(url)
    yield JobTable(connection.storage.engine, 1), JobTable(engine, 1)
    engine.dispose()
    connection.close()


def test_a_job_goes_to_one_lender_and_nobody_waits_for_it(tables, database):
    leader, lender = tables
    first, second = leader.put(0, "first"), leader.put(1, "second")
    me = lender.join(2)
    with psycopg.connect(database) as another:
        another.execute("SELECT FROM automl_jobs WHERE id = %s FOR UPDATE", [first])  # about to take it
        assert lender.take(me, 2) == [(second, "second")]
    assert lender.take(me, 2) == [(first, "first")]
    assert lender.take(me, 2) == []


def test_events_come_in_order_and_once(tables):
    leader, lender = tables
    jobs = [leader.put(key, "job") for key in (0, 1)]
    me = lender.join(2)
    lender.take(me, 2)
    leader.listen("leader")
    events = [(job, number, f"{job}.{number}") for number in (1, 2) for job in jobs]
    lender.write(me, events, [jobs[0]])
    assert leader.woken(10)
    lender.write(me, [*events, (jobs[1], 3, "more")], [])  # again, after a connection was lost
    assert leader.events({jobs[0]: 0, jobs[1]: 1}) == [
        (jobs[0], 1, f"{jobs[0]}.1"), (jobs[0], 2, f"{jobs[0]}.2"), (jobs[1], 2, f"{jobs[1]}.2"), (jobs[1], 3, "more"),
    ]  # fmt: skip
    assert lender.mine(me) == {jobs[1]: False}


def test_a_lender_that_sends_no_heartbeat_loses_its_jobs(tables, database):
    leader, lender = tables
    job = leader.put(0, "job")
    me, another = lender.join(1), lender.join(4)
    lender.take(me, 1)
    assert leader.n_workers() == 5
    assert leader.remove_dead_lenders() == []
    with psycopg.connect(database) as connection:  # as if much time had passed
        connection.execute("UPDATE automl_lenders SET seen = seen - interval '1 hour'")
    assert lender.heartbeat(another)
    [(lost, host)] = leader.remove_dead_lenders()
    assert (lost, host != "") == (job, True)
    assert leader.n_workers() == 4
    assert not lender.heartbeat(me)
    lender.write(me, [(job, 1, "late")], [job])
    assert leader.events({job: 0}) == []


def test_what_is_dropped_is_gone_once_its_lender_has_ended_it(tables):
    leader, lender = tables
    trained, waiting = leader.put(0, "trained"), leader.put(1, "waiting")
    me = lender.join(1)
    assert lender.take(me, 1) == [(trained, "trained")]
    leader.drop([waiting, trained])
    assert leader.n_dropped() == 1
    assert leader.jobs() == [(trained, 0, "trained")]
    assert lender.mine(me) == {}
    lender.forget_dropped(me, [trained])
    assert leader.n_dropped() == 1
    lender.forget_dropped(me, [])
    assert leader.jobs() == []


def test_of_jobs_that_were_not_started_only_those_still_wanted_wait_again(tables):
    leader, lender = tables
    wanted, dropped, elsewhere = (leader.put(key, f"{key}") for key in range(3))
    me, another = lender.join(2), lender.join(1)
    assert [job for job, _ in lender.take(me, 2)] == [wanted, dropped]
    lender.take(another, 1)
    leader.drop([dropped])
    lender.put_back(me, [wanted, dropped, elsewhere])
    assert lender.take(me, 3) == [(wanted, "0")]
    assert (leader.n_dropped(), lender.mine(another)) == (1, {elsewhere: False})


def test_a_lender_takes_no_more_than_it_asked_for(tables):
    leader, lender = tables
    for key in range(20):
        leader.put(key, f"{key}")
    mes = [lender.join(3) for _ in range(4)]
    assert [len(lender.take(me, 3)) for me in mes] == [3, 3, 3, 3]


@pytest.fixture
def study():
    """Two proposals without an outcome."""
    found = Study(load_space({"x": {"float": [0, 1]}}), 1)
    for trial in range(2):
        found.asked(Proposal(trial, {"x": 0.5}, 1), 0.0)
    return found


def job(key, folder):
    return Job(key, {"x": 0.5}, 0, 1, folder=str(folder / f"{key}"))


def test_what_ended_the_run_of_one_leader_is_trained_again_under_the_next(tables, study, tmp_path):
    table, lender = tables
    leader = SharedExecutor(table, study, tmp_path)
    leader.submit(job(0, tmp_path))
    assert SharedExecutor(table, study, tmp_path).has_found(0)
    me = lender.join(1)
    ((taken, _),) = lender.take(me, 1)
    ended = JobEnded(-taken, 0.0, "rdkit is not installed", fatal=True)
    lender.write(me, [(taken, 1, event_to_json(ended))], [taken])
    (event,) = leader.wait(10)
    assert event.fatal
    assert not SharedExecutor(table, study, tmp_path).has_found(0)


def test_a_program_of_an_earlier_leader_is_trained_again_as_some_of_it_may_have_been_told(tables, study, tmp_path):
    table, _ = tables
    SharedExecutor(table, study, tmp_path).submit(together([job(0, tmp_path), job(1, tmp_path)]))
    after = SharedExecutor(table, study, tmp_path)
    assert not after.has_found(0)
    assert not after.has_found(1)
    assert list(table.jobs()) == []
