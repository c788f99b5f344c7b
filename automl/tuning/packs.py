"""Runs many jobs to their end; trainings that have one shape, according to the task, share a program."""

from __future__ import annotations

import math
import shutil
from collections import Counter, deque
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from automl.errors import Blocked
from automl.study.run_folder import new_attempt, replace_folder
from automl.task import TOO_SLOW
from automl.tuning.jobs import MAX_RETRIES, EpochDone, Event, Job, JobEnded, LaneEnded, Restarted

if TYPE_CHECKING:
    from automl.task import Epoch, Task
    from automl.tuning.executor import Executor
    from strategies.base import Proposal

MAX_LANES = 8  # more are hardly faster on a CPU
Write: TypeAlias = Callable[..., object]
"""As ``RunLog.write``: called with the name of an event and its facts."""


@dataclass(frozen=True)
class TrainingResult:
    """The result of a training."""

    epochs: tuple[Epoch, ...]
    ended: JobEnded


def packed(task: Task, jobs: Sequence[Job], n_workers: int) -> list[Job]:
    """The jobs, with trainings of one shape as lanes of one job, but few enough that no worker is idle.

    A job with lanes has the key of the first one. A training that could share a program is a lane even if it is alone,
    so that its result does not depend on the number of workers. The jobs have folders.
    """
    most = min(MAX_LANES, math.ceil(len(jobs) / max(1, n_workers)))
    key_of = lane_keys(task)
    alone, groups = list[Job](), dict[Hashable, list[Job]]()
    for job in jobs:
        key = key_of(job.config)
        (alone if key is None else groups.setdefault(key, [])).append(job)
    return alone + [
        together(group[start : start + most]) for group in groups.values() for start in range(0, len(group), most)
    ]


def lane_keys(task: Task) -> Callable[[Mapping[str, Any]], Hashable | None]:
    """A function from a config to its key: trainings with equal keys can share a program; None: it is trained alone."""
    own: Callable[[Mapping[str, Any]], Hashable | None] = getattr(task, "lane_key", lambda config: None)
    return own


def together(jobs: Sequence[Job]) -> Job:
    """One job with these jobs as lanes."""
    return replace(jobs[0], lanes=tuple(jobs))


def first_of_pack(proposal: Proposal) -> int:
    """The first trial of the pack that a proposal belongs to."""
    return proposal.trial if proposal.alike is None else proposal.alike


def _attempt(job: Job) -> Job:
    """The job in new folders, which are copies of its trainings' folders if these exist."""
    if job.lanes:
        return replace(job, lanes=tuple(map(_attempt, job.lanes)))
    assert job.folder is not None
    place = Path(job.folder)
    return replace(job, folder=str(new_attempt(place, continues=place.is_dir())))


def train_jobs(
    jobs: Sequence[Job],
    executor: Executor,
    watch: Callable[[int, int], None] = lambda done, of: None,
    redundant: Callable[[int, TrainingResult], set[int]] = lambda key, done: set(),
    log: Write = lambda event, **facts: None,
    max_seconds: float | None = None,
) -> dict[int, TrainingResult]:
    """Run jobs to their end; returns the results of the trainings, by key.

    ``watch``: called about once a second with the number of trainings done and in total. ``redundant``: returns the
    keys of trainings that need not start once this one has ended. If a program of several trainings fails as a whole,
    its unfinished ones are trained alone, since one of them may be the cause. Each attempt has its own folder, which
    becomes the training's at its end. ``log``: called with starts, ends, restarts and retries; a training is identified
    by the name of its folder. ``max_seconds``: trainings that have not ended by then are dropped and count as failed.
    Raises Blocked if a training ended for an external reason, such as a full disk.
    """
    end_at = math.inf if max_seconds is None else executor.now() + max_seconds
    run = _Run(jobs, executor, redundant, log)
    while run.is_unfinished:
        run.submit_waiting()
        for event in executor.wait(min(1.0, max(0.0, end_at - executor.now()))):
            run.handle(event)
        watch(len(run.done), run.n_trainings)
        if executor.now() >= end_at and run.is_unfinished:
            run.drop_rest(f"{TOO_SLOW}: it was not done within the {max_seconds:.3g} s that were left")
            break
    return run.done


class _Run:
    """Jobs from their start to their end: see ``train_jobs``."""

    def __init__(
        self, jobs: Sequence[Job], executor: Executor, redundant: Callable[[int, TrainingResult], set[int]], log: Write
    ) -> None:
        self._executor, self._redundant, self._log = executor, redundant, log
        self._waiting, self._running = deque(jobs), dict[int, Job]()
        self._retries = Counter[int]()
        self._places = {single.key: Path(str(single.folder)) for job in jobs for single in job.trainings}
        self._attempts: dict[int, Path] = {}  # folders of running trainings
        self._epochs: dict[int, list[Epoch]] = {key: [] for key in self._places}
        self.done: dict[int, TrainingResult] = {}

    @property
    def n_trainings(self) -> int:
        """Without those that turned out to be redundant."""
        return len(self._places)

    @property
    def is_unfinished(self) -> bool:
        return len(self.done) < self.n_trainings or bool(self._running)  # a job of lanes ends after the last of them

    def submit_waiting(self) -> None:
        """Start waiting jobs in order, as far as workers are free."""
        while self._waiting and self._executor.n_free:
            job = self._waiting.popleft()
            self._running[job.key], attempt = job, _attempt(job)
            self._attempts |= {single.key: Path(str(single.folder)) for single in attempt.trainings}
            for single in attempt.trainings:
                self._note("start", single.key, seed=single.seed, epochs=single.epochs)
            self._executor.submit(attempt)

    def handle(self, event: Event) -> None:
        """Process an event of the executor."""
        if isinstance(event, EpochDone):
            self._epochs[event.training].append(event.epoch)
        elif isinstance(event, Restarted):
            del self._epochs[event.key][event.epoch :]
            self._note("restart", event.key, after=event.epoch, reason=event.reason)
        elif isinstance(event, LaneEnded):
            self._end(event.lane, JobEnded(event.lane, event.seconds, event.error, scores=event.scores))
        elif isinstance(event, JobEnded):
            if event.blocked:
                self.drop_rest(str(event.error))  # its partial files would keep the disk full
                raise Blocked(event.error)
            self._job_ended(self._running.pop(event.key), event)

    def _job_ended(self, job: Job, event: JobEnded) -> None:
        if job.lanes:
            for single in [single for single in job.trainings if single.key not in self.done]:
                self._note("apart", single.key, reason=event.error)
                self._forget_attempt(single.key)
                self._waiting.append(single)
        elif event.lost and self._retries[job.key] < MAX_RETRIES:
            self._retries[job.key] += 1
            self._note("retry", job.key, attempt=self._retries[job.key] + 1, reason=event.error)
            self._forget_attempt(job.key)
            self._waiting.appendleft(job)
        else:
            self._end(job.key, event)
            spared = self._redundant(job.key, self.done[job.key])
            for one in [one for one in self._waiting if one.key in spared and not one.lanes]:
                self._waiting.remove(one)
                del self._places[one.key]

    def _end(self, key: int, ended: JobEnded) -> None:
        replace_folder(self._places[key], self._attempts.pop(key))
        epochs = self._epochs[key]
        self.done[key] = TrainingResult(tuple(epochs), ended)
        self._note(
            "tell", key, state="complete" if ended.error is None else "failed", epochs=len(epochs),
            loss=epochs[-1].loss if epochs else None, training_seconds=round(ended.seconds, 3), error=ended.error,
        )  # fmt: skip

    def _forget_attempt(self, key: int) -> None:
        shutil.rmtree(self._attempts.pop(key), ignore_errors=True)
        self._epochs[key].clear()

    def drop_rest(self, error: str) -> None:
        """End what runs or waits; it fails with this error."""
        self._executor.cancel()
        for place in self._attempts.values():
            shutil.rmtree(place, ignore_errors=True)
        for key in self._places.keys() - self.done.keys():
            self.done[key] = TrainingResult((), JobEnded(key, 0.0, error))

    def _note(self, event: str, key: int, **facts: Any) -> None:
        self._log(event, training=self._places[key].name, **facts)
