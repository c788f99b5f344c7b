"""A task that also scores its trainings on the test set: for evaluation, never for the search."""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from automl.task import Epoch, Task, TrainingFailed
from automl.tuning.jobs import Job


@dataclass(frozen=True)
class Scored:
    """The same task with additional metrics per epoch: test scores as ``test_<name>``, and seconds.

    ``shares``: trainings may share a program, each scored after every epoch; their seconds are then shares of its own.
    ``every_epoch``: the training is stopped after each epoch, scored, and resumed from its checkpoint, with the same
    result as an uninterrupted one; otherwise only its end is scored. The seconds exclude the scoring and the time in
    which the core was used by other processes, since recorded times should not depend on the load of the machine.
    """

    task: Task
    every_epoch: bool = True
    shares: bool = False

    def __getattr__(self, name: str) -> Any:
        if name == "task" or name.startswith("__"):  # during unpickling
            raise AttributeError(name)
        return getattr(self.task, name)

    def lane_key(self, config: Mapping[str, Any]) -> Hashable | None:
        own: Callable[[Mapping[str, Any]], Hashable | None] = getattr(self.task, "lane_key", lambda config: None)
        return own(config) if self.shares else None

    def train_lanes(
        self, lanes: Sequence[Job], *, device: str, is_stopped: Callable[[int], bool] = lambda key: False
    ) -> Iterator[tuple[int, Epoch | TrainingFailed]]:
        task: Any = self.task
        left = {lane.key: lane for lane in lanes}
        for end in range(1, max(lane.epochs for lane in lanes) + 1):
            going = [replace(lane, epochs=end) for lane in left.values() if end <= lane.epochs]
            for key, ended in task.train_lanes(going, device=device, is_stopped=is_stopped):
                if isinstance(ended, TrainingFailed):
                    del left[key]
                    yield key, ended
                    continue
                scores = task.test(Path(str(left[key].folder)), device)
                tests = {f"test_{name}": value for name, value in scores.items()}
                yield key, replace(ended, metrics={**ended.metrics, **tests, "seconds": ended.seconds})

    def train(
        self, config: Mapping[str, Any], *, seed: int, epochs: int, checkpoint: Path | None, device: str
    ) -> Iterator[Epoch]:
        assert checkpoint is not None
        for end in range(1, epochs + 1) if self.every_epoch else [epochs]:
            began = time.perf_counter(), time.process_time()
            for epoch in self.task.train(config, seed=seed, epochs=end, checkpoint=checkpoint, device=device):
                share = (time.process_time() - began[1]) / (time.perf_counter() - began[0])
                seconds = epoch.seconds * min(1.0, share)
                scores = self.task.test(checkpoint, device) if epoch.epoch == end else {}
                tests = {f"test_{name}": value for name, value in scores.items()}
                yield replace(epoch, seconds=seconds, metrics={**epoch.metrics, **tests, "seconds": seconds})
                began = time.perf_counter(), time.process_time()
