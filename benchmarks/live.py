"""Real trainings for the comparison: each is run once, kept in a file, and looked up by every strategy that asks."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from automl.commands import CommandTask
from automl.errors import UserError
from automl.executors import ProcessExecutor
from automl.objectives import FunctionTask
from automl.outputs import write_aside
from automl.tasks.base import Epoch, Task
from automl.worker import EpochDone, Job, JobEnded
from benchmarks.scored import Scored
from benchmarks.suites.base import Curve, SimulatedTask

# config, seed, epochs (asked for), error; losses, seconds, test: an entry an epoch, None where no test was made
Training = dict[str, Any]


@dataclass(frozen=True)
class LiveTask(SimulatedTask):
    """A task of whatever sort under the simulated clock, which moves by the seconds that its trainings really took.

    Strategies that start from the same configs with the same seeds share these trainings. They run in a process of
    their own, so that a crash, a hang or a lack of memory fails the trial alone.
    """

    is_trained: ClassVar[bool] = True
    live: Task | None = None
    kept: Path = field(default=Path())  # the folder of the trainings
    trial_seconds: float | None = None

    @classmethod
    def of(cls, suite: str, name: str, task: Task, kept: Path, trial_seconds: float | None = None) -> LiveTask:
        """``trial_seconds``: a training that takes longer is killed and has failed."""
        scored = task.resumable and not isinstance(task, FunctionTask | CommandTask)
        return cls(
            suite, name, "development", task.space, task.max_epochs, task.resumable, task.metric, task.maximize,
            live=Scored(task, every_epoch=False) if scored else task, kept=kept / name, trial_seconds=trial_seconds,
        )  # fmt: skip

    def curve(self, config: Mapping[str, Any], seed: int, epochs: int) -> Curve:
        training = self._training(config, seed, epochs)
        return Curve(np.array(training["losses"]), np.array(training["seconds"]), training["error"])

    def worth(self, config: Mapping[str, Any]) -> None:
        return None

    def test_loss(self, config: Mapping[str, Any], seed: int, epochs: int) -> float | None:
        tests: list[float | None] = self._training(config, seed, epochs)["test"]
        return tests[epochs - 1] if 0 < epochs <= len(tests) else None

    def _training(self, config: Mapping[str, Any], seed: int, epochs: int) -> Training:
        """The training up to these epochs: as it is kept, or now."""
        name = hashlib.sha256(json.dumps([config, seed], sort_keys=True).encode()).hexdigest()[:20]
        file = self.kept / f"{name}.json"
        with _locked(self.kept / f"{name}.lock"):
            training: Training = {"config": dict(config), "seed": seed, "epochs": 0, "error": None}
            if file.exists():
                training = json.loads(file.read_text(encoding="utf-8"))
            if training["error"] is None and training["epochs"] < epochs:
                # A folder for each number of epochs: whenever this is killed, file and folder belong together.
                before, after = (self.kept / f"{name}-{n}" for n in (training["epochs"], epochs))
                self._train(training, epochs, before, after)
                write_aside(file, json.dumps(training))
                shutil.rmtree(before, ignore_errors=True)
                if training["error"] is not None or epochs == self.max_epochs:
                    shutil.rmtree(after, ignore_errors=True)
        return training

    def _train(self, training: Training, epochs: int, before: Path, after: Path) -> None:
        shutil.rmtree(after, ignore_errors=True)
        if self.resumable and training["epochs"]:
            shutil.copytree(before, after)
        else:
            after.mkdir()
            training |= {"losses": [], "seconds": [], "test": []}
        training["epochs"] = epochs
        executor = self._executor()
        executor.submit(Job(0, training["config"], training["seed"], epochs, str(after)))
        while True:
            for event in executor.wait():
                if isinstance(event, EpochDone):
                    training["losses"].append(event.epoch.loss)
                    training["seconds"].append(event.epoch.seconds)
                    training["test"].append(self._test_loss(event.epoch))
                elif isinstance(event, JobEnded):
                    if event.fatal:
                        raise UserError(event.error)
                    training["error"] = event.error
                    return

    def _executor(self) -> ProcessExecutor:
        if self.kept not in _executors:
            while _executors:
                _executors.popitem()[1].close()
            assert self.live is not None
            _executors[self.kept] = ProcessExecutor(self.live, 1, self.trial_seconds)
        return _executors[self.kept]

    def _test_loss(self, epoch: Epoch) -> float | None:
        """As much above or below the validation loss as the metric on the test set is worse or better."""
        valid, test = epoch.metrics.get(self.metric), epoch.metrics.get(f"test_{self.metric}")
        if valid is None or test is None:
            return None
        return epoch.loss + (valid - test if self.maximize else test - valid)


# The training process of this process of the comparison, by the folder of its task; it ends when this one ends.
_executors: dict[Path, ProcessExecutor] = {}


@contextmanager
def _locked(file: Path) -> Iterator[None]:
    """Keep other processes of the comparison from running the same training meanwhile: they wait, and look it up."""
    file.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(file, os.O_CREAT | os.O_RDWR)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)
