"""The data of a built-in task as if they were the user's own: any family, the default plan, but its own test set."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from automl.data.datasets.export import export_whole
from automl.data.ingest.request import Request
from automl.errors import UserError
from automl.tasks.registry import load_task

ORIGINALS = {"chembl234-bits": "chembl234"}  # prepared arrays -> the data set they were made from
GENERATED = ("bible", "cmudict", "kjv")  # data sets whose targets are texts


@contextmanager
def as_own_data(name: str, metric: str | None = None) -> Iterator[tuple[Request, str]]:
    """The request for a built-in task's data, whose files exist within the context, and ``metric`` or the task's.

    UserError for an unknown task, one that generates text, and a metric that does not fit the task.
    """
    task = load_task(name).with_metric(metric)
    data = ORIGINALS.get(task.data, task.data)
    if data in GENERATED:
        raise UserError(f"--model is for tasks that predict classes or numbers, {name!r} generates text: leave it out")
    with tempfile.TemporaryDirectory(prefix="automl-") as folder:
        yield Request(**export_whole(data, Path(folder))).checked(), task.metric
