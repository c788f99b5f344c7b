"""A run that several processes share through PostgreSQL: one leads it, the others lend their workers.

Each process is started in the same way. The one that gets the run's lock leads: it searches, and writes the study and
the files. Every process trains, the leader's too. When the leader ends before the run does, another one takes over.
"""

from __future__ import annotations

import json
import os
import socket
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from automl.errors import UserError
from automl.study.database_errors import ConnectionLost
from automl.study.location import Location, check_is_shared
from automl.study.postgres import LeaderConnection, connected, engine_of
from automl.study.storage import Store, study_id_of
from automl.study.study import Study
from automl.tuning.job_table import JobTable, make_tables
from automl.tuning.lender import Lender
from automl.tuning.process_executor import ProcessExecutor
from automl.tuning.result import Result
from automl.tuning.shared_executor import SharedExecutor

if TYPE_CHECKING:
    from automl.runs.settings import Settings
    from automl.task import Task

SECONDS_TO_RECONNECT = 60.0
T = TypeVar("T")


class SharedRun:
    """This process's part in a run."""

    def __init__(self, location: Location, n_workers: int, device: str, say: Callable[[str], object]) -> None:
        """``location``: with the run's folder. ``n_workers``: number that this process lends. ``say``: called
        with status messages."""
        assert location.folder is not None
        self.location, self.folder = location, location.folder
        self.n_workers, self._device, self.say = n_workers, device, say
        self.is_leaving: Callable[[], bool] = lambda: False  # whether others should continue when this process ends
        self.leads = False
        self._lender: Lender | None = None
        self.connection = LeaderConnection(location.url, location.name)
        self._engine = engine_of(location.url)  # the lender's
        make_tables(location.url)

    def __enter__(self) -> SharedRun:
        return self

    def __exit__(self, *_: object) -> None:
        if self._lender is not None:
            self._lender.close()
            self._engine.dispose()
        self.connection.close()

    def begun(self) -> dict[str, Any] | None:
        """The settings of the run, whether or not this process leads it; None if it leads a new run."""
        has_said = False
        while True:
            self.leads = self.leads or self.connection.taken(0.2)
            attributes = self._attributes()
            if "settings" in attributes:
                check_is_shared(self.location, attributes.get("folder"))
                return dict(attributes["settings"])
            if self.leads:
                return None
            if not has_said:
                self.say(f"waiting for another process to start the run {self.location.name!r}")
            has_said = True

    @property
    def has_taken_part(self) -> bool:
        """Whether this process has led the run or lent workers to it."""
        return self._lender is not None

    @property
    def stop_reason(self) -> str | None:
        """Why the run has ended; None if it has not."""
        return self._attributes().get("stop_reason")

    def _attributes(self) -> dict[str, Any]:
        with connected():
            try:
                study_id = self.connection.storage.get_study_id_from_name(self.location.name)
            except KeyError:
                return {}
            return dict(self.connection.storage.get_study_user_attrs(study_id))

    def lend(self, task: Task, settings: Settings) -> bool:
        """Lend workers until this process leads the run (True), or the run has ended (False)."""
        lender = self._lender_of(task, settings)
        while not self.leads:
            lender.check()
            self.leads = self.connection.taken(1.0)
            if not self.leads:
                self._table().disconnect_leader(self.location.name)
        return self.stop_reason is None

    def executor(self, task: Task, settings: Settings, study: Study) -> SharedExecutor:
        """The leader's executor."""
        lender = self._lender_of(task, settings)
        self._keep("stop_reason", None)
        table = self._table()
        table.lead(lender.id)
        return SharedExecutor(table, study, self.folder.path, check=lender.check, is_leaving=lambda: self.is_leaving())

    @property
    def has_others(self) -> bool:
        """Whether other processes continue the run when this one ends."""
        return self._lender is not None and self._table().has_others(self._lender.id)

    def _table(self) -> JobTable:
        return JobTable(self.connection.storage.engine, self._study_id())

    def keep_summary(self) -> None:
        """Store the folder's summary in the database, for readers without the folder."""
        self._keep("summary", json.loads(self.folder.summary.read_text(encoding="utf-8")))

    def end(self, reason: str) -> None:
        """Mark the run as ended for all its processes."""
        self._keep("stop_reason", reason)

    def result(self, task: Task, settings: Settings) -> Result:
        """The result of a run that another process has led to its end."""
        store = Store.open(self.connection.storage, task.space, self.location.name)
        study = Study(task.space, task.max_epochs, store)
        return Result(
            study, self.stop_reason or "", study.clock, task.name, str(settings.strategy), task.metric, task.maximize,
            settings.seed or 0,
        )  # fmt: skip

    def reconnect(self) -> None:
        """Reconnect, without the lock; this process's trainings continue. UserError if that fails for a minute."""
        self.leads = False
        self.connection.close()
        until = time.monotonic() + SECONDS_TO_RECONNECT
        while True:
            try:
                self.connection = LeaderConnection(self.location.url, self.location.name)
                return
            except UserError:
                if time.monotonic() > until:
                    raise
                time.sleep(0.5)

    def _keep(self, name: str, value: Any) -> None:
        with connected():
            self.connection.storage.set_study_user_attr(self._study_id(), name, value)

    def _study_id(self) -> int:
        with connected():
            return study_id_of(self.connection.storage, self.location.name)

    def _lender_of(self, task: Task, settings: Settings) -> Lender:
        if self._lender is None:
            logs = self.folder.logs / f"{socket.gethostname()}-{os.getpid()}"
            executor = ProcessExecutor(
                task, self.n_workers, settings.trial_seconds, logs,
                device=self._device, reproducible=bool(settings.reproducible),
            )  # fmt: skip
            table = JobTable(self._engine, self._study_id())
            self._lender = Lender(table, executor, self.folder.path, self._device)
        return self._lender


def check_has_no_executor(executor: object) -> None:
    """Raise UserError for an executor, since a shared run trains in the processes that take part."""
    if executor is not None:
        raise UserError("storage shares the workers of the processes that take part; leave executor out")


def take_part(
    shared: SharedRun, lead: Callable[[dict[str, Any] | None], T], lend: Callable[[dict[str, Any]], bool]
) -> T | None:
    """Lead the run, or lend workers to it until it has ended (None).

    ``lead``: called with the run's settings, or None for a new one. ``lend``: called with the settings of a run that
    another process leads; returns whether this one leads now. ConnectionLost if that happens once this process is
    leaving, as when an interrupt amid a query breaks the connection.
    """
    while True:
        try:
            settings = shared.begun()
            if shared.has_taken_part and shared.stop_reason is not None:  # it ended while the database was unreachable
                return None
            if settings is None or shared.leads:
                return lead(settings)
            if not lend(settings):
                return None
        except ConnectionLost as error:
            if shared.is_leaving():
                raise
            shared.say(f"{error}; connecting again")
            shared.reconnect()
