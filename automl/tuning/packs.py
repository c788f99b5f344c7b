"""Runs many jobs to their end; trainings that have one shape, according to the task, share a program."""

from __future__ import annotations

import math
import shutil
from collections import Counter, deque
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from automl.study.run_folder import keep_attempt, new_attempt
from automl.task import TOO_SLOW
from automl.tuning.jobs import MAX_RETRIES, EpochDone, Job, JobEnded, LaneEnded, Restarted

if TYPE_CHECKING:
    from automl.task import Epoch, Task
    from automl.tuning.executor import Executor
    from strategies.base import Proposal

MOST_LANES = 8  # more are hardly faster on a CPU
Write: TypeAlias = Callable[..., object]
"""As ``RunLog.write``: called with the name of an event and its facts."""


@dataclass(frozen=True)
class Trained:
    """The result of a training."""

    epochs: tuple[Epoch, ...]
    ended: JobEnded


def packed(task: Task, jobs: Sequence[Job], n_workers: int) -> list[Job]:
    """The jobs, with trainings of one shape as lanes of one job, but never so many that a worker would be idle.

    A job with lanes has the key of the first one. A training that could share a program is a lane even if it is alone,
    so that its result does not depend on the number of workers. The jobs have folders.
    """
    most = min(MOST_LANES, math.ceil(len(jobs) / max(1, n_workers)))
    key_of = lane_keys(task)
    alone, groups = list[Job](), dict[Hashable, list[Job]]()
    for job in jobs:
        key = key_of(job.config)
        (alone if key is None else groups.setdefault(key, [])).append(job)
    return alone + [
        together(group[start : start + most]) for group in groups.values() for start in range(0, len(group), most)
    ]


def lane_keys(task: Task) -> Callable[[Mapping[str, Any]], Hashable | None]:
    """The key of a config, as a function: trainings with equal keys can share a program; None: with no other."""
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
    needless: Callable[[int, Trained], set[int]] = lambda key, done: set(),
    log: Write = lambda event, **facts: None,
    most_seconds: float | None = None,
) -> dict[int, Trained]:
    """Run jobs to their end; returns the results of the trainings, by key.

    ``watch``: called about once a second with the number of trainings done and in total. ``needless``: returns the keys
    of trainings that need not start once this one has ended. If a program of several trainings fails as a whole, its
    unfinished ones are trained alone, since one of them may be the cause. Each attempt has its own folder, which
    becomes the training's at its end. ``log``: called with starts, ends, restarts and retries; a training is identified
    by the name of its folder. ``most_seconds``: trainings that have not ended by then are dropped and count as failed.
    """
    end_at = math.inf if most_seconds is None else executor.now() + most_seconds
    waiting, running, retries = deque(jobs), dict[int, Job](), Counter[int]()
    places = {single.key: Path(str(single.folder)) for job in jobs for single in job.trainings}
    attempts: dict[int, Path] = {}  # folders of running trainings
    epochs: dict[int, list[Epoch]] = {key: [] for key in places}
    done: dict[int, Trained] = {}
    n_trainings = len(epochs)

    def note(event: str, key: int, **facts: Any) -> None:
        log(event, training=places[key].name, **facts)

    def end(key: int, ended: JobEnded) -> None:
        keep_attempt(attempts.pop(key), places[key])
        done[key] = Trained(tuple(epochs[key]), ended)
        note(
            "tell", key, state="complete" if ended.error is None else "failed", epochs=len(epochs[key]),
            loss=epochs[key][-1].loss if epochs[key] else None, training_seconds=round(ended.seconds, 3),
            error=ended.error,
        )  # fmt: skip

    def again(job: Job) -> None:
        shutil.rmtree(attempts.pop(job.key), ignore_errors=True)
        epochs[job.key].clear()

    while len(done) < n_trainings or running:  # a job of lanes ends after the last of them
        while waiting and executor.n_free:
            job = waiting.popleft()
            running[job.key], attempt = job, _attempt(job)
            attempts |= {single.key: Path(str(single.folder)) for single in attempt.trainings}
            for single in attempt.trainings:
                note("start", single.key, seed=single.seed, epochs=single.epochs)
            executor.submit(attempt)
        for event in executor.wait(min(1.0, max(0.0, end_at - executor.now()))):
            if isinstance(event, EpochDone):
                epochs[event.training].append(event.epoch)
            elif isinstance(event, Restarted):
                del epochs[event.key][event.epoch :]
                note("restart", event.key, after=event.epoch, reason=event.reason)
            elif isinstance(event, LaneEnded):
                end(event.lane, JobEnded(event.lane, event.seconds, event.error, scores=event.scores))
            elif isinstance(event, JobEnded) and (job := running.pop(event.key)).lanes:
                for single in job.trainings:
                    if single.key not in done:
                        note("apart", single.key, reason=event.error)
                        again(single)
                        waiting.append(single)
            elif isinstance(event, JobEnded) and event.lost and retries[event.key] < MAX_RETRIES:
                retries[event.key] += 1
                note("retry", event.key, attempt=retries[event.key] + 1, reason=event.error)
                again(job)
                waiting.appendleft(job)
            elif isinstance(event, JobEnded):
                end(event.key, event)
                spared = needless(event.key, done[event.key])
                kept = [job for job in waiting if job.key not in spared or job.lanes]
                n_trainings -= len(waiting) - len(kept)
                waiting = deque(kept)
        watch(len(done), n_trainings)
        if executor.now() >= end_at and (len(done) < n_trainings or running):
            executor.cancel()
            for place in attempts.values():
                shutil.rmtree(place, ignore_errors=True)
            late = JobEnded(-1, 0.0, f"{TOO_SLOW}: it was not done within the {most_seconds:.3g} s that were left")
            done |= {key: Trained((), replace(late, key=key)) for key in places if key not in done}
            break
    return done
