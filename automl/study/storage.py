"""A study in an Optuna storage.

It is SQLite in the run's folder, so that optuna-dashboard and Optuna's own analyses work on every run. Only the tuner's
process writes, and everything is committed before the next ask.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ParamSpec

from automl.errors import UserError
from automl.study.trial import Asked, State, Told
from strategies._optuna import quiet_optuna
from strategies.base import Outcome, Proposal
from strategies.encoding import Dimension, Encoding

if TYPE_CHECKING:
    from ConfigSpace import ConfigurationSpace
    from optuna.distributions import BaseDistribution
    from optuna.storages import BaseStorage, RDBStorage

STUDY_NAME = "automl"
LOG = ("ask:", "tell:")  # prefixes of the log's attributes
P = ParamSpec("P")


def _writing(method: Callable[P, None]) -> Callable[P, None]:
    """Turn failed writes, such as on a full disk, into a UserError: nothing recorded before is lost."""

    @functools.wraps(method)
    def write(*args: P.args, **kwargs: P.kwargs) -> None:
        from optuna.exceptions import StorageInternalError
        from sqlalchemy.exc import SQLAlchemyError

        try:
            method(*args, **kwargs)
        except (StorageInternalError, SQLAlchemyError, OSError) as error:
            cause = error.__cause__ or error
            reason = str(getattr(cause, "orig", cause)).splitlines()[0]
            raise UserError(
                f"cannot write the study ({reason}); earlier results are safe: free space and continue with --resume"
            ) from error

    return write


class Store:
    """A study in an Optuna storage, with its settings.

    A trial's asks and tells are user attributes ``ask:N`` and ``tell:N``, N being the position in the log; each is one
    write, so that a run killed at any moment has all of an entry or nothing. The rest is for Optuna's tools:
    parameters, intermediate values, states, seconds and errors.
    """

    def __init__(self, storage: RDBStorage, study_id: int, space: ConfigurationSpace) -> None:
        self._storage = storage
        self._study_id = study_id
        self._encoding = Encoding(space)
        self._ids: dict[int, int] = {}  # trial number -> Optuna's id of its latest entry

    @classmethod
    def create(cls, url: str, space: ConfigurationSpace, settings: Mapping[str, Any]) -> Store:
        """Create a study with its settings (JSON)."""
        import optuna

        storage = _open_storage(url)
        try:
            with quiet_optuna():
                study_id = storage.create_new_study([optuna.study.StudyDirection.MINIMIZE], STUDY_NAME)
        except optuna.exceptions.DuplicatedStudyError:
            raise UserError(
                f"the storage {_without_password(url)} already holds a run; resume it or use another"
            ) from None
        storage.set_study_user_attr(study_id, "settings", dict(settings))
        return cls(storage, study_id, space)

    @classmethod
    def open(cls, url: str, space: ConfigurationSpace) -> Store:
        """Open a study made by ``create``."""
        storage = _open_storage(url)
        return cls(storage, _study_id(storage, url), space)

    @staticmethod
    def settings(url: str) -> dict[str, Any]:
        """The settings of the study at a URL. UserError if there is none."""
        storage = _open_storage(url)
        settings = storage.get_study_user_attrs(_study_id(storage, url)).get("settings")
        if not isinstance(settings, dict):
            raise UserError(f"the study in {_without_password(url)} was not made by automl: it has no settings")
        return settings

    def change_settings(self, settings: Mapping[str, Any]) -> None:
        """Replace the settings, e.g. when a run is extended."""
        self._storage.set_study_user_attr(self._study_id, "settings", dict(settings))

    def read_log(self) -> list[Asked | Told]:
        """The log in order; also finds the storage entry of each trial."""
        entries: dict[int, Asked | Told] = {}
        proposals: dict[int, tuple[int, Proposal]] = {}
        for frozen in sorted(self._storage.get_all_trials(self._study_id), key=lambda frozen: frozen.number):
            number = frozen.user_attrs["trial"]
            self._ids[number] = frozen._trial_id
            steps = ((key.split(":"), content) for key, content in frozen.user_attrs.items() if key.startswith(LOG))
            for (kind, place), content in sorted(steps, key=lambda step: int(step[0][1])):
                if kind == "ask":
                    proposal = Proposal(number, content["config"], content["epochs"], content["info"])
                    entries[int(place)] = Asked(proposal, content["seconds"])
                    proposals[number] = (int(place), proposal)
                else:
                    outcome = Outcome(
                        proposals[number][1],
                        tuple(content["losses"]),
                        content["seconds"],
                        content["error"],
                        content["stopped"],
                        {name: tuple(values) for name, values in content["metrics"].items()},
                    )
                    trace = frozen.user_attrs.get("traceback") if outcome.error is not None else None
                    entries[int(place)] = Told(outcome, content["strategy_seconds"], content["at"], trace)
        return [entries[place] for place in sorted(entries)]

    @_writing
    def write_ask(self, place: int, entry: Asked) -> None:
        from optuna.trial import TrialState, create_trial

        proposal = entry.proposal
        step = {
            "config": proposal.config,
            "epochs": proposal.epochs,
            "info": dict(proposal.info),
            "seconds": entry.seconds,
        }
        known = self._ids.get(proposal.trial)
        if known is not None and not self._storage.get_trial(known).state.is_finished():
            self._storage.set_trial_user_attr(known, f"ask:{place}", step)
            return
        dims = [dim for dim in self._encoding.dimensions if dim.name in proposal.config]
        template = create_trial(
            state=TrialState.RUNNING,
            params={dim.name: proposal.config[dim.name] for dim in dims},
            distributions={dim.name: distribution(dim) for dim in dims},
            user_attrs={
                **_for_people(proposal),
                "strategy_seconds": round(entry.seconds, 4),
                "trial": proposal.trial,
                f"ask:{place}": step,
            },
        )
        # Optuna refuses writes to a trial finished at the end of a run: its continuation is a new entry.
        self._ids[proposal.trial] = self._storage.create_new_trial(self._study_id, template)

    @_writing
    def write_epoch(self, number: int, epoch: int, loss: float) -> None:
        self._storage.set_trial_intermediate_value(self._ids[number], epoch, loss)

    @_writing
    def write_tell(self, place: int, entry: Told, state: State) -> None:
        outcome, trial_id = entry.outcome, self._ids[entry.outcome.proposal.trial]
        self._storage.set_trial_user_attr(trial_id, "seconds", round(outcome.seconds, 3))
        if outcome.error is not None:
            self._storage.set_trial_user_attr(trial_id, "error", outcome.error)
        if entry.traceback is not None:
            self._storage.set_trial_user_attr(trial_id, "traceback", entry.traceback)
        for name, values in outcome.metrics.items():
            if values:
                self._storage.set_trial_user_attr(trial_id, f"metric.{name}", values[-1])
        step = {
            "losses": list(outcome.losses),
            "seconds": outcome.seconds,
            "error": outcome.error,
            "stopped": outcome.stopped,
            "metrics": {name: list(values) for name, values in outcome.metrics.items()},
            "strategy_seconds": entry.seconds,
            "at": entry.at,
        }
        self._storage.set_trial_user_attr(trial_id, f"tell:{place}", step)
        if state == "paused":
            self._storage.set_trial_user_attr(trial_id, "paused", True)
        self.settle(outcome.proposal.trial, state, outcome.loss)

    def settle(self, number: int, state: State, loss: float | None) -> None:
        """Set the state of a trial in Optuna to ours."""
        from optuna.trial import TrialState

        ends = {"complete": TrialState.COMPLETE, "stopped": TrialState.PRUNED, "failed": TrialState.FAIL}
        trial_id = self._ids[number]
        if state in ends and not self._storage.get_trial(trial_id).state.is_finished():
            self._storage.set_trial_state_values(trial_id, ends[state], None if loss is None else [loss])

    @_writing
    def close(self, paused: list[int]) -> None:
        """Mark paused trials as pruned, and merge the write-ahead log into the database file."""
        from optuna.trial import TrialState

        for number in paused:
            if not self._storage.get_trial(self._ids[number]).state.is_finished():
                self._storage.set_trial_state_values(self._ids[number], TrialState.PRUNED)
        if self._storage.engine.dialect.name == "sqlite":  # does it by itself only without other readers
            with self._storage.engine.connect() as connection:
                connection.exec_driver_sql("PRAGMA wal_checkpoint(PASSIVE)")  # does not wait for readers
        self._storage.engine.dispose()


def sqlite_url(file: Path) -> str:
    """The storage URL of a SQLite file."""
    path = str(file.resolve())
    if "?" in path or "%" in path:
        raise UserError(
            f"the path of a run's folder must not contain ? or %, which are special in a database URL: {path}"
        )
    return f"sqlite:///{path}"


def _open_storage(url: str) -> RDBStorage:
    import optuna
    from sqlalchemy import event
    from sqlalchemy.exc import SQLAlchemyError

    try:
        storage = optuna.storages.RDBStorage(url)
    except (SQLAlchemyError, ImportError, ValueError) as error:
        reason = str(error).strip().splitlines()[0]
        raise UserError(f"cannot open the storage {_without_password(url)}: {reason}") from None
    if url.startswith("sqlite"):
        # Write-ahead log: 5 ms instead of 160 ms per trial, readers never wait, and a killed process loses nothing.
        @event.listens_for(storage.engine, "connect")
        def _set_pragmas(connection: Any, _: Any) -> None:
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("PRAGMA synchronous=NORMAL")

        storage.engine.dispose()
    return storage


def _study_id(storage: BaseStorage, url: str) -> int:
    try:
        return storage.get_study_id_from_name(STUDY_NAME)
    except KeyError:
        raise UserError(f"there is no run in {_without_password(url)}") from None


def _without_password(url: str) -> str:
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import ArgumentError

    try:
        return make_url(url).render_as_string(hide_password=True)
    except ArgumentError:
        return repr(url)


def distribution(dim: Dimension) -> BaseDistribution:
    """A hyperparameter as an Optuna distribution."""
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    if dim.kind == "float":
        return FloatDistribution(dim.low, dim.high, log=dim.log)
    if dim.kind == "int":
        return IntDistribution(int(dim.low), int(dim.high), log=dim.log)
    return CategoricalDistribution(dim.values)


def _for_people(proposal: Proposal) -> dict[str, Any]:
    """The strategy's reasons for the config, as far as they are words or numbers."""
    return {
        name: value
        for name, value in proposal.info.items()
        if isinstance(value, (str, int, float)) and not (isinstance(value, float) and not math.isfinite(value))
    }
