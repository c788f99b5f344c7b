"""Trainings on a real Ray cluster of several nodes, on this machine: they come, go, and die with what they train."""

import json
import os
import signal
import stat
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import pytest
import ray
from ray._common.usage import usage_lib
from ray.cluster_utils import Cluster

import automl
from automl.errors import UserError
from automl.space.parse import load_space
from automl.study.run_folder import TrialFolders
from automl.study.study import Study
from automl.task import Epoch
from automl.tasks.function import as_task
from automl.tuning.jobs import EpochDone, Job, JobEnded
from automl.tuning.process_executor import ProcessExecutor
from automl.tuning.ray_executor import RayExecutor, connect, room
from automl.tuning.remote import SHARED, WorkerSettings
from automl.tuning.tuner import Tuner
from strategies import make_strategy

pytestmark = pytest.mark.cluster  # run alone: two clusters on one machine starve each other

SPACE = {"x": {"float": [0, 1]}}
NODE = {"num_cpus": 1, "object_store_memory": 100 * 2**20}


@pytest.fixture(scope="module")
def cluster():
    os.environ.pop("RAY_USAGE_STATS_ENABLED", None)
    made = Cluster(initialize_head=True, head_node_args=NODE | {"num_cpus": 0, "include_dashboard": False})
    connect(made.address)
    yield made
    ray.shutdown()
    made.shutdown()


@pytest.fixture
def nodes(cluster):
    """Adds a node, and removes those of the test at its end."""

    def add(**changes):
        added.append(cluster.add_node(**NODE | changes))
        return added[-1]

    added = []
    yield add
    for node in [node for node in added if node in cluster.worker_nodes]:
        cluster.remove_node(node)


def job(key=0, **changes):
    return Job(**{"key": key, "config": {"x": 0.5}, "seed": 1, "epochs": 3} | changes)


def executor_of(function, folder=None, *, max_epochs=3, say=print, **options):
    settings = WorkerSettings(options.pop("trial_seconds", None), folder=None if folder is None else str(folder))
    return RayExecutor(as_task(function, SPACE, max_epochs=max_epochs), settings, say=say, **options)


def until(true, executor=None, seconds=180.0):
    """Wait until it is true, and give the events that have come."""
    events, end = [], time.monotonic() + seconds
    while not true():
        events += executor.wait(0.1) if executor is not None else []
        assert time.monotonic() < end, "it does not happen"
    return events


def test_trainings_that_end_fail_hang_and_die_are_those_of_local_workers(nodes):
    def objective(config, seed):
        import os
        import time

        yield 1.0
        if seed == 1:
            raise LookupError("no luck")
        if seed == 2:
            time.sleep(1000)
        if seed == 3:
            os._exit(7)
        yield float(seed)

    nodes(num_cpus=2)
    with executor_of(objective, max_epochs=2, trial_seconds=2) as executor:
        until(lambda: executor.n_workers == 2, executor)
        waiting, ended, losses = [job(seed, seed=seed, epochs=2) for seed in range(6)], {}, Counter()
        while len(ended) < 6:
            while waiting and executor.n_free:
                executor.submit(waiting.pop(0))
            for event in executor.wait(1.0):
                if isinstance(event, EpochDone):
                    losses[event.key] += event.epoch.loss
                elif isinstance(event, JobEnded):
                    ended[event.key] = event.error
    assert ended == {
        0: None, 1: "LookupError: no luck", 2: "too slow: it took longer than 2 s, the limit of a trial",
        3: "the training process died (exit status 7)", 4: None, 5: None,
    }  # fmt: skip
    assert losses == {0: 1, 1: 1, 2: 1, 3: 1, 4: 5, 5: 6}


def test_workers_reserve_cores_and_shares_of_gpus(nodes):
    node = nodes(num_cpus=2, num_gpus=1).node_id
    until(lambda: node in room(1.0, 0.0))
    assert [room(*share)[node] for share in ((1.0, 0.5), (1.0, 1.0), (2.0, 0.0), (0.5, 0.0))] == [2, 1, 1, 4]
    with executor_of(lambda config: 0.5, max_epochs=1, gpus=0.5) as executor:
        until(lambda: executor.n_workers == 2, executor)
        for key in range(2):
            executor.submit(job(key, epochs=1))
        events = until(lambda: executor.n_free == 2, executor)
    assert [event.error for event in events if isinstance(event, JobEnded)] == [None] * 2


def test_a_run_does_not_report_the_use_of_ray(cluster):
    assert not usage_lib.usage_stats_enabled()


def objective(config, seed, folder):
    """Two trials at a time wait after an epoch until the stage that they belong to is over."""
    import time

    for epoch in range(3):
        (folder / "epochs").write_text(str(epoch))
        yield config["x"] + seed % 7 + 1 / (epoch + 1)
        while not (folder.parent / f"stage-{min(int(folder.name[:4]) // 2, 5)}").exists():
            time.sleep(0.05)


def search(executor, folder, watch=None, say=print):
    """A reproducible search with two proposals at a time, whatever the executor has."""
    task = as_task(objective, SPACE, max_epochs=3)
    study = Study(task.space, task.max_epochs)
    strategy = make_strategy("tpe", task.space, seed=0, n_trials=14, max_epochs=3)
    Tuner(
        task, strategy, study, executor, n_trials=14, seed=0, folders=TrialFolders(folder), reproducible=True,
        n_pending=2, watch=watch, warn=say,
    ).run()  # fmt: skip
    return study


def facts(study):
    return [(t.number, t.config, t.losses, t.state, t.error) for t in study.trials.values()]


def drain(cluster, node):
    """As `ray drain-node`, which a scheduler calls before it takes a machine away."""
    from ray._raylet import GcsClient
    from ray.core.generated import autoscaler_pb2

    reason = autoscaler_pb2.DrainNodeReason.Value("DRAIN_NODE_REASON_PREEMPTION")
    deadline = (time.time_ns() // 1_000_000) + 3_600_000
    accepted, why = GcsClient(address=cluster.address).drain_node(node.node_id, reason, "maintenance", deadline)
    assert accepted, why


def test_nodes_are_killed_added_drained_and_all_gone_and_back_and_the_trials_are_the_same(cluster, nodes, tmp_path):
    lines, mine, over, drained = [], [nodes()], [], []

    def happen(tuner):
        """The next thing once two trials have trained an epoch, or one where there is one worker."""
        training = {a.node for a in executor._workers if a.job and tuner.running[a.job.key].losses}
        there = {node.node_id for node in mine[-2:]}  # a node that has just died may still seem to train
        if len(over) == 1 and len(training) == 1:
            mine.append(nodes())
        elif len(over) == 2 and training == there:
            cluster.remove_node(mine[0], allow_graceful=False)
            mine.append(nodes())
        elif len(over) == 3 and training == there:
            if not drained:
                drained.append(drain(cluster, mine[2]))
            if not any(actor.leaving for actor in executor._workers):
                return  # it has not been seen yet
        elif len(over) == 4 and training == {mine[1].node_id} and executor.n_workers == 1:
            cluster.remove_node(mine[1], allow_graceful=False)
            cluster.remove_node(mine[2], allow_graceful=False)
        elif len(over) == 5 and executor.n_workers == 0:
            nodes(num_cpus=2)
        else:
            return
        end_stage()

    def end_stage():
        (tmp_path / "trials" / f"stage-{len(over)}").touch()
        over.append(time.monotonic())

    (tmp_path / "trials").mkdir()
    end_stage()
    with executor_of(objective, tmp_path / "trials", say=lines.append) as executor:
        found = search(executor, tmp_path / "trials", happen, lines.append)
    assert len(over) == 6
    assert [line for line in lines if "trained again" not in line] == [
        "no workers are left; the run continues when one joins"
    ]
    assert 2 <= len(lines) - 1 <= 3
    assert {trial.state for trial in found.trials.values()} == {"complete"}

    (tmp_path / "local").mkdir()
    for stage in range(6):
        (tmp_path / "local" / f"stage-{stage}").touch()
    with ProcessExecutor(as_task(objective, SPACE, max_epochs=3), 2) as local:
        assert facts(search(local, tmp_path / "local")) == facts(found)


def test_an_actor_that_is_killed_loses_its_job_and_a_spare_takes_its_place(nodes):
    def objective(config):
        import os
        import time

        yield float(os.getppid())
        time.sleep(1000)

    nodes(num_cpus=2)
    with executor_of(objective, max_workers=1) as executor:
        until(lambda: sum(actor.ready for actor in executor._workers) == 2, executor)
        assert (executor.n_workers, executor.n_free) == (1, 1)
        executor.submit(job())
        events = []
        until(lambda: events or events.extend(executor.wait(0.5)))
        os.kill(int(events[0].epoch.loss), signal.SIGKILL)
        ended = until(lambda: executor.n_free == 1, executor)
        assert [(event.key, event.lost) for event in ended] == [(0, True)]
        assert executor.n_workers == 1  # the spare, at once


@dataclass(frozen=True)
class Reads:
    """Its loss is the number of bytes in its data; the metric, whether they were unpacked on this machine."""

    data: str
    name: str = "reads"
    max_epochs: int = 1
    resumable: bool = False
    metric: str = "unpacked"
    maximize: bool = True

    @property
    def space(self):
        return load_space(SPACE)

    def train(self, config, *, seed, epochs, checkpoint, device):
        files = [file for file in Path(self.data).rglob("*") if file.is_file()]
        yield Epoch(1, float(sum(file.stat().st_size for file in files)), {"inode": float(files[0].stat().st_ino)}, 0.1)

    def test(self, checkpoint, device):
        return {}


def test_task_and_data_are_unpacked_once_on_a_machine_and_removed_after_the_run(nodes, tmp_path):
    (tmp_path / "data" / "deep").mkdir(parents=True)
    (tmp_path / "data" / "deep" / "rows").write_bytes(b"x" * 1000)
    nodes(num_cpus=2)
    with RayExecutor(Reads(str(tmp_path / "data")), WorkerSettings(), data=tmp_path / "data", say=print) as executor:
        until(lambda: executor.n_workers == 2, executor)
        for key in range(2):
            executor.submit(job(key, epochs=1))
        events = until(lambda: executor.n_free == 2, executor)
        unpacked = Path(tempfile.gettempdir()) / f"automl-{os.getuid()}" / executor._parcel.key
        assert unpacked.exists()
    epochs = [event.epoch for event in events if isinstance(event, EpochDone)]
    assert [epoch.loss for epoch in epochs] == [1000] * 2
    inodes = {epoch.metrics["inode"] for epoch in epochs}
    assert len(inodes) == 1  # of one file,
    assert inodes != {float((tmp_path / "data" / "deep" / "rows").stat().st_ino)}  # which is not the original
    assert not unpacked.exists()


def test_a_function_is_tuned_on_a_cluster_from_python(nodes, tmp_path):
    nodes(num_cpus=2)
    result = automl.tune(
        lambda config, folder: config["x"] + len(list(folder.parent.glob("*.attempt"))) / 10, SPACE,
        strategy="random", n_trials=6, executor=automl.Machines("ray"), study=tmp_path / "run",
    )  # fmt: skip
    assert [trial.state for trial in result.trials] == ["complete"] * 6
    lines = [json.loads(line) for line in (tmp_path / "run" / "run.log").read_text().splitlines()]
    assert max(line["n"] for line in lines if line["event"] == "workers") == 2


def test_a_folder_that_the_machines_do_not_share_is_one_line(nodes, tmp_path):
    with executor_of(lambda config: 0.0, tmp_path / "trials") as executor:
        (tmp_path / "trials" / SHARED).unlink()
        nodes()
        with pytest.raises(UserError, match=r"no machine of the cluster can train: .* does not see the run's folder"):
            until(lambda: False, executor)


def test_a_process_trains_on_no_other_cluster_than_the_one_that_was_named(cluster):
    connect(cluster.address)
    connect(cluster.address.replace(cluster.address.rpartition(":")[0], "localhost"))
    with pytest.raises(UserError, match=rf"connected to the Ray cluster at {cluster.address}, not at 127\.0\.0\.1:1;"):
        connect("127.0.0.1:1")


def test_a_cluster_that_a_run_starts_is_for_its_machine_and_its_user(tmp_path):
    code = """
import psutil
from automl.tuning.ray_executor import connect

connect("local")
processes = psutil.Process().children(recursive=True)
sockets = [connection for process in processes for connection in process.net_connections()]
print(*{connection.laddr.ip for connection in sockets if connection.status == "LISTEN"})
"""
    variables = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    environment = variables | {"HOME": str(tmp_path)}
    shown = subprocess.run(
        [sys.executable, "-c", code], env=environment, check=True, timeout=300, capture_output=True, text=True
    )
    assert set(shown.stdout.split()) == {"127.0.0.1", "::ffff:127.0.0.1"}
    assert stat.S_IMODE((tmp_path / ".ray" / "auth_token").stat().st_mode) == 0o600


def test_what_is_wrong_with_an_address_is_one_line():
    command = [sys.executable, "-m", "automl", "run", "--executor", "ray", "--address", "127.0.0.1:1"]
    shown = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert shown.returncode == 2
    assert shown.stderr == "automl: cannot connect to a Ray cluster at 127.0.0.1:1: Connection refused\n"


def test_the_command_runs_on_a_cluster_and_its_json_is_all_that_it_prints(cluster, nodes, tmp_path):
    nodes(num_cpus=2)
    command = [
        sys.executable, "-m", "automl", "run", "--executor", "ray", "--address", cluster.address, "--json",
        "--task", "digits-cnn", "--epochs", "1", "--trials", "3", "--strategy", "random", "--final-seeds", "1",
        "--no-learn", "--out", tmp_path / "run",
    ]  # fmt: skip
    shown = subprocess.run(command, capture_output=True, text=True, timeout=500)
    assert shown.returncode == 0, shown.stderr
    assert json.loads(shown.stdout)["n_trials"] == 3
    assert (tmp_path / "run" / "model" / "model.safetensors").exists()
    assert "2 workers at first" in shown.stderr
