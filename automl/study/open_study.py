"""Opens a run's folder as a new or existing study, with the folder locked."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from automl.errors import UserError
from automl.space.edit import space_to_dict
from automl.space.parse import SpaceError
from automl.study.run_folder import RunFolder
from automl.study.storage import Store, sqlite_url
from automl.study.study import Study

if TYPE_CHECKING:
    from automl.task import Task


@contextmanager
def opened(
    folder: RunFolder, task: Task, settings: Mapping[str, Any], *, resume: bool, data: Path | None = None
) -> Iterator[Study]:
    """A new or existing study in a run's folder, which is locked against other processes.

    ``data``: a folder that is moved into that of a new run.
    """
    url = sqlite_url(folder.study)
    if not resume:
        folder.create()
        with folder.locked():
            with folder.being_made():
                if data is not None:
                    shutil.move(data, folder.data)
                store = Store.create(url, task.space, settings)
            yield Study(task.space, task.max_epochs, store)
        return
    recorded(folder)
    with folder.locked():
        before = Store.settings(url)
        for name in ("task", "data", "strategy", "seed", "max_epochs", "space"):
            if before.get(name) != settings.get(name):
                raise UserError(
                    f"the run in {str(folder.path)!r} has {name} = {before.get(name)!r}, not {settings.get(name)!r}; "
                    "a resumed run keeps it"
                )
        store = Store.open(url, task.space)
        store.change_settings({**before, **settings})
        study = Study(task.space, task.max_epochs, store)
        study.settle()
        yield study


def recorded(folder: RunFolder) -> dict[str, Any]:
    """The settings of the run in a folder. UserError if there is none."""
    if not folder.study.exists():
        raise UserError(f"nothing to resume: there is no study.db in {str(folder.path)!r}")
    if folder.starting.exists():
        raise UserError(f"nothing to resume: the run in {str(folder.path)!r} ended before it began; start it again")
    return Store.settings(sqlite_url(folder.study))


def space_settings(space: Any) -> Any:
    """The space as JSON: its short form, or ConfigSpace's own serialisation if it has none."""
    try:
        return space_to_dict(space)
    except SpaceError:
        return str(space)
