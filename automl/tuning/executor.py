"""Where trainings run: the interface, and the executor that trains in this process.

An executor knows jobs and events, not strategies and studies; the benchmarks have one with a virtual clock.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Self

from automl.tuning.jobs import Event, Job, JobEnded
from automl.tuning.memory import Span
from automl.tuning.worker import run_job

if TYPE_CHECKING:
    from automl.task import Task


class Executor(ABC):
    """Runs jobs, as many at a time as it has workers."""

    @property
    @abstractmethod
    def n_workers(self) -> int:
        """How many jobs can run at once; changes if workers come and go."""

    @property
    @abstractmethod
    def n_free(self) -> int:
        """How many jobs could start at once."""

    @abstractmethod
    def submit(self, job: Job) -> None:
        """Start a job. Call at most ``n_free`` times before the next ``wait``."""

    @abstractmethod
    def wait(self, timeout: float | None = None) -> list[Event]:
        """The new events, in order; blocks until there is one, for at most ``timeout`` seconds.

        Each job gives its EpochDone events and then exactly one JobEnded, even if its worker died.
        """

    @abstractmethod
    def stop(self, key: int) -> None:
        """End a running training after its current epoch; its JobEnded or LaneEnded still follows."""

    @property
    def spans(self) -> Sequence[Span]:
        """The trainings on GPUs so far whose memory use is known."""
        return ()

    def now(self) -> float:
        """Seconds on the executor's clock, which is real unless simulated."""
        return time.monotonic()

    def charge(self, seconds: float) -> None:
        """Record the time that the strategy has just spent: a simulated clock advances by it."""
        return

    @abstractmethod
    def cancel(self) -> None:
        """Drop running jobs without an event. All workers are free afterwards."""

    @abstractmethod
    def close(self) -> None:
        """Kill running jobs and release all resources."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class SerialExecutor(Executor):
    """One training at a time, in this process: easy to debug, and nothing to start."""

    def __init__(self, task: Task) -> None:
        self._task = task
        self._running: tuple[Job, Iterator[Event]] | None = None
        self._stopped = set[int]()

    @property
    def n_workers(self) -> int:
        return 1

    @property
    def n_free(self) -> int:
        return int(self._running is None)

    def submit(self, job: Job) -> None:
        assert self._running is None
        self._stopped = set()
        self._running = job, run_job(self._task, job, self._stopped)

    def wait(self, timeout: float | None = None) -> list[Event]:
        if self._running is None:
            return []
        job, events = self._running
        event = JobEnded(job.key, 0.0) if job.key in self._stopped and not job.lanes else next(events)
        if isinstance(event, JobEnded):
            self.cancel()
        return [event]

    def stop(self, key: int) -> None:
        self._stopped.add(key)

    def cancel(self) -> None:
        if self._running is not None:
            self._running[1].close()  # type: ignore[attr-defined]
            self._running = None

    def close(self) -> None:
        self.cancel()
