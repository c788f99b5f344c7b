"""Built-in tasks cut down so that a training takes a second or two on one core."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from automl.space.edit import merge
from automl.space.parse import load_space
from automl.tasks.registry import load_task
from benchmarks.suites.live_task import LiveTask

if TYPE_CHECKING:
    from automl.data.splits import Splits

SMALL_BATCHES = {"ordinal": [16, 32, 64], "default": 32}  # for hundreds of examples: 9 steps an epoch or more


@dataclass(frozen=True)
class Shortened:
    """How a built-in task is cut down."""

    epochs: int
    train: int | None = None  # examples; None: all
    valid: int | None = None  # examples; a stratified sample, as is the test set
    test: int | None = None
    space: Mapping[str, Any] = field(default_factory=dict)  # narrower ranges, without the slowest models
    changes: Mapping[str, Any] = field(default_factory=dict)  # other attributes of the task

    def of(self, suite: str, name: str, kept: Path) -> LiveTask:
        """The task with this name. Raises UserError if its data are not on this machine."""
        task = load_task(name, train_size=self.train)
        narrowed = load_space(merge(task.space, self.space)) if self.space else task.space
        task = replace(task, space=narrowed, max_epochs=self.epochs, **self.changes)
        if self.valid is not None or self.test is not None:
            sizes = "-".join(str(size or "all") for size in (self.train, self.valid, self.test))
            task = replace(task, data=str(self._written(task.data, kept / "data" / f"{name}-{sizes}")))
        return LiveTask.of(suite, name, task, kept, group=name.partition("-")[0])

    def _written(self, data: str, folder: Path) -> Path:
        """The folder of the data with smaller sets, written if needed."""
        from automl.data.datasets.registry import load_data
        from automl.data.memory_map import write_prepared

        if not folder.exists():
            folder.parent.mkdir(parents=True, exist_ok=True)
            writing = Path(tempfile.mkdtemp(dir=folder.parent))
            write_prepared(self._cut(load_data(data, self.train)), writing)
            try:
                writing.rename(folder)
            except OSError:  # another process was faster
                shutil.rmtree(writing)
        return folder

    def _cut(self, splits: Splits) -> Splits:
        from automl.data.splits import held_out

        valid, _ = held_out(splits.y_valid, self.valid or len(splits.y_valid))
        test, _ = held_out(splits.y_test, self.test or len(splits.y_test))
        return replace(
            splits,
            x_valid=splits.x_valid[valid], y_valid=splits.y_valid[valid],
            x_test=splits.x_test[test], y_test=splits.y_test[test],
        )  # fmt: skip
