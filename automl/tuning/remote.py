"""The base of executors with workers on other machines, which may come and go; a lost worker's job is lost."""

from __future__ import annotations

import itertools
import math
import os
import secrets
import socket
import sys
import threading
import time
from abc import abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from automl.errors import UserError
from automl.tuning.executor import Executor
from automl.tuning.jobs import Event, Job, JobEnded
from automl.tuning.process_executor import ProcessExecutor

if TYPE_CHECKING:
    from automl.task import Task

SHARED = ".shared"  # a file in the folder that all machines must see
SECONDS_TO_SEE = 5  # time to wait for it: network file systems show new files late


@dataclass(frozen=True)
class WorkerSettings:
    """What a worker on another machine needs to know, in JSON types."""

    trial_seconds: float | None = None
    device: str = "auto"
    reproducible: bool = False
    n_threads: int = 1
    logs: str | None = None  # a shared folder; None: the output of trainings is discarded
    folder: str | None = None  # of the checkpoints; None: there are none
    sign: str = ""  # content of the file SHARED in the folder
    directory: str = ""  # working directory, if the machine has it
    path: Sequence[str] = ()  # further module search paths


def of_this_process(settings: WorkerSettings) -> WorkerSettings:
    """The settings with this process's directory and module path, and with a sign in the folder by which workers check
    that they see the same one."""
    here = replace(settings, directory=str(Path.cwd()), path=[str(Path(entry).resolve()) for entry in sys.path])
    logs = None if settings.logs is None else str(Path(settings.logs).resolve())
    if settings.folder is None:
        return replace(here, logs=logs)
    folder, sign = Path(settings.folder).resolve(), secrets.token_hex(8)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / SHARED).write_text(sign, encoding="ascii")
    return replace(here, logs=logs, folder=str(folder), sign=sign)


def settle(settings: WorkerSettings) -> None:
    """Use the run's directory and modules in this worker process, as far as this machine has them.

    Call before the task is unpickled.
    """
    if Path(settings.directory).is_dir():
        os.chdir(settings.directory)
    sys.path.extend(entry for entry in settings.path if entry not in sys.path)


def host_and_port(address: str) -> tuple[str, int]:
    """The parts of HOST:PORT, or of [HOST]:PORT for IPv6. UserError if it is not of this form."""
    host, _, port = address.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not host or not port.isdigit() or int(port) > 65_535:
        raise UserError(f"an address is HOST:PORT, such as 127.0.0.1:7070; got {address!r}")
    return host, int(port)


def unsigned(settings: WorkerSettings) -> None:
    """Remove the sign from the folder."""
    if settings.folder is not None:
        (Path(settings.folder) / SHARED).unlink(missing_ok=True)


class Supervisor:
    """A worker: trains one job at a time, in a separate process, for an executor on another machine.

    A training that hangs, dies or runs out of memory is handled as by local workers.
    """

    def __init__(self, task: Task | Path, settings: WorkerSettings, name: str) -> None:
        """UserError if this machine does not see the folder of the checkpoints."""
        _check_is_shared(settings)
        logs = None if settings.logs is None else Path(settings.logs) / name
        self._executor = ProcessExecutor(
            task, 1, settings.trial_seconds, logs,
            device=settings.device, reproducible=settings.reproducible, n_threads=settings.n_threads,
        )  # fmt: skip
        self._lock, self._is_closed = threading.Lock(), False
        self._error: Exception | None = None

    def send(self, message: Mapping[str, Any]) -> None:
        """Start a job (in place of the running one), stop it after the current epoch, or cancel it. While one thread
        waits, another may send."""
        with self._lock:
            if self._is_closed:  # late messages of a lost run
                return
            try:
                self._handle_message(message)
            except Exception as error:  # raised again by ``wait``, since the sender expects only events
                self._error = error

    def _handle_message(self, message: Mapping[str, Any]) -> None:
        if "job" in message:
            self._executor.cancel()
            self._executor.submit(Job.from_json(message["job"]))
        elif "stop" in message:
            self._executor.stop(message["stop"])
        else:
            self._executor.cancel()

    def wait(self, seconds: float) -> list[Event]:
        """The new events, after at most this many seconds. UserError if trainings die before they begin; also raises
        the error of a failed ``send``."""
        if self._error is not None:
            raise self._error
        return self._executor.wait(seconds)

    def close(self) -> None:
        """Kill the running job and accept no more."""
        with self._lock:
            self._is_closed = True
        self._executor.close()


def _check_is_shared(settings: WorkerSettings) -> None:
    if settings.folder is None:
        return
    sign, until = Path(settings.folder) / SHARED, time.monotonic() + SECONDS_TO_SEE
    while not sign.exists() or sign.read_text(encoding="ascii") != settings.sign:
        if time.monotonic() < until:
            time.sleep(0.5)
            continue
        raise UserError(
            f"{socket.gethostname()} does not see the run's folder {settings.folder!r}: all machines need it under "
            "this path; choose one in a shared file system (--out, in Python study=)"
        )


@dataclass(eq=False)
class RemoteWorker:
    """A worker as its executor sees it."""

    name: str  # for messages
    ready: bool = False  # it can train
    leaving: bool = False  # it takes no more jobs
    job: Job | None = None
    attempt: int = -1  # the job's key on the worker

    def send(self, message: Mapping[str, Any]) -> None:
        """Send a message to its ``Supervisor``."""
        raise NotImplementedError


W = TypeVar("W", bound=RemoteWorker)


class RemoteExecutor(Executor, Generic[W]):
    """Jobs on workers that may come and go. Each attempt at a job has its own number, so that late events of earlier
    attempts are ignored."""

    def __init__(self, max_workers: int | None, say: Callable[[str], object]) -> None:
        """``max_workers``: jobs at a time; None: as many as there are workers. ``say``: called with a line if a worker
        cannot be used."""
        self._max_workers = math.inf if max_workers is None else max_workers
        self._say = say
        self._workers: list[W] = []
        self._attempts = itertools.count()

    @property
    def n_workers(self) -> int:
        active = [worker for worker in self._workers if worker.ready and (worker.job or not worker.leaving)]
        return int(min(self._max_workers, len(active)))

    @property
    def n_free(self) -> int:
        n_busy = sum(worker.job is not None for worker in self._workers)
        return int(max(0, min(self._max_workers - n_busy, len(self._idle()))))

    def _idle(self) -> list[W]:
        return [worker for worker in self._workers if worker.ready and not worker.leaving and worker.job is None]

    def submit(self, job: Job) -> None:
        worker = self._idle()[0]
        worker.job, worker.attempt = job, next(self._attempts)
        worker.send({"job": asdict(replace(job.anywhere(), key=worker.attempt))})

    def stop(self, key: int) -> None:
        for worker in self._workers:
            if worker.job is not None and any(training.key == key for training in worker.job.trainings):
                worker.send({"stop": key if worker.job.lanes else worker.attempt})

    def cancel(self) -> None:
        for worker in self._workers:
            if worker.job is not None:
                worker.job = None
                worker.send({"cancel": True})

    def wait(self, timeout: float | None = None) -> list[Event]:
        until = math.inf if timeout is None else time.monotonic() + timeout
        while timeout is not None or any(worker.job for worker in self._workers):
            happened = list(self._new_events(max(0.0, min(1.0, until - time.monotonic()))))
            if happened or time.monotonic() >= until:
                return happened
        return []

    @abstractmethod
    def _new_events(self, seconds: float) -> Iterable[Event]:
        """Wait at most this many seconds; returns the events of ``_received`` and ``_worker_lost``."""

    def _received(self, worker: W, event: Event) -> list[Event]:
        """An event of a worker, if it belongs to the current attempt."""
        if worker.job is None or event.key != worker.attempt:
            return []
        key = worker.job.key
        if isinstance(event, JobEnded):
            worker.job = None
        return [replace(event, key=key)]

    def _worker_lost(self, worker: W, reason: str, *, again: bool = True) -> list[Event]:
        """Remove a lost worker. ``again``: another attempt at its job may succeed."""
        self._workers.remove(worker)
        job, worker.job = worker.job, None
        return [] if job is None else [JobEnded(job.key, 0.0, f"the worker on {worker.name} {reason}", lost=again)]
