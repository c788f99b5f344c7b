"""Where a run's study is: in SQLite in the run's folder, or under a name in a PostgreSQL database."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from automl.errors import UserError
from automl.study.postgres import checked_url, shown
from automl.study.run_folder import RunFolder, write_atomic
from automl.study.sqlite import sqlite_url
from automl.study.storage import STUDY_NAME


@dataclass(frozen=True)
class Location:
    """A study in a database."""

    url: str  # for SQLAlchemy, without a password
    name: str  # of the study
    folder: RunFolder | None = None  # of the run; None: unknown

    @property
    def is_shared(self) -> bool:
        """Whether the database is on a server, so that several processes can take part in the run."""
        return not self.url.startswith("sqlite:")

    def __str__(self) -> str:
        return f"{shown(self.url)}, run {self.name!r}" if self.folder is None else str(self.folder.path)


def of_folder(folder: RunFolder) -> Location:
    """The location of the study of the run in a folder. UserError if there is none."""
    if folder.storage.exists():
        try:
            content = json.loads(folder.storage.read_text(encoding="utf-8"))
            return Location(checked_url(content["storage"]), str(content["name"]), folder)
        except (OSError, ValueError, LookupError, TypeError) as error:
            raise UserError(f"{str(folder.storage)!r} is damaged ({error}); give the URL of the storage") from None
    if not folder.study.exists():
        if folder.targets.is_dir():
            names = ", ".join(repr(str(place)) for place in sorted(folder.targets.iterdir()))
            raise UserError(f"{str(folder.path)!r} has a run on each of several targets; give one of them: {names}")
        raise folder.no_run()
    return Location(sqlite_url(folder.study), STUDY_NAME, folder)


def in_database(url: str, folder: RunFolder) -> Location:
    """The location of a run's study in PostgreSQL, under the name of the run's folder."""
    return Location(checked_url(url), folder.path.resolve().name, folder)


def located(text: str, name: str | None = None) -> Location:
    """The location given to a command: a run's folder, or the URL of a database and the name of the run, which may be
    omitted if the database holds a single run. UserError if there is no such run."""
    if "://" not in text:
        if name is not None:
            raise UserError("--name is for the URL of a database; the folder of a run holds one run")
        return of_folder(RunFolder(Path(text)))
    url = checked_url(text)
    return Location(url, _only_name(url) if name is None else name)


def record(location: Location, identity: str) -> None:
    """Record in the run's folder where its study is. ``identity``: of the study, by which the folder is recognised as
    the run's."""
    assert location.folder is not None
    content = {"storage": shown(location.url), "name": location.name, "id": identity}
    write_atomic(location.folder.storage, json.dumps(content, indent=2) + "\n")


def check_is_shared(location: Location, identity: str | None) -> None:
    """Raise UserError if this is not the folder of the run, which all its processes must share."""
    folder = location.folder
    assert folder is not None
    try:
        known = json.loads(folder.storage.read_text(encoding="utf-8"))["id"]
    except (OSError, ValueError, LookupError, TypeError):
        known = None
    if known is None or known != identity:
        raise UserError(
            f"{str(folder.path)!r} is not the folder of the run {location.name!r}; all its processes need one folder, "
            "for checkpoints, on a disk that their machines share: give it with --out"
        )


def _only_name(url: str) -> str:
    from automl.study.postgres import open_storage

    names = [study.study_name for study in open_storage(url, reads_only=True).get_all_studies()]
    if len(names) != 1:
        known = ", ".join(sorted(names))
        raise UserError(f"{shown(url)} holds {len(names)} runs; give one of them with --name: {known or 'none yet'}")
    return names[0]
