"""Trainings in all processes that lend their workers to a run, through a shared database.

Jobs and their events stay in the database until the outcome is in the study. A leader that takes over from a dead one
continues with the jobs that it finds, from their first event.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from automl.study.run_folder import TrialFolders
from automl.tuning import job_table
from automl.tuning.executor import Executor
from automl.tuning.job_table import JobTable
from automl.tuning.jobs import Event, Job, JobEnded, event_from_json

if TYPE_CHECKING:
    from automl.study.study import Study

SECONDS_BETWEEN_COUNTS = 1.0  # of lenders


@dataclass
class _QueuedJob:
    """A job in the table."""

    id: int
    content: str
    n_events: int = 0  # read so far
    ended: bool = False


class SharedExecutor(Executor):
    """The leader's side: inserts jobs into the table and reads the lenders' events."""

    def __init__(
        self,
        table: JobTable,
        study: Study,
        root: Path,
        *,
        check: Callable[[], None] = lambda: None,
        is_leaving: Callable[[], bool] = lambda: False,
    ) -> None:
        """``root``: the run's folder. ``check``: called at each wait; what it raises ends the run in this process.
        ``is_leaving``: whether others should continue the run when this process ends."""
        self._table, self._study, self._root = table, study, root
        self._check, self._is_leaving = check, is_leaving
        self._put: dict[int, _QueuedJob] = {}  # by key
        self._found: dict[int, _QueuedJob] = {}  # of an earlier leader, by key
        self._ready: deque[Event] = deque()
        self._counted, self._n_workers = 0.0, 1  # monotonic time of the last count, and its result
        table.listen("leader")
        self._find()
        self._count()

    def _find(self) -> None:
        """Find an earlier leader's jobs for proposals without an outcome; drop all others.

        Programs of several trainings are dropped too: some of these may have been told, the others are trained again.
        """
        pending = {proposal.trial: proposal for proposal in self._study.pending}
        left_over = []
        for id_, key, content in self._table.jobs():
            job = json.loads(content)
            goes_on = key in pending and (job["epochs"], job["test"]) == (pending[key].epochs, False)
            if goes_on and not job["lanes"]:
                self._found[key] = _QueuedJob(id_, content)
            else:
                left_over.append(id_)
        self._drop(left_over)

    def has_found(self, key: int) -> bool:
        """Whether there is a job of an earlier leader, running or ended, so that its folder must not be touched."""
        return key in self._found

    @property
    def n_workers(self) -> int:
        return self._n_workers

    @property
    def n_free(self) -> int:
        return max(0, self._n_workers - sum(not put.ended for put in self._put.values()))

    def submit(self, job: Job) -> None:
        self._remove_reported()
        if job.key in self._put:  # an earlier step of the trial
            self._table.remove([self._put.pop(job.key).id])
        put = self._found.pop(job.key, None)
        if put is None:
            content = json.dumps(asdict(self._within_root(job)))
            put = _QueuedJob(self._table.put(job.key, content), content)
        self._put[job.key] = put

    def _within_root(self, job: Job) -> Job:
        """The job with folders relative to the run's, for other machines; each lender chooses its own devices."""

        folder = job.folder and str(Path(job.folder).relative_to(self._root))
        return replace(job, folder=folder, lanes=tuple(map(self._within_root, job.lanes)), device="auto")

    def wait(self, timeout: float | None = None) -> list[Event]:
        until = None if timeout is None else self.now() + timeout
        while True:
            self._check()
            self._remove_reported()
            self._read()
            if self.now() - self._counted >= SECONDS_BETWEEN_COUNTS:
                self._count()
            left = 1.0 if until is None else until - self.now()
            nothing_runs = until is None and all(put.ended for put in self._put.values())
            if self._ready or left <= 0 or nothing_runs:
                events = list(self._ready)
                self._ready.clear()
                return events
            self._table.woken(min(SECONDS_BETWEEN_COUNTS, left))

    def _read(self) -> None:
        running = {put.id: (key, put) for key, put in self._put.items() if not put.ended}
        for id_, number, content in self._table.events({put.id: put.n_events for _, put in running.values()}):
            key, put = running[id_]
            put.n_events = number
            self._deliver(key, replace(event_from_json(content), key=key))

    def _deliver(self, key: int, event: Event) -> None:
        self._ready.append(event)
        if isinstance(event, JobEnded):
            self._put[key].ended = True
            if event.lost or event.fatal:  # another attempt, after a fatal error by another leader, is a new job
                self._table.remove([self._put.pop(key).id])

    def _count(self) -> None:
        dead = dict(self._table.remove_dead_lenders())
        self._found = {key: put for key, put in self._found.items() if put.id not in dead}
        for key, put in [(key, put) for key, put in self._put.items() if put.id in dead]:
            seconds = f"{job_table.LEASE_SECONDS:g} s"
            error = f"the process on {dead[put.id]} that trained it gave no sign of life for {seconds}"
            self._deliver(key, JobEnded(key, 0.0, error, lost=True))
        self._n_workers = max(1, self._table.n_workers())
        self._counted = self.now()

    def _remove_reported(self) -> None:
        """Remove jobs whose outcomes are in the study. Until then, another leader would need their events."""
        trials = self._study.trials
        over = [k for k, put in self._put.items() if put.ended and (k not in trials or trials[k].state != "running")]
        self._table.remove([self._put.pop(key).id for key in over])

    def stop(self, key: int) -> None:
        put = self._put.get(key)
        if put is not None and not json.loads(put.content)["lanes"]:  # lanes run to their end
            self._table.stop(put.id)

    def cancel(self) -> None:
        if self._is_leaving():
            return
        self._drop([id_ for id_, _, _ in self._table.jobs()])
        self._put.clear()
        self._found.clear()
        self._ready.clear()

    def _drop(self, jobs: Sequence[int]) -> None:
        """Drop jobs, and wait until no lender trains them."""
        self._table.drop(jobs)
        while self._table.n_dropped():
            self._check()
            self._table.remove_dead_lenders()
            self._table.woken(0.5)

    def close(self) -> None:
        """Do nothing: the lenders are separate processes, and their trainings continue for the next leader."""


class SharedFolders(TrialFolders):
    """The trials' folders of a run whose trainings outlive its leader."""

    def __init__(self, root: Path | None, executor: SharedExecutor) -> None:
        super().__init__(root)
        self._executor = executor

    def begin(self, number: int, *, continues: bool) -> Path | None:
        found = self._last_attempt(number) if self._executor.has_found(number) else None
        return found or super().begin(number, continues=continues)
