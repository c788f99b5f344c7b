"""Read-only access to a run's study, during or after the run: nothing is written, and no lock is held."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from automl.errors import UserError
from automl.space.parse import load_space
from automl.study.database_errors import reading, reason
from automl.study.facts import GONE, RUNNING, Objective, facts_of_search
from automl.study.location import Location, of_folder
from automl.study.postgres import is_led, open_storage
from automl.study.run_folder import RunFolder
from automl.study.sqlite import connect, has_known_tables, remember_tables
from automl.study.storage import Store
from automl.study.study import Study

if TYPE_CHECKING:
    from optuna.storages import RDBStorage


# Keys of summary.json that its readers need.
SUMMARY = (
    "task", "strategy", "seed", "metric", "maximize", "stop_reason", "n_trials", "n_failed", "max_epochs", "best",
    "default", "final", "epochs_trained", "budget_epochs", "seconds", "strategy_seconds", "started", "versions",
    "commit",
)  # fmt: skip


@dataclass(frozen=True)
class RunningTraining:
    """A running training: its losses after each epoch of this step, and its start (local time)."""

    trial: int
    epochs: int  # requested
    losses: list[float]
    since: datetime | None


@dataclass(frozen=True)
class RunSnapshot:
    """A run at one moment."""

    study: Study
    settings: dict[str, Any]
    trainings: list[RunningTraining]
    objective: Objective
    is_running: bool  # whether a process runs the search
    stop_reason: str  # RUNNING during the run, GONE if it was killed
    where: str  # the run's folder, or its database and name
    folder: str | None  # None: unknown


def storage(run: RunFolder | Location) -> RDBStorage:
    """The run's Optuna storage, read-only. UserError if there is none."""
    import optuna
    from optuna.exceptions import StorageInternalError
    from sqlalchemy.exc import SQLAlchemyError
    from sqlalchemy.pool import NullPool

    at = of_folder(run) if isinstance(run, RunFolder) else run
    if at.is_shared:
        return open_storage(at.url, reads_only=True)
    assert at.folder is not None
    file = at.folder.study
    how, known = {"creator": lambda: connect(file), "poolclass": NullPool}, has_known_tables(file)
    try:
        found = optuna.storages.RDBStorage(
            "sqlite://", engine_kwargs=how, skip_table_creation=True, skip_compatibility_check=known
        )
    except (SQLAlchemyError, StorageInternalError, RuntimeError) as error:
        raise UserError(f"cannot read {str(file)!r}: {reason(error)}") from None
    if not known:
        remember_tables(file)
    return found


def look(run: RunFolder | Location) -> RunSnapshot:
    """The current state of the run. UserError if there is none, or if its space has no short form."""
    at = of_folder(run) if isinstance(run, RunFolder) else run
    kept = storage(at)
    is_running = _is_running(at, kept)  # checked before reading: what is read after the end is complete
    store, study, attributes = _read(at, kept)
    trainings = []
    for trial in study.trials.values():
        if trial.state == "running" and not (frozen := store.as_stored(trial.number)).state.is_finished():
            losses = [loss for _, loss in sorted(frozen.intermediate_values.items())]
            trainings.append(RunningTraining(trial.number, trial.proposals[-1].epochs, losses, frozen.datetime_start))
    objective = Objective(**attributes["objective"])
    stop_reason = _stop_reason(attributes, is_running)
    folder = None if at.folder is None else str(at.folder.path)
    return RunSnapshot(study, attributes["settings"], trainings, objective, is_running, stop_reason, str(at), folder)


def _is_running(at: Location, kept: RDBStorage) -> bool:
    if not at.is_shared:
        assert at.folder is not None
        return at.folder.is_running
    with kept.engine.connect() as connection:
        return is_led(connection, at.name)


def _stop_reason(attributes: Mapping[str, Any], is_running: bool) -> str:
    """Why the run has ended, or its state if it has not."""
    return RUNNING if is_running else str(attributes["ended"] or GONE)


def _read(at: Location, kept: RDBStorage) -> tuple[Store, Study, dict[str, Any]]:
    """The study, and its attributes. UserError if there is none, or if its space has no short form."""
    try:
        study_id = kept.get_study_id_from_name(at.name)
        with reading(str(at)):
            attributes = kept.get_study_user_attrs(study_id)
    except KeyError:
        raise UserError(f"there is no run in {at}") from None
    settings = attributes.get("settings")
    if not isinstance(settings, dict) or not isinstance(settings.get("space"), dict):
        raise UserError(f"the space of the run in {str(at)!r} has no short form, so the run cannot be read")
    space = load_space(settings["space"])
    store = Store(kept, study_id, space)
    return store, Study(space, settings.get("max_epochs") or 1, store), attributes


def _summary(at: Location, attributes: Mapping[str, Any]) -> dict[str, Any] | None:
    """The content of summary.json, or None without one; in PostgreSQL, the study has it. UserError if it is damaged."""
    way_out = "write it again with --resume"
    if at.folder is not None and at.folder.versions.is_dir():
        way_out = "delete it, since an updated run cannot be resumed and does without"
    if at.folder is None:
        summary, where = attributes.get("summary"), f"the summary in {at}"
        if summary is None:
            return None
    else:
        where = repr(str(at.folder.summary))
        try:
            summary = json.loads(at.folder.summary.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        except (ValueError, RecursionError) as error:
            raise UserError(f"{where} is damaged ({error}); {way_out}") from None
    missing = [name for name in SUMMARY if not isinstance(summary, dict) or name not in summary]
    if missing:
        raise UserError(f"{where} is damaged (it has no {missing[0]!r}); {way_out}")
    return dict(summary)


def read_run(run: Path | Location) -> tuple[Study, dict[str, Any]]:
    """The study and the summary of a run, which may be active, ended or killed. ``run``: its folder or location.

    UserError if there is none, or if its summary.json is damaged.
    """
    at = of_folder(RunFolder(run)) if isinstance(run, Path) else run
    kept = storage(at)
    is_running = _is_running(at, kept)
    _, study, attributes = _read(at, kept)
    summary = _summary(at, attributes)
    return study, _of_search(study, attributes, _stop_reason(attributes, is_running)) if summary is None else summary


def _of_search(study: Study, attributes: Mapping[str, Any], stop_reason: str) -> dict[str, Any]:
    """The summary of a run that has written none, as far as its study has it."""
    settings, n_trials = attributes["settings"], attributes["settings"].get("n_trials")
    facts = facts_of_search(
        study, Objective(**attributes["objective"]),
        strategy=str(settings.get("strategy")), seed=settings.get("seed") or 0, stop_reason=stop_reason,
        seconds=study.clock,
    )  # fmt: skip
    return facts | {
        "task": settings.get("task") or facts["task"],
        "started": settings.get("started"),
        "budget_epochs": None if n_trials is None else n_trials * study.max_epochs,
        "settings": settings,
        "versions": {},
        "commit": None,
    }
