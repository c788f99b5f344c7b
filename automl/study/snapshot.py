"""Read-only access to a run's study, during or after the run: nothing is written, and no lock is held."""

from __future__ import annotations

import json
import sqlite3
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from automl.errors import UserError
from automl.space.parse import load_space
from automl.study.run_folder import RunFolder
from automl.study.storage import STUDY_NAME, Store, reading, sqlite_url
from automl.study.study import Study

if TYPE_CHECKING:
    from optuna.storages import RDBStorage


# What summary.json of every version has, and its readers need.
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
class Seen:
    """A run at one moment."""

    study: Study
    settings: dict[str, Any]
    trainings: list[RunningTraining]
    going_on: bool  # whether a process is running in the folder


def connect(file: Path) -> sqlite3.Connection:
    """A read-only connection, which leaves no files behind."""
    # SQLite creates write-ahead log files even for readers, unless the database is declared immutable. Without such a
    # log it is immutable: an active run has one.
    log = file.with_name(f"{file.name}-wal")
    mode = "mode=ro" if log.exists() else "immutable=1"
    return sqlite3.connect(f"{file.resolve().as_uri()}?{mode}", uri=True, check_same_thread=False)


def storage(folder: RunFolder) -> RDBStorage:
    """The run's Optuna storage, which opens connections with ``connect``. UserError if there is none."""
    import optuna
    from optuna.exceptions import StorageInternalError
    from sqlalchemy.exc import SQLAlchemyError
    from sqlalchemy.pool import NullPool

    if not folder.study.exists():
        raise UserError(f"there is no run in {str(folder.path)!r}: it has no study.db")
    how = {"creator": lambda: connect(folder.study), "poolclass": NullPool}
    try:
        return optuna.storages.RDBStorage("sqlite://", engine_kwargs=how, skip_table_creation=True)
    except (SQLAlchemyError, StorageInternalError, RuntimeError) as error:
        reason = str(error.__cause__ or error).strip().splitlines()[0]
        raise UserError(f"cannot read {str(folder.study)!r}: {reason}") from None


def look(folder: RunFolder) -> Seen:
    """The current state of the run. UserError if there is none, or if its space has no short form."""
    kept = storage(folder)
    going_on = folder.going_on  # checked before reading: what is read after the end is complete
    try:
        study_id = kept.get_study_id_from_name(STUDY_NAME)
        with reading(str(folder.study)):
            settings = kept.get_study_user_attrs(study_id).get("settings")
    except KeyError:
        raise UserError(f"{str(folder.study)!r} holds no run") from None
    if not isinstance(settings, dict) or not isinstance(settings.get("space"), dict):
        raise UserError(
            f"the space of the run in {str(folder.path)!r} has no short form, so it cannot be read from there"
        )
    space = load_space(settings["space"])
    store = Store(kept, study_id, space)
    study = Study(space, settings.get("max_epochs") or 1, store)
    trainings = []
    for trial in study.trials.values():
        if trial.state == "running" and not (frozen := store.as_stored(trial.number)).state.is_finished():
            losses = [loss for _, loss in sorted(frozen.intermediate_values.items())]
            trainings.append(RunningTraining(trial.number, trial.proposals[-1].epochs, losses, frozen.datetime_start))
    return Seen(study, settings, trainings, going_on)


def read_run(folder: Path) -> tuple[Study, dict[str, Any]]:
    """The study and the summary in a run's folder. UserError if they are missing."""
    run = RunFolder(folder)
    if not run.study.exists():
        raise UserError(f"there is no run in {str(folder)!r}: it has no study.db")
    try:
        summary = json.loads(run.summary.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"the run in {str(folder)!r} has no summary.json yet; finish it with --resume") from None
    except (ValueError, RecursionError) as error:
        raise UserError(f"{str(run.summary)!r} is damaged ({error}); write it again with --resume") from None
    missing = [name for name in SUMMARY if not isinstance(summary, dict) or name not in summary]
    if missing:
        raise UserError(f"{str(run.summary)!r} is damaged (it has no {missing[0]!r}); write it again with --resume")
    url = sqlite_url(run.study)
    settings = Store.settings(url)
    if not isinstance(settings.get("space"), dict):
        raise UserError(f"the space of the run in {str(folder)!r} has no short form, so it cannot be read from there")
    space = load_space(settings["space"])
    return Study(space, settings["max_epochs"] or 1, Store.open(url, space)), summary
