"""What a worker says, and when: that a training begins, and how it ends."""

import base64
import errno
import json
import os
import queue
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import pytest
from processes import invoke
from small_files import files_of_at_most

import automl
from automl.space.parse import load_space
from automl.task import Epoch, OutOfMemory
from automl.tasks.function import as_task
from automl.training.checkpoint import CHECKPOINT, write_checkpoint
from automl.tuning import worker
from automl.tuning.jobs import EpochDone, Job, JobEnded, JobStarted
from automl.tuning.packs import together
from automl.tuning.pickling import pickled
from automl.tuning.worker import run_job
from automl.tuning.worker_process import WorkerProcess

SPACE = {"x": {"float": [0, 1]}}


def end_of(task, **changes):
    return list(run_job(task, Job(0, {"x": 0.5}, 1, 1, **changes)))[-1]


def raising(error):
    def trains(config):
        raise error

    return as_task(trains, SPACE)


def test_a_card_that_has_failed_is_not_asked_for_its_memory(monkeypatch):
    def fails_too():
        raise RuntimeError("CUDA error: device-side assert triggered")

    monkeypatch.setattr(worker, "peak_memory", fails_too)
    found = end_of(raising(RuntimeError("CUDA error: an illegal memory access was encountered")))
    assert (found.error, found.broken, found.memory, found.out_of_memory) == (
        "RuntimeError: CUDA error: an illegal memory access was encountered", True, None, False,
    )  # fmt: skip


@dataclass(frozen=True)
class Plain:
    """A task of one epoch."""

    name: str = "plain"
    max_epochs: int = 1
    resumable: bool = False
    metric: str = "loss"
    maximize: bool = False

    @property
    def space(self):
        return load_space(SPACE)

    def train(self, config, **options):
        yield Epoch(1, 0.5, {}, 0.1)

    def test(self, checkpoint, device):
        return {}


@dataclass(frozen=True)
class FailsInItsTest(Plain):
    """Trains, but has no memory to be scored."""

    error: str = ""

    def test(self, checkpoint, device):
        raise RuntimeError(self.error)


@dataclass(frozen=True)
class Saves(Plain):
    """Writes a checkpoint of 80 kB."""

    def train(self, config, *, checkpoint, **options):
        import torch

        yield Epoch(1, 0.5, {}, 0.1)
        write_checkpoint(checkpoint, {"weights": torch.zeros(20_000)}, {})


def test_a_full_disk_is_no_failure_of_the_training_whose_checkpoint_does_not_fit(tmp_path):
    with files_of_at_most(50_000):
        found = end_of(Saves(), folder=str(tmp_path / "trial"))
    place = tmp_path / "trial" / CHECKPOINT
    assert found.error == f"cannot write {str(place)!r} (File too large); free space and try again"
    assert (found.fatal, found.blocked) == (True, True)
    of_the_user = end_of(raising(OSError(errno.ENOSPC, "No space left on device")))
    assert (of_the_user.error, of_the_user.fatal) == ("OSError: [Errno 28] No space left on device", False)


@pytest.mark.parametrize(
    "message",
    [
        "CUDA out of memory. Tried to allocate 2.00 GiB",
        "CUDA error: out of memory",
        "CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`",
        "cuDNN error: CUDNN_STATUS_ALLOC_FAILED",
    ],
)
def test_memory_that_cannot_be_allocated_breaks_no_card_wherever_it_happens(message, tmp_path):
    in_test = end_of(FailsInItsTest(error=message), folder=str(tmp_path), test=True)
    for found in (end_of(raising(RuntimeError(message))), in_test):
        assert (found.error, found.out_of_memory, found.broken) == (f"RuntimeError: {message}", True, False)


def test_a_training_without_room_beside_other_processes_is_tried_again():
    attempts = []

    def trains(config):
        attempts.append(config["x"])
        if len(attempts) < 3:
            raise OutOfMemory("other processes hold 60.0 of its 80.0 GiB", crowded=True)
        return config["x"]

    with pytest.warns(UserWarning, match=r"trial 0 is trained again: other processes hold 60\.0 of its 80\.0 GiB"):
        result = automl.tune(trains, SPACE, strategy="random", n_trials=1, progress=False)
    assert [trial.error for trial in result.trials] == [None]
    assert len(attempts) == 3


class TooLarge(Plain):
    """The last lane of its programs finds no memory."""

    def train_lanes(self, lanes, *, device, is_stopped):
        for lane in lanes[:-1]:
            yield lane.key, Epoch(1, 0.5, {}, 0.1)
        yield lanes[-1].key, OutOfMemory("out of memory", crowded=True)


def test_a_lane_without_memory_ends_its_program_which_others_may_have_kept_from_it():
    lanes = [Job(key, {"x": 0.5}, 1, 2, folder=str(key)) for key in (4, 5)]
    *before, last = run_job(TooLarge(), together(lanes))
    assert [event.lane for event in before if isinstance(event, EpochDone)] == [4]
    assert len(before) == 1
    assert (last.key, last.out_of_memory, last.lost, last.broken) == (4, True, True, False)


@dataclass(frozen=True)
class Warms(Plain):
    """Whose libraries take a while to load."""

    sign: Path = Path()

    def prepare(self):
        pass

    def warm_up(self, device):
        time.sleep(0.3)
        self.sign.write_text(device)


def test_a_worker_is_warm_before_its_first_training_has_started(tmp_path):
    task, inbox = Warms(sign=tmp_path / "warm"), queue.Queue()
    hello = {"path": sys.path, "task": base64.b64encode(pickled(task)).decode()}
    process = WorkerProcess.start(hello, dict(os.environ), inbox, mark="test-worker.", card=None, log=None)
    try:
        process.send({"job": asdict(Job(0, {"x": 0.5}, 1, 1, device="cpu"))})
        assert inbox.get(timeout=60) == (process, JobStarted(0))
        assert task.sign.read_text() == "cpu"
        assert isinstance(inbox.get(timeout=60)[1], EpochDone)
        assert isinstance(inbox.get(timeout=60)[1], JobEnded)
    finally:
        process.kill()
        process.reader.join()


SCRIPT = """
import functools, multiprocessing, pickle
import automl

class Job:  # a name that the worker's module has too
    pass

class Net:
    Layer = Job

def helper(x):
    return x * x

@functools.cache
def remembered(x):
    return x

def main(config):
    assert [type(pickle.loads(pickle.dumps(each()))) for each in (Job, Net)] == [Job, Net]
    assert pickle.loads(pickle.dumps(remembered)) is remembered
    for method in ("fork", "spawn", "forkserver"):
        with multiprocessing.get_context(method).Pool(1) as pool:
            assert pool.map(helper, [3]) == [9]
    return config["x"]

if not __name__.startswith("automl_user"):
    options = {"strategy": "random", "n_trials": 2, "n_workers": 2, "trial_seconds": 100}
    print([trial.error for trial in automl.tune(main, {"x": {"float": [0, 1]}}, **options).trials])
"""


def test_what_a_script_defines_can_be_pickled_in_its_trainings(tmp_path):
    (tmp_path / "script.py").write_text(SCRIPT)
    found = subprocess.run([sys.executable, tmp_path / "script.py"], capture_output=True, text=True, check=True)
    assert found.stdout == "[None, None]\n", found.stderr


def test_what_a_file_defines_can_be_pickled_in_its_trainings(tmp_path):
    (tmp_path / "script.py").write_text(SCRIPT)
    (tmp_path / "space.yaml").write_text("x: {float: [0, 1]}")
    command = ["--task", f"{tmp_path / 'script.py'}:main", "--space", tmp_path / "space.yaml", "--strategy", "random"]
    invoke("run", *command, "--trials", 1, "--workers", 1, "--trial-seconds", 100, "--out", tmp_path / "run")
    assert json.loads((tmp_path / "run" / "summary.json").read_text())["n_failed"] == 0


@dataclass(frozen=True)
class Folds(Plain):
    """Keeps each epoch in its folder, and goes on with the next."""

    max_epochs: int = 4

    def train(self, config, *, epochs, checkpoint, **options):
        for number in range(1 + len(list(checkpoint.glob("fold-*"))), epochs + 1):
            (checkpoint / f"fold-{number}").touch()
            yield Epoch(number, 1 / number, {}, 0.1)


def test_a_checkpoint_that_is_ahead_of_what_is_known_is_left_behind(tmp_path):
    """As of a training that ran out of memory in its third fold and begins again in the same folder."""
    for number in (1, 2):
        (tmp_path / f"fold-{number}").touch()
    begins, *epochs, _ = run_job(Folds(), Job(0, {"x": 0.5}, 1, 4, folder=str(tmp_path), again=True))
    assert (begins.epoch, begins.reason) == (0, "the checkpoint continues at epoch 3, not 1")
    assert [event.epoch.epoch for event in epochs] == [1, 2, 3, 4]
    refit, _ = run_job(Folds(), Job(0, {"x": 0.5}, 1, 5, folder=str(tmp_path), again=True))
    assert refit.epoch.epoch == 5, "a fit to all rows follows those of the folds"


def test_an_error_with_a_file_name_that_is_no_text_can_be_written(tmp_path):
    ended = end_of(raising(ValueError("cannot read caf\udce9.csv")))
    assert ended.error == "ValueError: cannot read caf\\udce9.csv"
    (tmp_path / "log").write_text(ended.error + ended.traceback, encoding="utf-8")
