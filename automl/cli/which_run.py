"""Finding the run that a command reads."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from automl.analysis.columns import ColumnImportances
    from automl.study.location import Location
    from automl.study.run_folder import RunFolder
    from automl.study.study import Study

RUN = typer.Argument(metavar="RUN", help="The folder of a run, or the URL of its PostgreSQL database.")
NAME = typer.Option(metavar="NAME", help="Name of the run, with the URL of a database that holds several.")


def locations(run: str, name: str | None) -> Iterator[Location]:
    """The location of the run, or of the run on each of several targets. UserError if there is none."""
    from automl.study.location import located
    from automl.study.run_folder import RunFolder

    folder = RunFolder(Path(run))
    if folder.targets.is_dir() and not folder.has_run:
        for place in sorted(folder.targets.iterdir()):
            yield located(str(place), name)
    else:
        yield located(run, name)


def report_of(at: Location) -> Path:
    """The file of a run's report: in its folder, or in the current folder if only its database is known."""
    return Path(f"{Path(at.name).name}.html") if at.folder is None else at.folder.report


def rewrite_report(at: Location) -> tuple[Study, dict[str, Any]]:
    """Rewrite the report of a run; returns its study and summary."""
    from automl.analysis.report import write_report
    from automl.study.snapshot import read_run

    study, summary = read_run(at)
    write_report(report_of(at), study, summary, history=history_of(at), columns=columns_of(at))
    return study, summary


def rewrite_overview(run: str) -> Path | None:
    """Rewrite the report of a run on several targets, which links to those of the targets; None for other runs."""
    from automl.analysis.targets_report import write_targets_report
    from automl.deployment.model_card import CARD
    from automl.deployment.model_files import read_card, targets
    from automl.study.run_folder import RunFolder

    folder = RunFolder(Path(run))
    joint = {} if folder.has_run else read_card(folder.model / CARD)
    models = targets(joint, folder.model)
    if not models:
        return None
    cards = {name: read_card(model / CARD) for name, model in models.items()}
    reports = {name: f"{folder.targets.name}/{model.name}/{folder.report.name}" for name, model in models.items()}
    write_targets_report(folder.report, joint, cards, reports)
    return folder.report


def history_of(at: Location) -> list[dict[str, Any]]:
    """The versions of a run's model, if it was updated; empty if only the run's database is known."""
    from automl.continual.versions import Versions

    if at.folder is None:
        return []
    whole = at.folder.of_all_targets  # whose targets are updated together
    if whole is None:
        return Versions(at.folder).history()
    return Versions(whole).history(at.folder.path.resolve().name)


def model_of(folder: RunFolder) -> tuple[Path, Path] | None:
    """The folders of a run's model in use, and of data whose test set it was not trained on; None without a model."""
    from automl.continual.versions import Versions

    whole = folder.of_all_targets
    target = "" if whole is None else folder.path.resolve().name
    versions, model = Versions(whole or folder), (whole or folder).model / target
    return (model, versions.data(versions.in_use(target), target)) if model.is_dir() else None


def columns_of(at: Location) -> ColumnImportances | None:
    """The known importance of the columns to the model in use."""
    from automl.deployment.column_importance import kept_columns

    places = None if at.folder is None else model_of(at.folder)
    return None if at.folder is None or places is None else kept_columns(at.folder.columns, places[0])
