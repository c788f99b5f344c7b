"""Executors: trainings that die, hang or are stopped, and processes without a parent."""

import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest
from ConfigSpace import ConfigurationSpace

from automl.errors import UserError
from automl.space.parse import load_space
from automl.task import Epoch, vary
from automl.tasks.function import as_task
from automl.tasks.registry import load_task
from automl.tasks.shell_command import CommandTask
from automl.tuning import process_executor, worker_process
from automl.tuning.executor import SerialExecutor
from automl.tuning.jobs import EpochDone, Job, JobEnded
from automl.tuning.pickling import pickled
from automl.tuning.process_executor import ProcessExecutor

SPACE = {"x": {"float": [0, 1]}}


def task(function, max_epochs=None):
    return as_task(function, SPACE, max_epochs=max_epochs)


def job(key=0, **changes) -> Job:
    return Job(**{"key": key, "config": {"x": 0.5}, "seed": 1, "epochs": 1} | changes)


def run(executor, *jobs, seconds=120.0):
    """Submit the jobs and collect all events by job."""
    waiting, events = list(jobs), {j.key: [] for j in jobs}
    until = time.monotonic() + seconds
    while any(not any(isinstance(e, JobEnded) for e in es) for es in events.values()):
        while waiting and executor.n_free:
            executor.submit(waiting.pop(0))
        for event in executor.wait(0.5):
            events[event.key].append(event)
        assert time.monotonic() < until, "the executor hangs"
    return events


def both(function, max_epochs=None):
    return (
        SerialExecutor(task(function, max_epochs)),
        ProcessExecutor(task(function, max_epochs), 2),
    )


def test_serial_and_processes_give_the_same_events():
    def curve(config, seed):
        for i in range(3):
            yield {"loss": config["x"] + seed + i, "accuracy": i}

    serial, processes = both(curve, 3)
    with serial, processes:
        jobs = [job(k, epochs=3, seed=k) for k in range(4)]
        plain = [
            {k: [(e.epoch.epoch, e.epoch.loss, e.epoch.metrics) for e in es[:-1]] for k, es in run(x, *jobs).items()}
            for x in (serial, processes)
        ]
    assert plain[0] == plain[1]
    assert [len(es) for es in plain[0].values()] == [3] * 4


def test_a_training_that_does_not_read_its_space_starts_without_it():
    def imports(config):
        import sys

        return float(bool({"ConfigSpace", "scipy.stats"} & {*sys.modules}))

    network = vary(load_task("digits-cnn"), max_epochs=1)
    with ProcessExecutor(task(imports), 1) as executor:
        assert run(executor, job())[0][0].epoch.loss == 0
    assert isinstance(network.space, ConfigurationSpace)
    sent = "import sys; from automl.tuning.pickling import unpickled; task, _ = unpickled(sys.stdin.buffer.read()); "
    trains = "task.prepare(); print(task.name, {'ConfigSpace', 'scipy.stats'} & {*sys.modules})"
    code = [sys.executable, "-c", sent + trains]
    done = subprocess.run(code, input=pickled(network), capture_output=True, check=True)
    assert done.stdout == b"digits-cnn set()\n"


def test_a_training_that_reads_a_space_has_it():
    space = load_space(SPACE)

    @dataclass(frozen=True)
    class Reads:
        space: ConfigurationSpace
        name: str = "reads"
        max_epochs: int = 1
        resumable: bool = False
        metric: str = "loss"
        maximize: bool = False

        def train(self, config, *, seed, epochs, checkpoint, device):
            yield Epoch(1, float(len(self.space)), {}, 0.0)

        def test(self, checkpoint, device):
            return {}

    for reads in (as_task(lambda config: float(len(space)), space), Reads(space)):
        with ProcessExecutor(reads, 1) as executor:
            assert run(executor, job())[0][0].epoch.loss == 1


def test_a_worker_that_dies_is_replaced_and_its_job_has_failed():
    def dies(config, seed):
        import os
        import signal

        if seed == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        if seed == 2:
            os._exit(7)
        return 0.25

    with ProcessExecutor(task(dies), 1) as executor:
        events = run(executor, *[job(k, seed=k) for k in range(5)])
    errors = {k: es[-1].error for k, es in events.items()}
    assert errors[1] == "the training process died (signal SIGKILL; out of memory?)"
    assert errors[2] == "the training process died (exit status 7)"
    assert [errors[k] for k in (0, 3, 4)] == [None] * 3


@pytest.mark.parametrize("parallel", [False, True])
def test_a_training_that_exits_has_failed_however_often(parallel):
    def exits(config):
        raise SystemExit("no luck")

    with both(exits)[parallel] as executor:
        events = run(executor, *[job(k) for k in range(8)])
    assert {es[-1].error for es in events.values()} == {"SystemExit: no luck"}


def test_a_training_that_reads_its_input_gets_nothing_and_goes_on():
    def reads(config):
        import subprocess
        import sys

        subprocess.run(["cat"], check=True, stdout=subprocess.DEVNULL)
        return float(len(sys.stdin.read()))

    with ProcessExecutor(task(reads), 1) as executor:
        events = run(executor, job(0), job(1))
    assert [es[-1].error for es in events.values()] == [None, None]


def test_a_death_is_noticed_while_a_forked_child_lives_on():
    def forks(config):
        import os
        import signal
        import time

        if os.fork() == 0:
            os.setsid()
            time.sleep(90)
            os._exit(0)
        os.kill(os.getpid(), signal.SIGKILL)

    with ProcessExecutor(task(forks), 1) as executor:
        start = time.monotonic()
        events = run(executor, job())
    assert "died" in events[0][-1].error
    assert time.monotonic() - start < 80


def test_numbers_of_numpy_and_torch_are_numbers():
    class Odd:
        name, max_epochs, resumable, metric, maximize = "odd", 1, False, "loss", False
        space = load_space(SPACE)

        def train(self, config, **_):
            import numpy as np
            import torch

            yield Epoch(np.int64(1), torch.tensor(0.25), {"acc": np.float32(0.5)}, np.float64(0.1))

        def test(self, checkpoint, device):
            return {}

    for executor in (SerialExecutor(Odd()), ProcessExecutor(Odd(), 1)):
        with executor:
            (done, ended) = run(executor, job())[0]
        assert ended.error is None
        assert done.epoch == Epoch(1, 0.25, {"acc": 0.5}, 0.1)
        assert type(done.epoch.loss) is float


def test_a_key_may_come_again_after_its_job_was_stopped():
    def curve(config):
        import time

        for _ in range(5):
            time.sleep(0.05)
            yield 1.0

    with ProcessExecutor(task(curve, 5), 1) as executor:
        executor.submit(job(epochs=5))
        while not executor.wait(1.0):
            pass
        executor.stop(0)
        while not any(isinstance(event, JobEnded) for event in executor.wait(1.0)):
            pass
        assert len(run(executor, job(epochs=5))[0]) == 6


def test_a_task_that_cannot_travel_is_one_line():
    import threading

    lock = threading.Lock()
    with pytest.raises(UserError, match="cannot be sent to a training process"):
        ProcessExecutor(task(lambda config: lock), 1)


class RefusesToTravel:
    """As the iterator of a DataLoader, which raises NotImplementedError."""

    def __reduce__(self):
        raise NotImplementedError("{} cannot be pickled", "RefusesToTravel")


def test_a_task_that_refuses_to_travel_in_its_own_words_is_one_line():
    data = RefusesToTravel()
    with pytest.raises(UserError, match=r"sent to a training process .NotImplementedError: .*cannot be pickled"):
        ProcessExecutor(task(lambda config: data), 1)


def test_a_hung_job_is_killed_at_the_limit_and_the_next_one_runs():
    def hangs(config, seed):
        import time

        time.sleep(1000 if seed else 0)
        return 0.25

    with ProcessExecutor(task(hangs), 1, trial_seconds=1.0) as executor:
        events = run(executor, job(0, seed=1), job(1, seed=0))
    assert events[0][-1].error == "too slow: it took longer than 1 s, the limit of a trial"
    assert events[1][-1].error is None


def test_a_worker_stays_alive_between_jobs():
    with ProcessExecutor(task(lambda config: float(__import__("os").getpid())), 1) as executor:
        events = run(executor, *[job(k) for k in range(3)])
    assert len({es[0].epoch.loss for es in events.values()}) == 1


def test_what_a_training_prints_goes_to_its_log(tmp_path):
    def talks(config):
        import os

        print('{"event": "JobEnded"}', flush=True)
        os.write(1, b"raw bytes\n")
        return 0.5

    with ProcessExecutor(task(talks), 1, logs=tmp_path) as executor:
        events = run(executor, job())
    assert events[0][-1].error is None
    assert "raw bytes" in (tmp_path / "worker-0.log").read_text()


def test_of_the_log_of_a_training_that_prints_much_the_end_is_kept(tmp_path, monkeypatch):
    monkeypatch.setattr(worker_process, "MAX_LOG_BYTES", 10_000)
    monkeypatch.setattr(process_executor, "SECONDS_BETWEEN_TRIMS", 1e9)

    def talks(config):
        for epoch in range(4):
            print(f"{epoch}" * 20_000, flush=True)
            yield 0.5

    with ProcessExecutor(task(talks, 4), 1, logs=tmp_path) as executor:
        run(executor, job(epochs=4), job(1, epochs=4))
        monkeypatch.setattr(process_executor, "SECONDS_BETWEEN_TRIMS", 0.0)  # what is printed meanwhile may be lost
        executor.wait(0.0)
        log = (tmp_path / "worker-0.log").read_text()
        assert log.startswith("(older output was dropped)\n33333")
        assert 5_000 <= len(log) <= 10_000


@pytest.mark.parametrize("dies", [False, True])
def test_the_log_of_a_process_that_has_ended_is_cut_too(tmp_path, monkeypatch, dies):
    monkeypatch.setattr(worker_process, "MAX_LOG_BYTES", 10_000)
    monkeypatch.setattr(process_executor, "SECONDS_BETWEEN_TRIMS", 1e9)

    def talks(config):
        print("a" * 50_000, flush=True)
        if dies:
            __import__("os")._exit(1)
        return 0.5

    with ProcessExecutor(task(talks), 1, logs=tmp_path) as executor:
        run(executor, job())
        assert (tmp_path / "worker-0.log").stat().st_size < 10_000 or not dies
    assert (tmp_path / "worker-0.log").stat().st_size < 10_000


@pytest.mark.parametrize("parallel", [False, True])
def test_a_stopped_job_ends_after_its_epoch(parallel):
    def endless(config):
        import time

        while True:
            time.sleep(0.01)
            yield 1.0

    executor = both(endless, 10_000)[parallel]
    with executor:
        executor.submit(job(epochs=10_000))
        n_epochs = 0
        while True:
            for event in executor.wait(1.0):
                if isinstance(event, EpochDone):
                    n_epochs += 1
                    if n_epochs == 3:
                        executor.stop(0)
                elif isinstance(event, JobEnded):
                    assert event.error is None
                    assert n_epochs < 1000
                    assert executor.n_free >= 1
                    return


@pytest.mark.parametrize("parallel", [False, True])
def test_cancelling_frees_the_workers_for_other_jobs(parallel):
    def slow(config, seed):
        import time

        for _ in range(1000 if seed == 1 else 1):
            yield float(seed)
            time.sleep(0.01)

    executor = both(slow)[parallel]
    with executor:
        executor.submit(job(0, seed=1))
        executor.wait(5.0)
        executor.cancel()
        assert executor.n_free == executor.n_workers
        events = run(executor, job(0, seed=2))
    assert [e.epoch.loss for e in events[0][:-1]] == [2.0]


def test_a_task_that_cannot_be_loaded_is_an_error_not_an_endless_loop():
    class Breaks:
        name, max_epochs, resumable, metric, maximize = "breaks", 1, False, "loss", False
        space = load_space(SPACE)

        def train(self, config, **_):
            yield None

        def test(self, checkpoint, device):
            return {}

        def __reduce__(self):
            return (exec, ("raise SystemExit('no such library')",))

    with (
        ProcessExecutor(Breaks(), 1) as executor,
        pytest.raises(UserError, match="the training processes die before they train"),
    ):
        run(executor, *[job(k) for k in range(9)])


def alive(pids: list[int]) -> list[int]:
    until = time.monotonic() + 60
    while time.monotonic() < until:
        living = [p for p in pids if psutil.pid_exists(p) and psutil.Process(p).status() != psutil.STATUS_ZOMBIE]
        if not living:
            return []
        time.sleep(0.05)
    return living


def test_closing_kills_a_running_command_with_its_children(tmp_path):
    command = CommandTask(
        f"(setsid sleep 1000 & echo $! > {tmp_path}/child; echo {{x}}; sleep 1000)", load_space(SPACE), 5
    )
    executor = ProcessExecutor(command, 1)
    executor.submit(job(epochs=5))
    while not any(isinstance(event, EpochDone) for event in executor.wait(1.0)):
        pass
    child = int((tmp_path / "child").read_text())
    worker = executor._workers[0].process.pid
    executor.close()
    assert alive([child, worker]) == []


def test_workers_end_when_the_process_that_started_them_is_killed(tmp_path):
    code = textwrap.dedent(
        f"""
        import sys, time
        from pathlib import Path
        from automl.tuning.process_executor import ProcessExecutor
        from automl.tuning.jobs import Job
        from automl.tasks.function import as_task
        def objective(config):
            import os, subprocess, time
            child = subprocess.Popen(["sleep", "1000"], start_new_session=True)
            with open({str(tmp_path / "pids")!r}, "a") as file:
                print(os.getpid(), child.pid, file=file, flush=True)
            time.sleep(1000)
        executor = ProcessExecutor(as_task(objective, {{"x": {{"float": [0, 1]}}}}), 2)
        for key in range(2):
            executor.submit(Job(key, {{"x": 0.5}}, 1, 1))
        time.sleep(1000)
        """
    )
    process = subprocess.Popen([sys.executable, "-c", code])
    pids = tmp_path / "pids"
    until = time.monotonic() + 120
    while not pids.exists() or len(pids.read_text().split()) < 4:
        assert time.monotonic() < until
        time.sleep(0.05)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert alive([int(pid) for pid in pids.read_text().split()]) == []


def test_scripts_without_a_main_guard_work(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        "import automl\n"
        "def loss(config): return config['x'] ** 2\n"
        "r = automl.tune(loss, {'x': {'float': [-1, 1]}}, strategy='random', n_trials=4, n_workers=2)\n"
        "print(len(r.trials), r.stop_reason)\n"
    )
    result = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, check=True)
    assert result.stdout == "4 budget spent\n"


def test_a_script_may_cache_its_data_with_functools(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        "import functools, automl\n"
        "@functools.cache\n"
        "def data(n): return 1.0 + data(n - 1) if n else 0.0\n"
        "def tuned():\n"
        "    @functools.lru_cache(maxsize=3)\n"
        "    def inner(x): return x + data(5)\n"
        "    def loss(config): return inner(config['x']) + inner.cache_parameters()['maxsize']\n"
        "    return automl.tune(loss, {'x': {'constant': 1}}, strategy='random', n_trials=1, n_workers=2)\n"
        "print(tuned().best_loss)\n"
    )
    result = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, check=False)
    assert (result.stdout, result.stderr) == ("9.0\n", "")


def test_a_task_in_a_file_may_cache_its_data_with_functools(tmp_path):
    (tmp_path / "task.py").write_text(
        "import functools\n@functools.cache\ndef data(): return 2.0\ndef loss(config): return config['x'] + data()\n"
    )
    (tmp_path / "space.yaml").write_text("x: {constant: 1}\n")
    command = [
        sys.executable, "-m", "automl", "run", "--task", tmp_path / "task.py:loss", "--space", tmp_path / "space.yaml",
        "--strategy", "random", "--trials", "1", "--out", tmp_path / "run",
    ]  # fmt: skip
    subprocess.run(command, capture_output=True, text=True, check=True)
    assert json.loads((tmp_path / "run" / "summary.json").read_text())["best"]["loss"] == 3.0


def test_a_module_beside_the_script_is_found_by_the_workers(tmp_path):
    Path(tmp_path / "my_losses.py").write_text("def loss(config): return config['x']\n")
    script = tmp_path / "script.py"
    script.write_text(
        "import automl, my_losses\n"
        "r = automl.tune(my_losses.loss, {'x': {'float': [0, 1]}}, strategy='random', n_trials=2, n_workers=2)\n"
        "print([t.state for t in r.trials])\n"
    )
    result = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, check=True)
    assert result.stdout == "['complete', 'complete']\n"


# --- cards ------------------------------------------------------------------------------------------------------------


def test_each_worker_sees_one_card_round_robin(monkeypatch):
    def sees(config, device):
        import os

        return {"loss": float(os.environ["CUDA_VISIBLE_DEVICES"]), "is_cuda": device == "cuda"}

    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setattr("automl.tuning.process_executor.cards", lambda device: (0, 2))
    with ProcessExecutor(task(sees), 3) as executor:
        events = run(executor, *(job(key) for key in range(3)))
    epochs = [es[0].epoch for es in events.values()]
    assert [epoch.loss for epoch in epochs[:2]] == [0, 2]
    assert epochs[2].loss in (0, 2)  # whichever is free: the first trainings are alone on their cards
    assert all(epoch.metrics["is_cuda"] for epoch in epochs)


@pytest.mark.parametrize(("reproducible", "expected"), [(True, 4096), (False, 0)])
def test_trainings_on_cards_are_deterministic_where_runs_repeat_themselves(reproducible, expected, monkeypatch):
    def configured(config):
        import os

        return float(os.environ.get("CUBLAS_WORKSPACE_CONFIG", ":0:").split(":")[1])

    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG", raising=False)
    monkeypatch.setattr("automl.tuning.process_executor.cards", lambda device: (0,))
    with ProcessExecutor(task(configured), 1, reproducible=reproducible) as executor:
        assert run(executor, job())[0][0].epoch.loss == expected


def test_after_an_error_of_a_card_the_next_training_has_a_new_process():
    def breaks(config, seed):
        import os

        if seed == 1:
            raise RuntimeError(f"CUDA error: device-side assert triggered in {os.getpid()}")
        return float(os.getpid())

    with ProcessExecutor(task(breaks), 1) as executor:
        events = run(executor, job(0, seed=1), job(1, seed=2), job(2, seed=2))
    broken = int(events[0][-1].error.rpartition(" ")[2])
    pids = [events[key][0].epoch.loss for key in (1, 2)]
    assert pids[0] == pids[1] != broken


def test_trainings_of_different_runtimes_have_processes_of_their_own():
    """One worker alternates between two runtimes, each of which has one process that stays."""
    with ProcessExecutor(task(lambda config: os.getpid()), 1) as executor:
        events = run(executor, *(job(k, runtime=f"runtime {k % 2}") for k in range(6)))
        assert executor.n_free == 1
    pids = [next(e.epoch.loss for e in events[k] if isinstance(e, EpochDone)) for k in range(6)]
    assert len(set(pids)) == 2
    assert pids[0] == pids[2] == pids[4]
    assert pids[1] == pids[3] == pids[5]


def test_a_job_without_a_limit_outlasts_the_seconds_of_a_trial():
    slow = task(lambda config, seed: time.sleep(seed) or 0.5)
    with ProcessExecutor(slow, 1, trial_seconds=0.3) as executor:
        events = run(executor, job(0, seed=1_000), job(1, seed=1, limited=False))
    assert events[0][-1].error == "too slow: it took longer than 0.3 s, the limit of a trial"
    assert events[1][-1].error is None


def test_a_job_that_keeps_telling_of_epochs_is_killed_at_the_limit_too():
    def tells(config):
        while True:
            yield 0.5

    with ProcessExecutor(task(tells, max_epochs=10**9), 1, trial_seconds=1.0) as executor:
        events = run(executor, job(epochs=10**9))
    assert events[0][-1].error == "too slow: it took longer than 1 s, the limit of a trial"


def test_processes_of_a_second_runtime_are_on_the_cards_of_the_workers(monkeypatch):
    def sees(config):
        return float(os.environ["CUDA_VISIBLE_DEVICES"])

    monkeypatch.setattr("automl.tuning.process_executor.cards", lambda device: (0, 2))
    with ProcessExecutor(task(sees), 1) as executor:
        events = run(executor, *(job(k, runtime=f"runtime {k}") for k in range(3)))
    assert [events[k][0].epoch.loss for k in range(3)] == [0, 0, 0]
