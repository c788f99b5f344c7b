"""Jobs whose trainings share a program: those that the task says are of one shape."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from automl.tuning.worker import Job, Lane

if TYPE_CHECKING:
    from automl.task import Task

MOST_LANES = 8  # more are hardly faster on a CPU


def packed(task: Task, jobs: Sequence[Job], n_workers: int) -> list[Job]:
    """The jobs, with trainings of one shape as lanes of one job, but never so many that a worker would have none.

    A job with lanes has the key of its first one. The jobs have folders.
    """
    most = min(MOST_LANES, math.ceil(len(jobs) / n_workers))
    lane_key: Callable[[Mapping[str, Any]], Hashable | None] = getattr(task, "lane_key", lambda config: None)
    keys = {job.key: None if most == 1 else lane_key(job.config) for job in jobs}
    groups: dict[Hashable, list[Job]] = {}
    for job in jobs:
        key = keys[job.key]
        groups.setdefault(("alone", job.key) if key is None else ("together", key), []).append(job)
    return [_together(group[start : start + most]) for group in groups.values() for start in range(0, len(group), most)]


def _together(jobs: Sequence[Job]) -> Job:
    if len(jobs) == 1:
        return jobs[0]
    return replace(jobs[0], lanes=tuple(Lane(job.key, job.config, job.seed, str(job.folder)) for job in jobs))


def singles(job: Job) -> list[Job]:
    """The trainings of a job, each as a job of its own."""
    if not job.lanes:
        return [job]
    return [
        replace(job, key=lane.key, config=lane.config, seed=lane.seed, folder=lane.folder, lanes=())
        for lane in job.lanes
    ]
