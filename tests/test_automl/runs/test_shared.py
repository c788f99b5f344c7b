"""Runs that several processes share through PostgreSQL, with real processes that are killed or stand still."""

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import ExitStack

import pytest

import automl
from automl.errors import UserError
from automl.space.parse import load_space
from automl.study.location import located
from automl.study.run_folder import write_atomic
from automl.study.snapshot import look
from automl.study.trial import AskEntry, TellEntry
from automl.task import Epoch
from strategies import make_strategy

pytestmark = pytest.mark.postgres
SPACE = {"x": {"float": [0, 1]}, "n": {"int": [1, 100]}}
PROCESS = """
import json, os, sys, time
from pathlib import Path
import automl
from automl.study.run_folder import write_atomic
from automl.tuning import job_table

url, folder, n_trials, job_table.LEASE_SECONDS = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4])
space = json.loads(sys.argv[5])

def training(config, seed=0, epochs=3, folder=None):
    place, number = folder.parents[2], folder.name.partition(".")[0]
    (place / f"begun-{number}-{os.getpid()}-{time.time_ns()}").touch()
    while int(number) >= int((place / "limit").read_text()):
        time.sleep(0.05)
    for epoch in range(1 + len(list(folder.glob("epoch-*"))), epochs + 1):
        (folder / f"epoch-{epoch}").touch()
        yield config["x"] + 1 / epoch

def leads(result, trial):
    write_atomic(folder.parent / "leader", str(os.getpid()))

result = automl.tune(training, space, strategy="tpe", n_trials=n_trials, storage=url, study=folder, callbacks=[leads])
print(json.dumps([result.stop_reason, [[t.number, t.state, t.loss] for t in result.trials]]))
"""


def started(stack, url, folder, n_trials, lease):
    arguments = [url, str(folder), str(n_trials), str(lease), json.dumps(SPACE)]
    script = [sys.executable, "-W", "ignore", "-c", PROCESS, *arguments]
    process = subprocess.Popen(script, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    stack.callback(process.communicate)
    stack.callback(process.kill)
    return process


def wait_for(found, processes, seconds=150):
    """What ``found`` gives once it gives something."""
    deadline = time.monotonic() + seconds
    while not (value := found()):
        if time.monotonic() > deadline:
            for process in processes:
                process.kill()
            raise TimeoutError([process.communicate() for process in processes])
        time.sleep(0.2)
    return value


def log_with(url, n_told, n_running, processes):
    """The log of the run, once there are as many outcomes, and as many proposals without."""

    def found():
        try:
            log = look(located(url)).study.log
        except UserError:
            return None  # no run yet
        told = sum(isinstance(entry, TellEntry) for entry in log)
        return log if told >= n_told and len(log) - told >= n_told + n_running else None

    return wait_for(found, processes)


def n_begun(place, trial):
    """Trainings of a trial."""
    return len(list(place.glob(f"begun-{trial:04d}-*")))


def next_proposal(log):
    """Of a strategy that knows this log."""
    strategy = make_strategy("tpe", load_space(SPACE), seed=0, n_trials=20, max_epochs=3)
    for entry in log:
        if isinstance(entry, AskEntry):
            strategy.restore(entry.proposal)
        else:
            strategy.tell(entry.outcome)
    return strategy.ask()


def test_leaders_are_killed_or_stand_still_and_no_told_trial_is_lost(database, tmp_path):
    """One leader is killed, and the next one stopped until a third has taken over. Trainings wait meanwhile."""
    folder, limit, leader = tmp_path / "run", tmp_path / "limit", tmp_path / "leader"
    write_atomic(limit, "6")
    with ExitStack() as stack:
        all_ = {process.pid: process for process in (started(stack, database, folder, 20, 4) for _ in range(3))}
        at_kill = log_with(database, 6, 3, all_.values())
        killed = int(leader.read_text())
        os.kill(killed, signal.SIGKILL)
        write_atomic(limit, "12")
        at_stop = log_with(database, 10, 2, all_.values())
        stopped = int(leader.read_text())
        os.kill(stopped, signal.SIGSTOP)
        write_atomic(limit, "20")
        wait_for(lambda: int(leader.read_text()) != stopped, all_.values())
        os.kill(stopped, signal.SIGCONT)
        results = []
        for pid in all_.keys() - {killed}:
            out, err = all_[pid].communicate(timeout=150)
            assert all_[pid].returncode == 0, err
            results.append(json.loads(out))
    assert stopped != killed
    assert results[0] == results[1]
    reason, trials = results[0]
    assert reason == "budget spent"
    assert [(number, state) for number, state, _ in trials] == [(i, "complete") for i in range(20)]
    log = look(located(database)).study.log
    for before in (at_kill, at_stop):
        assert log[: len(before)] == before
        i = next(i for i in range(len(before), len(log)) if isinstance(log[i], AskEntry))
        assert next_proposal(log[:i]) == log[i].proposal
    assert sorted(n_begun(tmp_path, number) for number in (6, 7, 8)) == [1, 1, 2]  # the killed one's again


def test_the_database_restarts_and_the_leader_is_interrupted(postgres, database, tmp_path):
    folder, limit, leader = tmp_path / "run", tmp_path / "limit", tmp_path / "leader"
    write_atomic(limit, "3")
    with ExitStack() as stack:
        all_ = {process.pid: process for process in (started(stack, database, folder, 12, 60) for _ in range(2))}
        before = log_with(database, 3, 2, all_.values())
        postgres.stop()
        postgres.start()
        write_atomic(limit, "8")
        between = log_with(database, 8, 2, all_.values())
        interrupted = int(leader.read_text())
        os.kill(interrupted, signal.SIGINT)
        out, err = all_[interrupted].communicate(timeout=150)
        assert json.loads(out)[0] == "interrupted", err
        write_atomic(limit, "12")
        [other] = all_.keys() - {interrupted}
        out, err = all_[other].communicate(timeout=150)
        assert all_[other].returncode == 0, err
    reason, trials = json.loads(out)
    assert reason == "budget spent"
    assert [(number, state) for number, state, _ in trials] == [(i, "complete") for i in range(12)]
    log = look(located(database)).study.log
    assert log[: len(before)] == before
    assert log[: len(between)] == between
    assert [n_begun(tmp_path, number) for number in (3, 4)] == [1, 1]  # they went on without the database


def test_an_interrupt_that_breaks_the_connection_ends_the_run(postgres, database, tmp_path):
    """As Ctrl-C amid a query does."""

    def training(config):
        return config["x"]

    def breaks(result, trial):
        if trial.number == 2:
            postgres.stop()
            postgres.start()
            raise KeyboardInterrupt

    options = {"strategy": "random", "storage": database, "study": tmp_path / "run", "n_workers": 1}
    with pytest.warns(match="interrupted: the result has 3 finished trials"):
        result = automl.tune(training, SPACE, n_trials=5, callbacks=[breaks], **options)
    assert result.stop_reason == "interrupted"
    assert [trial.state for trial in result.trials[:3]] == ["complete"] * 3
    assert automl.tune(training, SPACE, n_trials=5, resume=True, **options).study.n_ended == 5


def test_a_run_of_one_process_is_the_same_as_with_sqlite(database, tmp_path):
    """Trials that pause and continue included."""

    class Steps:
        name, space, max_epochs, resumable, metric, maximize = "steps", load_space(SPACE), 9, True, "loss", False

        def train(self, config, *, seed, epochs, checkpoint, device):
            for epoch in range(1 + len(list(checkpoint.iterdir())), epochs + 1):
                (checkpoint / str(epoch)).touch()
                yield Epoch(epoch, config["x"] + 1 / epoch, {}, 0.0)

        def test(self, checkpoint, device):
            return {}

    options = {"strategy": "random+asha", "n_trials": 6, "progress": False}
    here = automl.tune(Steps(), study=tmp_path / "here" / "run", **options)
    there = automl.tune(Steps(), study=tmp_path / "there" / "run", storage=database, **options)
    facts = [[(t.config, t.losses, t.state, t.error) for t in result.trials] for result in (here, there)]
    assert facts[0] == facts[1]
    assert {state for _, _, state, _ in facts[0]} == {"complete", "paused"}
    with pytest.raises(UserError, match="has ended; resume=True extends it"):
        automl.tune(Steps(), study=tmp_path / "there" / "run", storage=database, **options)
    with pytest.raises(UserError, match="is not the folder of the run 'run'; all its processes need one folder"):
        automl.tune(Steps(), study=tmp_path / "elsewhere" / "run", storage=database, resume=True, **options)
    more = automl.tune(
        Steps(), study=tmp_path / "there" / "run", storage=database, resume=True, **options | {"n_trials": 7}
    )
    assert len(more.trials) > len(there.trials)
