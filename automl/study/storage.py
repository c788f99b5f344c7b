"""A study in an Optuna storage.

The storage is SQLite in the run's folder, or PostgreSQL with many runs; optuna-dashboard and Optuna's analyses work on
both.
Only the tuner's process writes, and everything is committed before the next ask.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from automl.errors import UserError
from automl.study.database_errors import reading, writing, written
from automl.study.postgres import checked_url, open_storage, shown
from automl.study.rows import TrialRows
from automl.study.run_folder import REMOVED
from automl.study.sqlite import open_sqlite
from automl.study.trial import AskEntry, State, TellEntry
from strategies.base import Outcome, Proposal
from strategies.encoding import Dimension, Encoding
from strategies.quiet_optuna import quiet_optuna

if TYPE_CHECKING:
    from ConfigSpace import ConfigurationSpace
    from optuna.distributions import BaseDistribution
    from optuna.storages import RDBStorage
    from optuna.trial import FrozenTrial
    from sqlalchemy import Connection

STUDY_NAME = "automl"  # in a run's folder, where it is the only one
LOG = ("ask:", "tell:")  # prefixes of the log's attributes
SECONDS_BETWEEN_EPOCHS = 1.0  # epochs are buffered this long before a write of their own


class Store:
    """A study in an Optuna storage, with its settings.

    A trial's asks and tells are user attributes ``ask:N`` and ``tell:N``, N being the position in the log. Each is
    written in one transaction with everything that Optuna's tools read: parameters, intermediate values, states,
    seconds and errors. If a run is killed, an entry is there completely or not at all.
    """

    rows: ClassVar[type[TrialRows]] = TrialRows

    def __init__(self, storage: RDBStorage, study_id: int, space: ConfigurationSpace) -> None:
        self._storage = storage
        self._study_id = study_id
        self._is_sqlite = storage.engine.dialect.name == "sqlite"
        self._rows = self.rows(storage, study_id)
        self._distributions = {dim.name: _with_json(distribution(dim)) for dim in Encoding(space).dimensions}
        self._ids: dict[int, int] = {}  # trial number -> Optuna's id of its latest entry
        self._running: set[int] = set()  # ids of entries that Optuna has as running
        self._epochs: list[tuple[int, int, float]] = []  # not yet written: id, epoch, loss
        self._epochs_written = 0.0  # monotonic time of the last write

    @classmethod
    def create(
        cls,
        where: str | RDBStorage,
        space: ConfigurationSpace,
        settings: Mapping[str, Any],
        name: str = STUDY_NAME,
        **attributes: Any,
    ) -> Store:
        """Create a study with its settings (JSON). ``where``: a URL or its open storage. ``attributes``: other facts
        about the run."""
        import optuna

        storage = _opened(where)
        with written("free space and start the run again"):
            try:
                with quiet_optuna():
                    study_id = storage.create_new_study([optuna.study.StudyDirection.MINIMIZE], name)
            except optuna.exceptions.DuplicatedStudyError:
                known = _shown(storage)
                raise UserError(f"the storage {known} already holds a run; resume it or use another") from None
            for key, value in {**attributes, "settings": dict(settings)}.items():
                storage.set_study_user_attr(study_id, key, value)
        return cls(storage, study_id, space)

    @classmethod
    def open(cls, where: str | RDBStorage, space: ConfigurationSpace, name: str = STUDY_NAME) -> Store:
        """Open a study made by ``create``."""
        storage = _opened(where)
        return cls(storage, study_id_of(storage, name), space)

    @staticmethod
    def settings(where: str | RDBStorage, name: str = STUDY_NAME) -> dict[str, Any]:
        """The settings of a study. UserError if there is none."""
        storage = _opened(where)
        with reading(_shown(storage)):
            settings = storage.get_study_user_attrs(study_id_of(storage, name)).get("settings")
        if not isinstance(settings, dict):
            raise UserError(f"the study in {_shown(storage)} was not made by automl: it has no settings")
        return settings

    @writing
    def change_settings(self, settings: Mapping[str, Any]) -> None:
        """Replace the settings, e.g. when a run is extended."""
        self._storage.set_study_user_attr(self._study_id, "settings", dict(settings))

    @writing
    def record(self, **attributes: Any) -> None:
        """Replace facts about the run (JSON)."""
        for key, value in attributes.items():
            self._storage.set_study_user_attr(self._study_id, key, value)
        self._merge_log()

    def read_log(self) -> list[AskEntry | TellEntry]:
        """The log in order; also finds the storage entry of each trial."""
        with reading(_shown(self._storage)):
            return self._read_log()

    def _read_log(self) -> list[AskEntry | TellEntry]:
        entries: dict[int, AskEntry | TellEntry] = {}
        proposals: dict[int, Proposal] = {}
        for entry, attributes in self._rows.attributes(("trial", "traceback"), LOG).items():
            number = attributes.get("trial")
            if number is None:
                continue  # added to the study by another program
            self._ids[number] = entry
            steps = ((key.split(":"), content) for key, content in attributes.items() if key.startswith(LOG))
            for (kind, place), content in sorted(steps, key=lambda step: int(step[0][1])):
                if kind == "ask":
                    proposals[number] = Proposal(number, content["config"], content["epochs"], content["info"])
                    entries[int(place)] = AskEntry(proposals[number], content["seconds"])
                else:
                    outcome = Outcome(
                        proposals[number],
                        tuple(content["losses"]),
                        content["seconds"],
                        content["error"],
                        content["stopped"],
                        {name: tuple(values) for name, values in content["metrics"].items()},
                    )
                    trace = attributes.get("traceback") if outcome.error is not None else None
                    entries[int(place)] = TellEntry(outcome, content["strategy_seconds"], content["at"], trace)
        self._running = self._rows.running()
        return [entries[place] for place in sorted(entries)]

    def as_stored(self, number: int) -> FrozenTrial:
        """A trial as Optuna shows it."""
        return self._storage.get_trial(self._ids[number])

    @writing
    def write_ask(self, place: int, entry: AskEntry) -> None:
        proposal = entry.proposal
        step = {
            "config": proposal.config,
            "epochs": proposal.epochs,
            "info": dict(proposal.info),
            "seconds": entry.seconds,
        }
        known = self._ids.get(proposal.trial)
        with self._transaction() as connection:
            self._write_epochs(connection)
            if known in self._running:
                self._rows.set_attributes(connection, known, {f"ask:{place}": step})
            else:
                # Optuna refuses writes to a trial finished at the end of a run: its continuation is a new entry.
                known = self._rows.add(
                    connection,
                    {
                        name: (proposal.config[name], *known)
                        for name, known in self._distributions.items()
                        if name in proposal.config
                    },
                    {
                        **_readable_info(proposal),
                        "strategy_seconds": round(entry.seconds, 4),
                        "trial": proposal.trial,
                        f"ask:{place}": step,
                    },
                )
        self._ids[proposal.trial] = known
        self._running.add(known)

    def write_epoch(self, number: int, epoch: int, loss: float) -> None:
        """Buffer an epoch for the next write: with another entry of the log, or after a second."""
        self._epochs.append((self._ids[number], epoch, loss))
        self.flush()

    @writing
    def cut_epochs(self, number: int, epoch: int) -> None:
        """Remove the epochs of a running trial after this one, whether already written or not."""
        entry = self._ids[number]
        self._epochs = [each for each in self._epochs if each[0] != entry or each[1] <= epoch]
        with self._transaction() as connection:
            self._rows.cut_epochs(connection, entry, epoch)

    @writing
    def flush(self) -> None:
        """Write the buffered epochs if the last write was a second or more ago."""
        if self._epochs and time.monotonic() - self._epochs_written >= SECONDS_BETWEEN_EPOCHS:
            with self._transaction() as connection:
                self._write_epochs(connection)

    @contextmanager
    def _transaction(self) -> Iterator[Connection]:
        file = self._storage.engine.url.database if self._is_sqlite else None
        if file and not Path(file).exists():  # SQLite would continue to write to the unlinked file
            raise UserError(f"the study {file!r} was {REMOVED}")
        with self._rows.transaction() as connection:
            yield connection

    def _write_epochs(self, connection: Connection) -> None:
        if self._epochs:
            self._rows.set_epochs(connection, self._epochs)
            self._epochs.clear()
            self._epochs_written = time.monotonic()

    @writing
    def write_tell(self, place: int, entry: TellEntry, state: State) -> None:
        outcome = entry.outcome
        attributes: dict[str, Any] = {"seconds": round(outcome.seconds, 3)}
        if outcome.error is not None:
            attributes["error"] = outcome.error
        if entry.traceback is not None:
            attributes["traceback"] = entry.traceback
        attributes |= {f"metric.{name}": values[-1] for name, values in outcome.metrics.items() if values}
        attributes[f"tell:{place}"] = {
            "losses": list(outcome.losses),
            "seconds": outcome.seconds,
            "error": outcome.error,
            "stopped": outcome.stopped,
            "metrics": {name: list(values) for name, values in outcome.metrics.items()},
            "strategy_seconds": entry.seconds,
            "at": entry.at,
        }
        if state == "paused":
            attributes["paused"] = True
        number = outcome.proposal.trial
        with self._transaction() as connection:
            self._write_epochs(connection)
            self._rows.set_attributes(connection, self._ids[number], attributes)
            self._end(connection, [number], state, outcome.loss)

    def _end(self, connection: Connection, numbers: list[int], state: State, loss: float | None) -> None:
        from optuna.trial import TrialState

        ends = {"complete": TrialState.COMPLETE, "stopped": TrialState.PRUNED, "failed": TrialState.FAIL}
        running = [self._ids[number] for number in numbers if self._ids[number] in self._running]
        if state in ends and running:
            self._rows.end(connection, running, ends[state], loss)
            self._running.difference_update(running)

    @writing
    def close(self, paused: list[int]) -> None:
        """Mark paused trials as pruned."""
        with self._transaction() as connection:
            self._write_epochs(connection)
            self._end(connection, paused, "stopped", None)
        self._merge_log()

    def _merge_log(self) -> None:
        """Merge the write-ahead log into the database file."""
        if self._is_sqlite:  # SQLite does so automatically only without other readers
            with self._storage.engine.connect() as connection:
                connection.exec_driver_sql("PRAGMA wal_checkpoint(PASSIVE)")  # does not wait for readers
            self._storage.engine.dispose()


def _opened(where: str | RDBStorage) -> RDBStorage:
    if not isinstance(where, str):
        return where
    return open_sqlite(where) if where.startswith("sqlite:") else open_storage(checked_url(where))


def study_id_of(storage: RDBStorage, name: str) -> int:
    """Optuna's id of a study. UserError if there is none with this name."""
    try:
        return storage.get_study_id_from_name(name)
    except KeyError:
        which = "" if name == STUDY_NAME else f" {name!r}"
        raise UserError(f"there is no run{which} in {_shown(storage)}") from None


def _shown(storage: RDBStorage) -> str:
    return shown(str(storage.engine.url))  # without a password


def distribution(dim: Dimension) -> BaseDistribution:
    """A hyperparameter as an Optuna distribution."""
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    if dim.kind == "float":
        return FloatDistribution(dim.low, dim.high, log=dim.log)
    if dim.kind == "int":
        return IntDistribution(int(dim.low), int(dim.high), log=dim.log)
    return CategoricalDistribution(dim.values)


def _with_json(kind: BaseDistribution) -> tuple[BaseDistribution, str]:
    from optuna.distributions import distribution_to_json

    return kind, distribution_to_json(kind)


def _readable_info(proposal: Proposal) -> dict[str, Any]:
    """The strategy's reasons for the config that are text or numbers."""
    return {
        name: value
        for name, value in proposal.info.items()
        if isinstance(value, (str, int, float)) and not (isinstance(value, float) and not math.isfinite(value))
    }
