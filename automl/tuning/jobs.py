"""The messages between executors and workers: jobs and events, and their JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Self

from automl.task import Epoch
from automl.tuning.memory import Memory

MAX_RETRIES = 3  # of a lost job, by whoever submitted it


@dataclass(frozen=True)
class Job:
    """One training of one config: up to ``epochs`` in total, from the checkpoint in ``folder`` if there is one.

    With ``lanes``, it is several trainings of one shape in one program, for a task with ``train_lanes``. Its key is
    then that of the first lane; each lane has its own other fields.
    """

    key: int  # unique within an executor
    config: Mapping[str, Any]
    seed: int
    epochs: int
    schedule: int | None = None  # epochs of its complete schedule, if not a full training's
    folder: str | None = None
    device: str = "auto"
    test: bool = False  # score it on the test set at the end
    with_valid: bool = False  # train a supervised task on the validation set too
    trained: int = 0  # epochs that count so far, after which it resumes from the checkpoint
    left: float | None = None  # seconds until the search ends: a training that cannot finish by then may give up early
    again: bool = False  # it was started before in this folder, whose checkpoint may be beyond ``trained``
    limited: bool = True  # whether it is killed at the time limit of a trial
    runtime: str = ""  # jobs with different runtimes never share a process
    lanes: Sequence[Job] = ()

    @property
    def trainings(self) -> Sequence[Job]:
        """Its trainings, each as a separate job."""
        return self.lanes or (self,)

    def anywhere(self) -> Job:
        """The job with absolute paths: its process may have another working directory, or change it."""
        folder = self.folder and str(Path(self.folder).resolve())
        return replace(self, folder=folder, lanes=tuple(lane.anywhere() for lane in self.lanes))

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> Self:
        """The inverse of ``dataclasses.asdict``."""
        return cls(**{**fields, "lanes": tuple(map(cls.from_json, fields["lanes"]))})


@dataclass(frozen=True)
class JobStarted:
    """A worker is loaded and starts to train: a time limit counts from here."""

    key: int


@dataclass(frozen=True)
class EpochDone:
    """A job has trained one more epoch."""

    key: int
    epoch: Epoch
    lane: int | None = None  # the lane's key

    @property
    def training(self) -> int:
        """The key of the training, alone or a lane."""
        return self.key if self.lane is None else self.lane


@dataclass(frozen=True)
class LaneEnded:
    """A lane of a job has ended: complete, stopped, or failed."""

    key: int
    lane: int  # the lane's key
    seconds: float
    error: str | None = None
    scores: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Restarted:
    """A job continues after an earlier epoch than it had reached; its results after that epoch no longer count."""

    key: int
    epoch: int  # after which the trial continues; 0: from scratch
    reason: str  # one line


@dataclass(frozen=True)
class JobEnded:
    """A job has ended: complete, stopped, or failed."""

    key: int
    seconds: float
    error: str | None = None  # one line
    traceback: str | None = None  # or the last output of a process that died
    fatal: bool = False  # an error the user can fix, and which every other trial would have too
    blocked: bool = False  # fatal, but no training's fault, such as a full disk: the run ends and can be resumed
    broken: bool = False  # the process cannot train again: after a GPU error, all later trainings fail
    scores: Mapping[str, float] = field(default_factory=dict)  # on the test set, if requested
    lost: bool = False  # its process was killed, or its card was full of other trainings: a retry may succeed
    out_of_memory: bool = False
    memory: Memory | None = None  # on its card, if known


Event = JobStarted | EpochDone | Restarted | LaneEnded | JobEnded
KINDS: Mapping[str, type[Event]] = {
    kind.__name__: kind for kind in (JobStarted, EpochDone, Restarted, LaneEnded, JobEnded)
}


def event_to_json(event: Event) -> str:
    """The event as one line, with NaN and infinities as Python writes them."""
    return json.dumps({"event": type(event).__name__, **asdict(event)})


def event_from_json(line: str) -> Event:
    """The inverse of ``event_to_json``."""
    content = json.loads(line)
    kind = KINDS[content.pop("event")]
    if kind is EpochDone:
        content["epoch"] = Epoch(**content["epoch"])
    if content.get("memory") is not None:
        content["memory"] = Memory(**content["memory"])
    return kind(**content)
