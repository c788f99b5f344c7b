"""How commands that read a run are told which one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from automl.study.location import Location

RUN = typer.Argument(metavar="RUN", help="The folder of a run, or the URL of its PostgreSQL database.")
NAME = typer.Option(metavar="NAME", help="Name of the run, with the URL of a database that holds several.")


def locations(run: str, name: str | None) -> Iterator[Location]:
    """Where the run is; of a run on several targets, where the run on each of them is. UserError if there is none."""
    from automl.study.location import located
    from automl.study.run_folder import RunFolder

    folder = RunFolder(Path(run))
    if folder.targets.is_dir() and not folder.has_run:
        for place in sorted(folder.targets.iterdir()):
            yield located(str(place), name)
    else:
        yield located(run, name)


def report_of(at: Location) -> Path:
    """The file of a run's report: in its folder, or in the current folder where only its database is known."""
    return Path(f"{Path(at.name).name}.html") if at.folder is None else at.folder.report


def history_of(at: Location) -> list[dict[str, Any]]:
    """The versions of a run's model, if it was updated; unknown where only the run's database is known."""
    from automl.continual.versions import Versions
    from automl.study.run_folder import RunFolder

    if at.folder is None:
        return []
    whole = RunFolder(at.folder.path.parent.parent)
    if at.folder.path.parent == whole.targets:  # the run on one of several targets, which are updated together
        return Versions(whole).history_of(at.folder.path.name)
    return Versions(at.folder).history
