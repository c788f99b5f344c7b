"""The process that trains: one job after the other, told through its standard input, in JSON lines.

Started by ``automl.tuning.executors.ProcessExecutor`` as ``python -m automl.tuning.worker``. Its first line holds the
task, later ones are jobs and requests to stop; its answers are events. When its input ends, the process that started it
has died, and the worker kills itself with all that it started.
"""

from __future__ import annotations

import base64
import contextlib
import json
import math
import os
import queue
import signal
import sys
import threading
import time
import traceback
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from automl.devices import return_memory
from automl.errors import UserError
from automl.task import Epoch, TrainingFailed, vary

if TYPE_CHECKING:
    from automl.task import Task


# Of torch and other frameworks. Running out of memory is none: it leaves a card as it was.
CARD_ERRORS = ("CUDA error", "HIP error", "CUBLAS_STATUS_", "CUDNN_STATUS_", "CUDA_ERROR_")


@dataclass(frozen=True)
class Lane:
    """A training beside others in one program."""

    key: int
    config: Mapping[str, Any]
    seed: int
    folder: str


@dataclass(frozen=True)
class Job:
    """One training of one config: up to ``epochs`` in total, from the checkpoint in ``folder`` where there is one."""

    key: int  # unique within an executor
    config: Mapping[str, Any]
    seed: int
    epochs: int
    schedule: int | None = None  # epochs of its complete schedule, where that is not a full training's
    folder: str | None = None
    device: str = "auto"
    test: bool = False  # score it on the test set at the end
    lanes: Sequence[Lane] = ()  # instead of its own training: several of one shape, of a task with `train_lanes`

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> Self:
        """The inverse of ``dataclasses.asdict``."""
        return cls(**{**fields, "lanes": tuple(Lane(**lane) for lane in fields["lanes"])})


@dataclass(frozen=True)
class JobStarted:
    """A worker has loaded what it needs and begins: a limit on its seconds counts from here."""

    key: int


@dataclass(frozen=True)
class EpochDone:
    """A job has trained one more epoch."""

    key: int
    epoch: Epoch
    lane: int | None = None  # the lane's key


@dataclass(frozen=True)
class LaneEnded:
    """A lane of a job is over: trained to its end, or failed."""

    key: int
    lane: int  # the lane's key
    seconds: float
    error: str | None = None
    scores: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class JobEnded:
    """A job is over: trained to its end, stopped, or failed."""

    key: int
    seconds: float
    error: str | None = None  # one line
    traceback: str | None = None  # or the last output of a process that died
    fatal: bool = False  # an error the user can fix, which every other trial would meet too
    broken: bool = False  # the process cannot train again: an error of a card fails all that follow
    scores: Mapping[str, float] = field(default_factory=dict)  # on the test set, where it was asked for


Event = JobStarted | EpochDone | LaneEnded | JobEnded


def run_job(task: Task, job: Job) -> Iterator[Event]:
    """Train, and yield what happens. Whatever goes wrong in a training becomes the reason of its failure."""
    task = vary(task, max_epochs=job.schedule)
    start = time.perf_counter()
    error = trace = None
    fatal = broken = False
    scores: Mapping[str, float] = {}
    try:
        if job.lanes:
            yield from _train_lanes(task, job)
        else:
            scores = yield from _train(task, job)
    except TrainingFailed as failure:
        error = _one_line(failure)
    except UserError as failure:
        error, fatal = str(failure), True
    except MemoryError:
        error, trace = "out of memory", traceback.format_exc()
    except (Exception, SystemExit) as failure:
        error = f"{type(failure).__name__}: {_one_line(failure)}"
        trace, broken = traceback.format_exc(), any(sign in error for sign in CARD_ERRORS)
    yield JobEnded(job.key, time.perf_counter() - start, error, trace, fatal, broken, scores)


def _train(task: Task, job: Job) -> Generator[Event, None, Mapping[str, float]]:
    """Returns the scores on the test set, if they are asked for."""
    folder = Path(job.folder) if job.folder else None
    for epoch in task.train(job.config, seed=job.seed, epochs=job.epochs, checkpoint=folder, device=job.device):
        plain = _plain_epoch(epoch)
        if not math.isfinite(plain.loss):
            raise TrainingFailed(f"the loss is {plain.loss} at epoch {plain.epoch}")
        yield EpochDone(job.key, plain)
    return _scores(task, folder, job)


def _train_lanes(task: Any, job: Job) -> Iterator[Event]:
    seconds = [0.0] * len(job.lanes)
    parts = [(lane.config, lane.seed, Path(lane.folder)) for lane in job.lanes]
    for number, ended in task.train_lanes(parts, epochs=job.epochs, device=job.device):
        lane = job.lanes[number]
        if isinstance(ended, TrainingFailed):
            yield LaneEnded(job.key, lane.key, seconds[number], _one_line(ended))
            continue
        plain, start = _plain_epoch(ended), time.perf_counter()
        seconds[number] += plain.seconds
        yield EpochDone(job.key, plain, lane.key)
        if plain.epoch == job.epochs:
            scores = _scores(task, Path(lane.folder), job)
            seconds[number] += time.perf_counter() - start
            yield LaneEnded(job.key, lane.key, seconds[number], scores=scores)


def _scores(task: Task, folder: Path | None, job: Job) -> Mapping[str, float]:
    if not job.test:
        return {}
    assert folder is not None
    return {str(name): float(score) for name, score in task.test(folder, job.device).items()}


def _plain_epoch(epoch: Epoch) -> Epoch:
    """With Python's own numbers, in place of numpy's or a tensor."""
    metrics = {str(name): float(value) for name, value in epoch.metrics.items()}
    return Epoch(int(epoch.epoch), float(epoch.loss), metrics, float(epoch.seconds))


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__


def event_to_json(event: Event) -> str:
    """One line; not-a-number and infinities in Python's spelling."""
    return json.dumps({"event": type(event).__name__, **asdict(event)})


def event_from_json(line: str) -> Event:
    """The event of a line by ``event_to_json``."""
    content = json.loads(line)
    kind = content.pop("event")
    if kind == "EpochDone":
        return EpochDone(content["key"], Epoch(**content["epoch"]), content["lane"])
    kinds: tuple[type[JobStarted | LaneEnded | JobEnded], ...] = (JobStarted, LaneEnded, JobEnded)
    return next(each for each in kinds if each.__name__ == kind)(**content)


class _Inbox:
    """Lines from whoever started this process, read by a thread so that a stop is seen while a job runs."""

    def __init__(self) -> None:
        self.jobs: queue.Queue[Job] = queue.Queue()
        self.stopped: set[int] = set()
        self._source = os.fdopen(os.dup(0), encoding="utf-8")
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)  # a training that reads its input must not read the messages
        self.task_line = self._source.readline()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        for line in self._source:
            message = json.loads(line)
            if "stop" in message:
                self.stopped.add(message["stop"])
            else:
                job = Job.from_json(message["job"])
                self.stopped.discard(job.key)
                self.jobs.put(job)
        os.killpg(0, signal.SIGKILL)


def main() -> None:
    """Serve jobs until killed."""
    answers = os.fdopen(os.dup(1), "w", buffering=1, encoding="utf-8")
    os.dup2(2, 1)  # what a training prints must not mix with the answers
    inbox = _Inbox()
    start = json.loads(inbox.task_line)
    sys.path[:] = start["path"]
    import cloudpickle

    task = cloudpickle.loads(base64.b64decode(start["task"]))
    prepared = False
    while True:
        job = inbox.jobs.get()
        if not prepared and hasattr(task, "prepare"):
            # What fails here fails again in the training, as its reason.
            with contextlib.suppress(Exception):
                task.prepare()
                getattr(task, "warm_up", lambda device: None)(job.device)
        prepared = True
        answers.write(event_to_json(JobStarted(job.key)) + "\n")
        events = run_job(task, job)
        for event in events:
            answers.write(event_to_json(event) + "\n")
            if job.key in inbox.stopped and isinstance(event, EpochDone):
                events.close()  # type: ignore[attr-defined]
                answers.write(event_to_json(JobEnded(job.key, 0.0)) + "\n")
                break
        return_memory()


if __name__ == "__main__":
    main()
