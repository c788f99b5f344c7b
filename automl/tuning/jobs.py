"""What executors and workers say to each other: jobs and events, and their JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Self

from automl.task import Epoch
from automl.tuning.memory import Memory

MAX_RETRIES = 3  # of a job that is lost, by those who submit jobs


@dataclass(frozen=True)
class Job:
    """One training of one config: up to ``epochs`` in total, from the checkpoint in ``folder`` where there is one.

    Or, with ``lanes``, several trainings of one shape in one program, of a task with ``train_lanes``. Its key is then
    that of the first of them, and the rest of it is theirs.
    """

    key: int  # unique within an executor
    config: Mapping[str, Any]
    seed: int
    epochs: int
    schedule: int | None = None  # epochs of its complete schedule, where that is not a full training's
    folder: str | None = None
    device: str = "auto"
    test: bool = False  # score it on the test set at the end
    trained: int = 0  # epochs that count so far, after which it goes on from the checkpoint
    left: float | None = None  # seconds until the search ends: a training that cannot end in them may give up early
    again: bool = False  # it was begun before in this folder, which may hold more epochs than count
    limited: bool = True  # whether it is killed after the seconds of a trial
    runtime: str = ""  # trainings of different ones never share a process
    lanes: Sequence[Job] = ()

    @property
    def trainings(self) -> Sequence[Job]:
        """Its trainings, each as a job of its own."""
        return self.lanes or (self,)

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> Self:
        """The inverse of ``dataclasses.asdict``."""
        return cls(**{**fields, "lanes": tuple(map(cls.from_json, fields["lanes"]))})


@dataclass(frozen=True)
class JobStarted:
    """A worker has loaded what it needs and begins: a limit on its seconds counts from here."""

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
    """A lane of a job is over: trained to its end, stopped, or failed."""

    key: int
    lane: int  # the lane's key
    seconds: float
    error: str | None = None
    scores: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Restarted:
    """A job goes on after an earlier epoch than it had reached; what it has shown of later ones no longer counts."""

    key: int
    epoch: int  # of the trial, 0 for a training from scratch
    reason: str  # one line


@dataclass(frozen=True)
class JobEnded:
    """A job is over: trained to its end, stopped, or failed."""

    key: int
    seconds: float
    error: str | None = None  # one line
    traceback: str | None = None  # or the last output of a process that died
    fatal: bool = False  # an error the user can fix, which every other trial would meet too
    broken: bool = False  # the process cannot train again: an error of a card fails all that follow
    scores: Mapping[str, float] = field(default_factory=dict)  # on the test set, where it was asked for
    lost: bool = False  # to others, who killed its process or left no room on its card: another attempt may succeed
    out_of_memory: bool = False
    memory: Memory | None = None  # on its card, as far as it is known


Event = JobStarted | EpochDone | Restarted | LaneEnded | JobEnded
KINDS: Mapping[str, type[Event]] = {
    kind.__name__: kind for kind in (JobStarted, EpochDone, Restarted, LaneEnded, JobEnded)
}


def event_to_json(event: Event) -> str:
    """One line; not-a-number and infinities in Python's spelling."""
    return json.dumps({"event": type(event).__name__, **asdict(event)})


def event_from_json(line: str) -> Event:
    """The event of a line by ``event_to_json``."""
    content = json.loads(line)
    kind = KINDS[content.pop("event")]
    if kind is EpochDone:
        content["epoch"] = Epoch(**content["epoch"])
    if content.get("memory") is not None:
        content["memory"] = Memory(**content["memory"])
    return kind(**content)
