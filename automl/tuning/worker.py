"""The training process: runs one job after another, which it reads from standard input as JSON lines.

Started by ``automl.tuning.worker_process`` as ``python -m automl.tuning.worker``. The first line holds the task or
names its file, later ones are jobs and stop requests; the output is events. When the input ends, the process that
started the worker has died, and the worker kills itself and everything it started.
"""

from __future__ import annotations

import base64
import contextlib
import json
import math
import os
import queue
import shutil
import signal
import sys
import threading
import time
import traceback
from collections.abc import Iterator, Mapping, Set
from pathlib import Path
from typing import TYPE_CHECKING, Any

from automl.devices import crowd, forget_peak, peak_memory, return_memory, says_out_of_memory
from automl.errors import Blocked, UserError, abridged
from automl.task import CheckpointDamaged, Epoch, NoLoss, OutOfMemory, TrainingFailed, vary, with_valid, within
from automl.tuning.descendants import kill_marked
from automl.tuning.jobs import EpochDone, Event, Job, JobEnded, JobStarted, LaneEnded, Restarted, event_to_json
from automl.tuning.memory import Memory
from automl.tuning.pickling import unpickled

if TYPE_CHECKING:
    from automl.task import Task


TASK = "AUTOML_TASK"  # environment variable with the file of a worker's task
MARK = "AUTOML_WORKER"  # environment variable that identifies the processes of a worker
# Errors of torch and other frameworks; not out of memory, after which a card still works.
CARD_ERRORS = ("CUDA error", "HIP error", "CUBLAS_STATUS_", "CUDNN_STATUS_", "CUDA_ERROR_")


def run_job(task: Task, job: Job, stopped: Set[int] = frozenset()) -> Iterator[Event]:
    """Train, and yield events. Whatever goes wrong in a training becomes the reason for its failure.

    ``stopped``: the keys of lanes that end after their current epoch, looked up again before each.
    """
    start = time.perf_counter()
    error = trace = None
    fatal = blocked = broken = out_of_memory = crowded = False
    scores: Mapping[str, float] = {}
    try:
        if job.lanes:
            yield from _train_lanes(task, job, stopped)
        else:
            folder = Path(job.folder) if job.folder else None
            if job.with_valid:
                task = with_valid(task)
            task = within(vary(task, max_epochs=job.schedule), job.left)
            yield from _train(task, job, folder)
            scores = _scores(task, folder, job)
    except OutOfMemory as failure:
        error, out_of_memory, crowded = _one_line(failure), True, failure.crowded
    except NoLoss as failure:
        error, fatal = _one_line(failure), job.key == 0
    except TrainingFailed as failure:
        error = _one_line(failure)
        out_of_memory = says_out_of_memory(error)  # of a command, for example
    except UserError as failure:
        error, fatal, blocked = str(failure), True, isinstance(failure, Blocked)
    except MemoryError:  # of this machine, not of a card
        error, trace, out_of_memory = "out of memory", traceback.format_exc(), True
    except (KeyboardInterrupt, GeneratorExit):
        raise  # meant for this process or this generator
    except BaseException as failure:
        error, trace = f"{type(failure).__name__}: {_one_line(failure)}", traceback.format_exc()
        out_of_memory = says_out_of_memory(error)
        crowded = out_of_memory and crowd() is not None
        broken = not out_of_memory and any(sign in error for sign in CARD_ERRORS)
    error, trace = (None if text is None else abridged(text) for text in (error, trace))
    memory = None if out_of_memory or broken else _memory(task)  # a failed card no longer answers
    yield JobEnded(
        job.key, time.perf_counter() - start, error, trace, fatal, blocked, broken, scores,
        lost=crowded, out_of_memory=out_of_memory, memory=memory,
    )  # fmt: skip


def _memory(task: Any) -> Memory | None:
    """The training's memory use on its card."""
    if hasattr(task, "memory"):
        found: Memory | None = task.memory()
        return found
    known = peak_memory()
    return None if known is None else Memory(*known)


def _train_lanes(task: Any, job: Job, stopped: Set[int]) -> Iterator[Event]:
    """Train the lanes of a job. A damaged checkpoint fails them all; trained alone, its lane starts from scratch."""
    lanes = {lane.key: lane for lane in job.lanes}
    seconds, left = dict.fromkeys(lanes, 0.0), set(lanes)
    try:
        for key, ended in task.train_lanes(job.lanes, device=job.device, is_stopped=stopped.__contains__):
            lane = lanes[key]
            if isinstance(ended, OutOfMemory):  # even alone in the program, but perhaps not alone on the card
                raise ended
            if isinstance(ended, TrainingFailed):
                left.discard(key)
                yield LaneEnded(job.key, key, seconds[key], abridged(_one_line(ended)))
                continue
            plain, start = _plain_epoch(ended), time.perf_counter()
            seconds[key] += plain.seconds
            yield EpochDone(job.key, plain, key)
            if plain.epoch == lane.epochs:
                scores = _scores(vary(task, max_epochs=lane.schedule), Path(str(lane.folder)), lane)
                seconds[key] += time.perf_counter() - start
                left.discard(key)
                yield LaneEnded(job.key, key, seconds[key], scores=scores)
    except CheckpointDamaged as error:
        raise TrainingFailed(str(error)) from error
    for key in left & stopped:
        yield LaneEnded(job.key, key, seconds[key])


def _scores(task: Task, folder: Path | None, job: Job) -> Mapping[str, float]:
    if not job.test:
        return {}
    assert folder is not None
    return {str(name): float(score) for name, score in task.test(folder, job.device).items()}


def _train(task: Task, job: Job, folder: Path | None) -> Iterator[EpochDone | Restarted]:
    """Train from the checkpoint, or from scratch if it is damaged or does not have the expected epochs."""
    is_first = not getattr(task, "counts_anew", False)
    try:
        for event in _epochs(task, job, folder):
            number = event.epoch.epoch
            # A fit to all rows begins after all folds, none of which is reported again.
            if is_first and number != job.trained + 1 and (job.trained or (job.again and number <= task.max_epochs)):
                reason = f"the checkpoint continues at epoch {number}, not {job.trained + 1}"
                if number > job.trained + 1:
                    raise CheckpointDamaged(reason)
                yield Restarted(job.key, number - 1, reason)
            is_first = False
            yield event
    except CheckpointDamaged as error:
        if folder is None:
            raise
        shutil.rmtree(folder)
        folder.mkdir()
        yield Restarted(job.key, 0, str(error))
        yield from _epochs(task, job, folder)


def _epochs(task: Task, job: Job, folder: Path | None) -> Iterator[EpochDone]:
    training = iter(task.train(job.config, seed=job.seed, epochs=job.epochs, checkpoint=folder, device=job.device))
    try:
        while (epoch := _next(training)) is not None:
            plain = _plain_epoch(epoch)
            if not math.isfinite(plain.loss):
                raise TrainingFailed(f"the loss is {plain.loss} at epoch {plain.epoch}")
            yield EpochDone(job.key, plain)
    finally:
        if hasattr(training, "close"):  # of a generator
            training.close()


def _next(training: Iterator[Epoch]) -> Epoch | None:
    try:
        return next(training, None)
    except GeneratorExit as error:  # raised by the training, not by closing it
        raise TrainingFailed(f"GeneratorExit: {_one_line(error)}") from error


def _plain_epoch(epoch: Epoch) -> Epoch:
    """The epoch with plain Python numbers instead of numpy scalars or tensors."""
    metrics = {str(name): float(value) for name, value in epoch.metrics.items()}
    return Epoch(int(epoch.epoch), float(epoch.loss), metrics, float(epoch.seconds))


def _one_line(error: BaseException) -> str:
    try:
        return " ".join(str(error).split()) or type(error).__name__
    except Exception as another:
        return f"(its message is unavailable: {type(another).__name__})"


class _Inbox:
    """Lines from the parent process, read by a thread so that a stop request is seen while a job runs."""

    def __init__(self) -> None:
        self.jobs: queue.Queue[Job] = queue.Queue()
        self.stopped: set[int] = set()
        self._source = os.fdopen(os.dup(0), encoding="utf-8")
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)  # a training that reads its input must not get the messages
        self.task_line = self._source.readline()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        for line in self._source:
            message = json.loads(line)
            if "stop" in message:
                self.stopped.add(message["stop"])
            else:
                job = Job.from_json(message["job"])
                self.stopped.difference_update(training.key for training in job.trainings)
                self.jobs.put(job)
        kill_marked(MARK, os.environ[MARK])
        os.killpg(0, signal.SIGKILL)


def _share(content: bytes | None) -> None:
    """Let processes that a training starts by spawn or forkserver load the task too: see the end of this file."""
    os.environ.pop(TASK, None)  # of a worker in whose training this one was started
    if content is not None and hasattr(os, "memfd_create"):  # on Linux
        file = os.memfd_create("automl-task")
        with open(file, "wb", closefd=False) as shared:
            shared.write(content)
        os.environ[TASK] = f"/proc/{os.getpid()}/fd/{file}"


def main() -> None:
    """Serve jobs until killed."""
    output = os.fdopen(os.dup(1), "w", buffering=1, encoding="utf-8")
    os.dup2(2, 1)  # a training's output must not mix with the events
    inbox = _Inbox()
    start = json.loads(inbox.task_line)
    sys.path[:] = start["path"]
    content = Path(start["file"]).read_bytes() if "file" in start else base64.b64decode(start["task"])
    task, defined = unpickled(content)
    _share(content if defined else None)
    prepared = False
    while True:
        job = inbox.jobs.get()
        if not prepared and hasattr(task, "prepare"):
            # An error here recurs in the training, which then reports it.
            with contextlib.suppress(Exception):
                task.prepare()
                getattr(task, "warm_up", lambda device: None)(job.device)
        prepared = True
        output.write(event_to_json(JobStarted(job.key)) + "\n")
        forget_peak()
        events = run_job(task, job, inbox.stopped)
        for event in events:
            output.write(event_to_json(event) + "\n")
            if job.key in inbox.stopped and isinstance(event, EpochDone) and not job.lanes:
                events.close()  # type: ignore[attr-defined]
                output.write(event_to_json(JobEnded(job.key, 0.0)) + "\n")
                break
        return_memory()


if __name__ == "__main__":
    from automl.tuning import worker

    worker.main()  # in the module, as a script's names may replace those in __main__
elif __name__ == "__mp_main__" and TASK in os.environ:
    # In processes that a training starts by spawn or forkserver, this stands for the script, which is not run again.
    globals().update(unpickled(Path(os.environ[TASK]).read_bytes())[1].get("__main__", {}))
