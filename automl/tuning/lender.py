"""A process that lends its workers to a run: it takes jobs from the database and writes their events to it."""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from automl.errors import UserError
from automl.study.database_errors import ConnectionLost
from automl.tuning import job_table
from automl.tuning.job_table import JobTable
from automl.tuning.jobs import Event, Job, JobEnded, event_to_json

if TYPE_CHECKING:
    from automl.tuning.executor import Executor

HEARTBEAT_SECONDS = 1.0
POLL_SECONDS = 0.05  # at the executor while it trains; a new job waits at most this long


class Lender:
    """A thread that trains jobs of a run with an executor until it is closed.

    While the database cannot be reached, trainings continue for LEASE_SECONDS; then they are killed, since others count
    this process as dead.
    """

    def __init__(self, table: JobTable, executor: Executor, root: Path, device: str) -> None:
        """``root``: the run's folder on this machine. ``device``: for trainings on this machine."""
        self._table, self._executor, self._root, self._device = table, executor, root, device
        self._error: BaseException | None = None
        self._over = threading.Event()
        self._n_events: dict[int, int] = {}  # by running job
        self._unwritten: list[tuple[int, int, Event]] = []  # job, number, event
        self._stopped: set[int] = set()
        self._register()
        self._thread = threading.Thread(target=self._run, name="automl-lender", daemon=True)
        self._thread.start()

    def check(self) -> None:
        """Raise the error that ended the thread, if any."""
        if self._error is not None:
            raise self._error

    def close(self) -> None:
        """Kill the running trainings and report them as lost."""
        self._over.set()
        self._thread.join()

    def _register(self) -> None:
        now = time.monotonic()
        self._table.listen("lenders")
        self.id = self._table.join(self._executor.n_workers)
        self._is_late = False  # whether it has killed its jobs, as others may count it as dead
        self._alive_until = now + job_table.LEASE_SECONDS  # as others see it
        self._next_heartbeat = now + HEARTBEAT_SECONDS

    def _run(self) -> None:
        try:
            while not self._over.is_set():
                try:
                    self._step()
                except ConnectionLost:
                    self._without_database()
        except BaseException as error:
            self._error = error
        self._executor.close()
        with contextlib.suppress(ConnectionLost):
            self._report_lost(list(self._n_events), "the process that trained it was ended")
            self._table.leave(self.id)

    def _step(self) -> None:
        is_due = time.monotonic() >= self._next_heartbeat
        if is_due:
            self._send_heartbeat()
        if self._n_events:
            self._keep(self._executor.wait(POLL_SECONDS))
        is_woken = self._table.woken(0.0 if self._n_events else POLL_SECONDS)
        has_ended = self._write()
        if is_due or is_woken:
            self._apply_requests()
        if is_due or is_woken or has_ended:
            self._take_jobs()

    def _send_heartbeat(self) -> None:
        now = time.monotonic()
        if not self._is_late and self._table.heartbeat(self.id):
            self._alive_until, self._next_heartbeat = now + job_table.LEASE_SECONDS, now + HEARTBEAT_SECONDS
        else:  # others train its jobs now, or will once it has left: events of both attempts must not mix
            self._kill()
            self._table.leave(self.id)
            self._register()

    def _without_database(self) -> None:
        if self._n_events and time.monotonic() > self._alive_until:
            self._kill()
            self._is_late = True
        self._over.wait(0.5)
        with contextlib.suppress(ConnectionLost):
            self._table.listen("lenders")
            self._next_heartbeat = 0.0

    def _kill(self) -> None:
        self._executor.cancel()
        self._n_events.clear()
        self._unwritten.clear()
        self._stopped.clear()

    def _keep(self, events: Sequence[Event]) -> None:
        for event in events:
            job = -event.key
            self._n_events[job] += 1
            self._unwritten.append((job, self._n_events[job], event))

    def _write(self) -> bool:
        """Write new events; returns whether a job has ended."""
        if not self._unwritten:
            return False
        ended = [job for job, _, event in self._unwritten if isinstance(event, JobEnded)]
        rows = [(job, number, event_to_json(event)) for job, number, event in self._unwritten]
        self._table.write(self.id, rows, ended)
        self._unwritten.clear()
        for job in ended:
            self._n_events.pop(job, None)
            self._stopped.discard(job)
        return bool(ended)

    def _report_lost(self, jobs: Sequence[int], error: str) -> None:
        ended = {job for job, _, event in self._unwritten if isinstance(event, JobEnded)}  # not yet written
        for job in jobs:
            if job not in ended:
                self._keep([JobEnded(-job, 0.0, error, lost=True)])
        self._write()

    def _apply_requests(self) -> None:
        """Stop jobs as requested, and kill those that the leader has dropped."""
        mine = self._table.mine(self.id)
        if self._n_events.keys() - mine.keys():
            self._executor.cancel()
            for job in self._n_events.keys() - mine.keys():
                del self._n_events[job]
            self._report_lost(list(self._n_events), "it was killed with others that were dropped")
        unknown = mine.keys() - self._n_events.keys()
        if unknown:  # taken just before a connection was lost
            self._table.put_back(self.id, list(unknown))
        self._table.forget_dropped(self.id, list(self._n_events))
        for job in self._n_events:
            if mine.get(job) and job not in self._stopped:
                self._stopped.add(job)
                self._executor.stop(-job)

    def _take_jobs(self) -> None:
        if self._executor.n_free <= 0:
            return
        for id_, content in self._table.take(self.id, self._executor.n_free):
            job = self._localised(-id_, Job.from_json(json.loads(content)))  # lanes keep their trials' numbers as keys
            self._n_events[id_] = 0
            self._executor.submit(job)

    def _localised(self, key: int, job: Job) -> Job:
        """The job with folders and devices of this machine."""

        lanes = tuple(self._localised(lane.key, lane) for lane in job.lanes)
        here = replace(job, key=key, lanes=lanes, device=self._device)
        if job.folder is None:
            return here
        place = self._root / job.folder
        if not place.resolve().is_relative_to(self._root.resolve()):
            raise UserError(f"a job names a folder outside of the run's: {job.folder!r}")
        place.mkdir(parents=True, exist_ok=True)  # another machine's folder may become visible late
        return replace(here, folder=str(place))
