"""A task that also scores its trainings on the test set: for the records, never for the search."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from automl.task import Epoch, Task


@dataclass(frozen=True)
class Scored:
    """The same task; the metrics of an epoch have its scores on the test set beside them, as ``test_<name>``, and
    its seconds.

    ``every_epoch``: the training is stopped after each of them, scored, and goes on from its checkpoint, which gives
    what an uninterrupted one gives; else it is scored at its end alone. The seconds are those of the training alone,
    less the time in which other work had the core: a record is kept, and should not depend on what else the machine
    did.
    """

    task: Task
    every_epoch: bool = True

    def __getattr__(self, name: str) -> Any:
        if name == "task" or name.startswith("__"):  # while it is being unpickled
            raise AttributeError(name)
        return getattr(self.task, name)

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
