"""Opens a run's folder as a new or existing study, with the run locked against other processes."""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from automl.errors import UserError
from automl.space.edit import space_to_dict
from automl.space.hyperparameters import SpaceError
from automl.study.facts import Objective
from automl.study.location import Location, of_folder, record
from automl.study.run_folder import RunFolder
from automl.study.sqlite import sqlite_url
from automl.study.storage import STUDY_NAME, Store
from automl.study.study import Study

if TYPE_CHECKING:
    from automl.study.postgres import LeaderConnection
    from automl.task import Task


@contextmanager
def opened(
    folder: RunFolder,
    task: Task,
    settings: Mapping[str, Any],
    *,
    resume: bool,
    data: Path | None = None,
    leader: LeaderConnection | None = None,
) -> Iterator[Study]:
    """A new or existing study of the run in a folder, which is locked against other processes.

    ``data``: a folder that is moved into that of a new run. ``leader``: the leader's connection, for a study in
    PostgreSQL.
    """
    if not resume:
        folder.create(from_python=bool(settings.get("from_python")))
        with _locked(folder, leader):
            with folder.being_created():
                if data is not None:
                    shutil.move(data, folder.data)
                store = _new_store(folder, task, settings, leader)
            study = Study(task.space, task.max_epochs, store)
            with nullcontext() if leader is not None else _free_if_refused(folder, study):
                yield study
        return
    if leader is None and folder.storage.exists():
        raise UserError(f"the study of the run in {str(folder.path)!r} is in a database; give its URL as storage")
    with _locked(folder, leader):
        before = recorded(folder, leader)
        for name in ("task", "data", "strategy", "seed", "max_epochs", "space", "maximize"):
            if before.get(name) != settings.get(name):
                raise UserError(
                    f"the run in {str(folder.path)!r} has {name} = {before.get(name)!r}, not {settings.get(name)!r}; "
                    "a resumed run keeps it"
                )
        where, study_name = (sqlite_url(folder.study), STUDY_NAME) if leader is None else (leader.storage, leader.name)
        store = Store.open(where, task.space, study_name)
        store.change_settings({**before, **settings})
        store.record(objective=Objective.of(task).to_json(), ended=None)
        yield Study(task.space, task.max_epochs, store)


@contextmanager
def _free_if_refused(folder: RunFolder, study: Study) -> Iterator[None]:
    """Mark the folder as free again if a user error, such as an address in use, ends the run before its first trial, so
    that the corrected command is not refused."""
    try:
        yield
    except UserError:
        if not study.trials:
            with suppress(OSError):  # the disk may be full or the folder gone, which the error says
                folder.starting.touch()
        raise


def _locked(folder: RunFolder, leader: LeaderConnection | None) -> Any:
    return folder.locked() if leader is None else nullcontext()  # the database's lock holds on every machine


def _new_store(folder: RunFolder, task: Task, settings: Mapping[str, Any], leader: LeaderConnection | None) -> Store:
    facts: dict[str, Any] = {"objective": Objective.of(task).to_json(), "ended": None}
    if leader is None:
        return Store.create(sqlite_url(folder.study), task.space, settings, **facts)
    _forget_half_made(leader)
    identity = uuid.uuid4().hex
    record(Location(leader.url, leader.name, folder), identity)
    return Store.create(leader.storage, task.space, settings, leader.name, folder=identity, **facts)


def _forget_half_made(leader: LeaderConnection) -> None:
    """Delete the study of a start that was killed before its settings were written."""
    try:
        study_id = leader.storage.get_study_id_from_name(leader.name)
    except KeyError:
        return
    has_settings = "settings" in leader.storage.get_study_user_attrs(study_id)
    if not has_settings and not leader.storage.get_n_trials(study_id):
        leader.storage.delete_study(study_id)


def recorded(folder: RunFolder, leader: LeaderConnection | None = None) -> dict[str, Any]:
    """The settings of the run in a folder. UserError if there is none."""
    if leader is not None:
        folder.starting.unlink(missing_ok=True)  # a study that has settings is complete
        return Store.settings(leader.storage, leader.name)
    if not folder.has_run:
        if folder.targets.is_dir():
            raise UserError("nothing to resume: a run on several targets cannot be resumed; start a new one")
        raise UserError(f"nothing to resume: there is no study.db in {str(folder.path)!r}")
    if folder.starting.exists():
        raise UserError(f"nothing to resume: the run in {str(folder.path)!r} ended before it began; start it again")
    at = of_folder(folder)
    return Store.settings(at.url, at.name)


def space_settings(space: Any) -> Any:
    """The space as JSON: its short form, or ConfigSpace's own serialisation if it has none."""
    try:
        return space_to_dict(space)
    except SpaceError:
        return str(space)
