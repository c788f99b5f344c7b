"""An executor with a virtual clock: trainings are looked up, and their events are ordered by virtual time."""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable

from automl.task import Epoch
from automl.tuning.executor import Executor
from automl.tuning.jobs import EpochDone, Event, Job, JobEnded
from benchmarks.suites.base import SimulatedTask


class ReplayExecutor(Executor):
    """``n_workers`` simulated workers under the real tuner. Deterministic, unless the strategy's own measured seconds
    are charged."""

    def __init__(
        self,
        task: SimulatedTask,
        n_workers: int,
        strategy_seconds: Callable[[int], float] | None = None,
        time_limit: float | None = None,
    ) -> None:
        """``strategy_seconds``: the cost of a step of the strategy, by the number of previous steps; None: as measured.

        ``time_limit``: the tuner's limit. No events occur after it, so longer trainings need not be completed.
        """
        self._n_workers = n_workers
        self._task = task
        self._strategy_seconds = strategy_seconds
        self._time_limit = math.inf if time_limit is None else time_limit
        self._n_charged = 0
        self._now = 0.0
        self._running: set[int] = set()
        self._trained: dict[int, int] = {}  # epochs by job
        self._seconds: dict[int, float] = {}  # by job, of these epochs
        self._coming: list[tuple[float, int, Event]] = []
        self._n_events = 0  # ties in time are resolved by the order of submission

    @property
    def n_workers(self) -> int:
        return self._n_workers

    @property
    def n_free(self) -> int:
        return self._n_workers - len(self._running)

    def submit(self, job: Job) -> None:
        is_short = job.schedule is not None and job.schedule < self._task.max_epochs
        before = self._seconds.get(job.key, 0.0)
        limit = before + self._time_limit - self._now
        curve = self._task.curve_within(job.config, job.seed, job.epochs, limit, short=is_short)
        at = self._now
        # A full training may have a custom number of epochs.
        n_epochs = len(curve.losses) if job.epochs == self._task.max_epochs else min(job.epochs, len(curve.losses))
        for i in range(self._trained.get(job.key, 0), n_epochs):
            at += float(curve.seconds[i])
            epoch = Epoch(i + 1, float(curve.losses[i]), {}, float(curve.seconds[i]))
            self._push(at, EpochDone(job.key, epoch))
        is_whole = job.epochs == self._task.max_epochs or len(curve.losses) < job.epochs
        self._push(at, JobEnded(job.key, at - self._now, curve.error if is_whole else None))
        self._running.add(job.key)
        self._trained[job.key] = job.epochs
        self._seconds[job.key] = before + at - self._now

    def wait(self, timeout: float | None = None) -> list[Event]:
        if not self._coming:
            return []
        at, _, event = heapq.heappop(self._coming)
        self._now = max(self._now, min(at, self._time_limit))
        if at > self._time_limit:
            return []
        if isinstance(event, JobEnded):
            self._running.discard(event.key)
        return [event]

    def stop(self, key: int) -> None:
        self._coming = [entry for entry in self._coming if entry[2].key != key]
        heapq.heapify(self._coming)
        self._push(self._now, JobEnded(key, 0.0))

    def now(self) -> float:
        return self._now

    def charge(self, seconds: float) -> None:
        if self._strategy_seconds is not None:
            seconds = self._strategy_seconds(self._n_charged)
        self._n_charged += 1
        self._now += seconds

    def cancel(self) -> None:
        self._coming = []
        self._running = set()

    def close(self) -> None:
        self.cancel()

    def _push(self, at: float, event: Event) -> None:
        heapq.heappush(self._coming, (at, self._n_events, event))
        self._n_events += 1
