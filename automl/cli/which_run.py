"""How commands that read a run are told which one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from automl.study.location import Location

RUN = typer.Argument(metavar="RUN", help="The folder of a run, or the URL of its PostgreSQL database.")
NAME = typer.Option(metavar="NAME", help="Name of the run, with the URL of a database that holds several.")


def report_of(at: Location) -> Path:
    """The file of a run's report: in its folder, or in the current folder where only its database is known."""
    return Path(f"{Path(at.name).name}.html") if at.folder is None else at.folder.report


def history_of(at: Location) -> list[dict[str, Any]]:
    """The versions of a run's model, if it was updated; unknown where only the run's database is known."""
    from automl.continual.versions import Versions

    return [] if at.folder is None else Versions(at.folder).history
