"""Real trainings for the comparison: each is run once, stored in a file, and shared by all strategies."""

from __future__ import annotations

import fcntl
import hashlib
import json
import math
import os
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from automl.errors import UserError
from automl.study.run_folder import write_atomic
from automl.task import Epoch, Task, fidelity_of
from automl.tasks.function import FunctionTask
from automl.tasks.shell_command import CommandTask
from automl.tuning.jobs import EpochDone, Job, JobEnded
from automl.tuning.process_executor import ProcessExecutor
from benchmarks.suites.base import Curve, SimulatedTask
from benchmarks.suites.scored_task import Scored
from strategies.fidelity import Fidelity

# config, seed, epochs (requested), error; losses, seconds, test: one entry per epoch, test None if not scored;
# cut: how far it came before it was aborted as too long
StoredTraining = dict[str, Any]
START_SECONDS = 15.0  # allowed for starting the process and imports, which are not part of a training


@dataclass(frozen=True)
class LiveTask(SimulatedTask):
    """Any task under the virtual clock, which advances by the measured seconds of its trainings.

    Strategies that try the same configs with the same seeds share the trainings. These run in a separate process, so
    that a crash, a hang or running out of memory fails only the trial.
    """

    live: Task | None = None
    kept: Path = field(default=Path())  # the folder of the trainings
    trial_seconds: float | None = None
    group: str = ""  # tasks on the same data; empty: a group of its own

    @classmethod
    def of(
        cls, suite: str, name: str, task: Task, kept: Path, trial_seconds: float | None = None, group: str = ""
    ) -> LiveTask:
        """``trial_seconds``: a training that takes longer is killed and counts as failed."""
        scored = task.resumable and not isinstance(task, FunctionTask | CommandTask)
        return cls(
            suite, name, "development", task.space, task.max_epochs, task.resumable, task.metric, task.maximize,
            live=Scored(task, every_epoch=False) if scored else task, kept=kept / name, trial_seconds=trial_seconds,
            group=group,
        )  # fmt: skip

    @property
    def looked_up(self) -> bool:
        return False

    @property
    def unit(self) -> str:
        return self.group or self.name

    def curve(self, config: Mapping[str, Any], seed: int, epochs: int) -> Curve:
        return self._curve(self._training(config, seed, epochs))

    def short_curve(self, config: Mapping[str, Any], seed: int, epochs: int) -> Curve:
        return self._curve(self._training(config, seed, epochs, schedule=epochs))

    def _curve(self, training: StoredTraining) -> Curve:
        return Curve(np.array(training["losses"]), np.array(training["seconds"]), training["error"])

    def curve_within(
        self, config: Mapping[str, Any], seed: int, epochs: int, seconds: float, *, short: bool = False
    ) -> Curve:
        training = self._training(config, seed, epochs, epochs if short else None, seconds)
        if training["error"] is not None or training["epochs"] >= epochs:
            return self._curve(training)
        cut = training["cut"]
        return Curve(np.array([*cut["losses"], np.nan]), np.array([*cut["seconds"], np.inf]))

    def fidelity(self, config: Mapping[str, Any]) -> Fidelity:
        assert self.live is not None
        return fidelity_of(self.live)(config)

    def final_loss(self, config: Mapping[str, Any]) -> None:
        return None

    def test_loss(self, config: Mapping[str, Any], seed: int, epochs: int) -> float | None:
        tests: list[float | None] = self._training(config, seed, epochs)["test"]
        return tests[epochs - 1] if 0 < epochs <= len(tests) else None

    def _training(
        self,
        config: Mapping[str, Any],
        seed: int,
        epochs: int,
        schedule: int | None = None,
        within: float = math.inf,
    ) -> StoredTraining:
        """The stored training up to these epochs, run now if needed. One that takes more than ``within`` seconds may
        have fewer epochs and a ``cut``."""
        name = training_name(config, seed, schedule)
        file = self.kept / f"{name}.json"
        with _locked(self.kept / f"{name}.lock"):
            training: StoredTraining = {"config": dict(config), "seed": seed, "epochs": 0, "error": None}
            if file.exists():
                training = json.loads(file.read_text(encoding="utf-8"))
            if training["error"] is None and training["epochs"] < epochs and not _is_longer(training, epochs, within):
                # A folder for each number of epochs, so that file and folder are consistent if this is killed.
                before, after = (self.kept / f"{name}-{n}" for n in (training["epochs"], epochs))
                training = self._train(training, epochs, schedule, before, after, within)
                write_atomic(file, json.dumps(training))
                if training["epochs"] == epochs:
                    shutil.rmtree(before, ignore_errors=True)
                ended = training["epochs"] in (0, schedule or self.max_epochs) or "cut" in training
                if training["error"] is not None or ended:
                    shutil.rmtree(after, ignore_errors=True)
        return training

    def _train(
        self, training: StoredTraining, epochs: int, schedule: int | None, before: Path, after: Path, within: float
    ) -> StoredTraining:
        """The training with its new epochs or, if these take too long, the old training with a ``cut``."""
        shutil.rmtree(after, ignore_errors=True)
        new: StoredTraining = {**training, "epochs": epochs, "losses": [], "seconds": [], "test": []}
        new.pop("cut", None)
        if self.resumable and training["epochs"]:
            shutil.copytree(before, after)
            new |= {key: list(training[key]) for key in ("losses", "seconds", "test")}
        else:
            after.mkdir()
        executor = self._executor()
        executor.submit(Job(0, training["config"], training["seed"], epochs, schedule, str(after)))
        clock = executor.processor_seconds if isinstance(self.live, Scored) else time.monotonic  # as epochs are timed
        started = clock()  # of the job, then of the epoch
        while True:
            for event in executor.wait(None if within == math.inf else 1.0):
                if isinstance(event, EpochDone):
                    started = clock()
                    new["losses"].append(event.epoch.loss)
                    new["seconds"].append(event.epoch.seconds)
                    new["test"].append(self._test_loss(event.epoch))
                elif isinstance(event, JobEnded):
                    if event.fatal:
                        raise UserError(event.error)
                    return {**new, "error": event.error}
            left = within - sum(new["seconds"])
            hangs = left < math.inf and clock() - started > left + START_SECONDS
            if len(new["losses"]) < epochs and (left < 0 or hangs):
                executor.cancel()  # aborts the running epoch
                known = {"losses": new["losses"], "seconds": new["seconds"]}
                return {**training, "cut": {"limit": within, "epoch": len(new["losses"]) + (left >= 0), **known}}

    def _executor(self) -> ProcessExecutor:
        if self.kept not in _executors:
            while _executors:
                _executors.popitem()[1].close()
            assert self.live is not None
            _executors[self.kept] = ProcessExecutor(self.live, 1, self.trial_seconds)
        return _executors[self.kept]

    def _test_loss(self, epoch: Epoch) -> float | None:
        """The validation loss plus the difference between the validation and the test metric."""
        valid, test = epoch.metrics.get(self.metric), epoch.metrics.get(f"test_{self.metric}")
        if valid is None or test is None:
            return None
        return epoch.loss + (valid - test if self.maximize else test - valid)


def training_name(config: Mapping[str, Any], seed: int, schedule: int | None = None) -> str:
    """The name of a training's files."""
    what = [config, seed] if schedule is None else [config, seed, schedule]
    return hashlib.sha256(json.dumps(what, sort_keys=True).encode()).hexdigest()[:20]


def _is_longer(training: StoredTraining, epochs: int, within: float) -> bool:
    """Whether an earlier attempt showed that these epochs take longer."""
    cut = training.get("cut")
    return cut is not None and within <= cut["limit"] and epochs >= cut["epoch"]


# The training process used by this process, by the folder of its task; it ends with this process.
_executors: dict[Path, ProcessExecutor] = {}


@contextmanager
def _locked(file: Path) -> Iterator[None]:
    """Lock a training, so that other processes wait for its result instead of running it as well."""
    file.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(file, os.O_CREAT | os.O_RDWR)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)
