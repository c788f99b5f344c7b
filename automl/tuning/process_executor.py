"""Trainings in processes on this machine that stay alive between trials."""

from __future__ import annotations

import base64
import contextlib
import os
import queue
import signal
import sys
import threading
from collections import Counter, deque
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from automl.devices import cards, deterministic
from automl.errors import UserError
from automl.task import TOO_SLOW
from automl.tuning.descendants import kill_marked, new_mark
from automl.tuning.executor import Executor
from automl.tuning.jobs import Event, Job, JobEnded, JobStarted, Restarted
from automl.tuning.memory import Admission, Span
from automl.tuning.pickling import pickled
from automl.tuning.worker import MARK
from automl.tuning.worker_process import Inbox, WorkerProcess, last_lines, n_oom_kills

if TYPE_CHECKING:
    from automl.task import Task

THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
MAX_DEATHS_AT_START = 3
SECONDS_BETWEEN_TRIMS = 1.0  # of the logs
EXTERNAL_SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGHUP, signal.SIGINT)  # not raised by trainings themselves


class ProcessExecutor(Executor):
    """``n_workers`` trainings at a time in processes with one thread each. A process that dies is replaced, and its job
    fails. If jobs have different runtimes, there may be as many processes for each runtime, some of them idle.

    Each process sees one GPU, round-robin, whatever framework its trainings use. A job waits until a card has room for
    it, see ``Admission``; one that runs out of memory on a shared card starts again later, with fewer jobs beside it.

    Processes are started as fresh interpreters rather than through multiprocessing, which would import the user's
    script in each: scripts without ``if __name__ == "__main__"``, notebooks and lambdas work. While one thread waits,
    another may submit, stop and cancel.
    """

    def __init__(
        self,
        task: Task | Path,
        n_workers: int,
        trial_seconds: float | None = None,
        logs: Path | None = None,
        *,
        device: str = "auto",
        reproducible: bool = False,
        n_threads: int = 1,
    ) -> None:
        """``task``: the task, or a file with its ``pickled`` bytes. ``trial_seconds``: a job that takes longer is
        killed and fails. ``logs``: a folder for the output. ``device``: the cards that jobs may use.
        ``reproducible``: trainings on a card repeat exactly. ``n_threads``: per process.
        """
        self._hello: dict[str, Any] = {"path": sys.path}
        if isinstance(task, Path):
            self._hello["file"] = str(task)
        else:
            self._hello["task"] = base64.b64encode(pickled(task)).decode()
        self._n_workers = n_workers
        self._trial_seconds = trial_seconds
        self._logs = logs
        self._cards = cards(device)
        threads = dict.fromkeys(THREADS, str(n_threads))
        self._environment = os.environ | threads | (deterministic() if reproducible and self._cards else {})
        self._inbox: Inbox = queue.Queue()
        self._lock = threading.RLock()
        self._n_deaths_at_start = 0
        self._mark, self._n_started = new_mark(), 0
        self._held = deque[Job]()  # waiting for room
        self._stopped = set[int]()  # trainings that were asked to stop, by key
        self._trimmed = self.now()  # when the log sizes were last checked
        self._spans = list[Span]()
        self._workers = [self._start(i) for i in range(n_workers)]
        cards_of_workers = [worker.card for worker in self._workers if worker.card is not None]
        self._admission = Admission(Counter(cards_of_workers))

    @property
    def n_workers(self) -> int:
        return self._n_workers

    @property
    def n_free(self) -> int:
        return self._n_workers - sum(worker.job is not None for worker in self._workers) - len(self._held)

    @property
    def spans(self) -> Sequence[Span]:
        return self._spans

    def submit(self, job: Job) -> None:
        with self._lock:
            self._stopped.difference_update(training.key for training in job.trainings)
            self._held.append(job)
            self._start_held()

    def _start_held(self) -> None:
        """Start waiting jobs in order, as far as there is room."""
        while self._held and sum(worker.job is not None for worker in self._workers) < self._n_workers:
            worker = self._worker_for(self._held[0])
            if worker is None:
                return
            self._send_job(worker, self._held.popleft())

    def _worker_for(self, job: Job) -> WorkerProcess | None:
        """An idle process with the job's runtime or none yet, on the least busy card with room for the job; a new
        process if there is none. None if no card has room."""
        free = [worker for worker in self._workers if worker.job is None and worker.runtime in (job.runtime, None)]
        if not free:
            free = [self._start(len(self._workers))]
            self._workers += free
        fitting = [w for w in free if w.card is None or self._admission.has_room(w.card, _memory_key(job))]
        if not fitting:
            return None
        return min(
            fitting,
            key=lambda w: (w.runtime != job.runtime, 0 if w.card is None else self._admission.n_running(w.card)),
        )

    def _send_job(self, worker: WorkerProcess, job: Job) -> None:
        worker.job, worker.n_oom_kills, worker.started = job, n_oom_kills(), self.now()
        worker.runtime = job.runtime
        if worker.card is not None:
            self._admission.began(worker.card, job.key, _memory_key(job))
        device = "cuda" if self._cards and job.device != "cpu" else job.device  # the process sees a single one
        worker.send({"job": asdict(replace(job.anywhere(), device=device))})
        if job.key in self._stopped:  # while it waited to start again
            worker.send({"stop": job.key})

    def _free(self, worker: WorkerProcess, event: JobEnded) -> Event:
        """The end of a worker's job, or its restart if it ran out of memory on a shared card."""
        job, card = worker.job, worker.card
        assert job is not None
        worker.job = worker.deadline = None
        ended: Event = event
        if card is not None and event.out_of_memory:
            has_shared = self._admission.ran_out(card, job.key)
            if has_shared and not job.lanes and job.key not in self._stopped:
                self._held.appendleft(replace(job, again=True))
                ended = Restarted(job.key, job.trained, f"{event.error}, beside others on its card")
        elif card is not None:
            self._admission.ended(card, job.key, event.memory)
            if event.memory is not None:
                self._spans.append(Span(card, worker.started, self.now(), event.memory.peak, event.memory.total))
        return ended

    def wait(self, timeout: float | None = None) -> list[Event]:
        until = None if timeout is None else self.now() + timeout
        while True:
            self._trim_logs()
            deadlines = [w.deadline for w in self._workers if w.job and w.deadline is not None]
            next_stop = min([*deadlines, *([] if until is None else [until])], default=None)
            if all(worker.job is None for worker in self._workers) and until is None:
                return []
            events = list[Event | None]()
            with contextlib.suppress(queue.Empty):
                seconds = None if next_stop is None else max(0.0, next_stop - self.now())
                events.append(self._receive(*self._inbox.get(timeout=seconds)))
                for _ in range(self._inbox.qsize()):  # not until it is empty, which it may never be
                    events.append(self._receive(*self._inbox.get()))
            with self._lock:
                events += [self._kill_hung(worker) for worker in list(self._workers)]
            happened = [event for event in events if event is not None]
            if happened or (until is not None and self.now() >= until):
                return happened

    def stop(self, key: int) -> None:
        with self._lock:
            self._stopped.add(key)
            for worker in self._workers:
                if worker.job is not None and any(training.key == key for training in worker.job.trainings):
                    worker.send({"stop": key})

    def cancel(self) -> None:
        with self._lock:
            self._held.clear()
            for worker in [worker for worker in self._workers if worker.job is not None]:
                self._restart(worker)

    def close(self) -> None:
        with self._lock:
            workers, self._workers = self._workers, []
        for worker in workers:
            worker.kill()
        if workers:
            kill_marked(MARK, self._mark)
        for worker in workers:
            assert worker.reader is not None
            worker.reader.join(timeout=1.0)
            worker.trim_log()

    def processor_seconds(self) -> float:
        """CPU seconds of the current processes since each was started."""
        import psutil

        total = 0.0
        for worker in self._workers:
            with contextlib.suppress(psutil.Error):
                times = psutil.Process(worker.process.pid).cpu_times()
                total += times.user + times.system
        return total

    def _start(self, index: int) -> WorkerProcess:
        self._n_started += 1
        return WorkerProcess.start(
            self._hello,
            self._environment,
            self._inbox,
            mark=f"{self._mark}-{self._n_started}.",
            card=self._cards[index % self._n_workers % len(self._cards)] if self._cards else None,
            log=None if self._logs is None else self._logs / f"worker-{index}.log",
        )

    def _trim_logs(self) -> None:
        if self.now() >= self._trimmed + SECONDS_BETWEEN_TRIMS:
            self._trimmed = self.now()
            for worker in list(self._workers):
                worker.trim_log()

    def _receive(self, worker: WorkerProcess, event: Event | None) -> Event | None:
        with self._lock:
            return self._replace(worker) if event is None else self._received(worker, event)

    def _received(self, worker: WorkerProcess, event: Event) -> Event | None:
        if worker not in self._workers or worker.job is None or event.key != worker.job.key:
            return None  # from a worker that has been killed
        if isinstance(event, JobStarted):
            worker.has_started = True
            self._n_deaths_at_start = 0
            if self._trial_seconds is not None and worker.job.limited:
                worker.deadline = self.now() + len(worker.job.trainings) * self._trial_seconds
            return None
        if isinstance(event, JobEnded):
            ended = self._free(worker, event)
            if event.broken:
                self._restart(worker)
            self._start_held()
            return ended
        return event

    def _replace(self, worker: WorkerProcess) -> Event | None:
        if worker not in self._workers:
            return None
        self._restart(worker)
        status = worker.process.returncode
        how = f"signal {signal.Signals(-status).name}" if status < 0 else f"exit status {status}"
        if not worker.has_started:
            self._n_deaths_at_start += 1
            if self._n_deaths_at_start >= MAX_DEATHS_AT_START:
                raise UserError(f"the training processes die before they train ({how}): {last_lines(worker.log, 1)}")
        if worker.job is None:
            return None
        hint = "; out of memory?" if status == -signal.SIGKILL else ""
        # An out-of-memory kill by the kernel would recur; if these are not counted, the last attempt's end is reported.
        lost = -status in EXTERNAL_SIGNALS and worker.n_oom_kills == n_oom_kills()
        error = f"the training process died ({how}{hint})"
        return JobEnded(worker.job.key, self.now() - worker.started, error, last_lines(worker.log), lost=lost)

    def _restart(self, worker: WorkerProcess) -> None:
        index = self._workers.index(worker)
        worker.kill()
        kill_marked(MARK, worker.mark)
        worker.trim_log()
        if worker.job is not None and worker.card is not None:
            self._admission.left(worker.card, worker.job.key)
        self._workers[index] = self._start(index)
        self._start_held()

    def _kill_hung(self, worker: WorkerProcess) -> Event | None:
        if worker.job is None or worker.deadline is None or self.now() < worker.deadline:
            return None
        self._restart(worker)
        error = f"{TOO_SLOW}: it took longer than {self._trial_seconds:g} s, the limit of a trial"
        return JobEnded(worker.job.key, self._trial_seconds or 0.0, error)


def _memory_key(job: Job) -> Mapping[str, Any]:
    """What a job's memory use depends on."""
    return {**job.config, "lanes": len(job.lanes)} if job.lanes else job.config
