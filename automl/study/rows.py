"""A study's trials as rows of Optuna's database schema, read and written without its object-relational mapper.

Optuna's storage writes a trial with some forty statements in six transactions, this module with seven in two; the rows
are the same. Optuna's own models convert values, states and times, so that they match the installed version.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution
    from optuna.storages import RDBStorage
    from optuna.trial import TrialState
    from sqlalchemy import Connection

Epochs = Iterable[tuple[int, int, float]]  # entry, epoch, loss


class TrialRows:
    """The trials of one study. An entry is a trial in Optuna's sense, identified by its ``trial_id``."""

    def __init__(self, storage: RDBStorage, study_id: int) -> None:
        from optuna.storages._rdb import models
        from sqlalchemy import bindparam, delete, func, inspect, select, update
        from sqlalchemy.dialects import postgresql, sqlite

        insert = postgresql.insert if storage.engine.dialect.name == "postgresql" else sqlite.insert
        self._engine, self._study_id, self._models = storage.engine, study_id, models
        self._trials = models.TrialModel.__table__
        self._attributes = models.TrialUserAttributeModel.__table__
        parameters, epochs, values = (
            model.__table__
            for model in (models.TrialParamModel, models.TrialIntermediateValueModel, models.TrialValueModel)
        )
        self._add = insert(self._trials)
        self._add_parameters = insert(parameters)
        new = insert(self._attributes)
        self._set_attributes = new.on_conflict_do_update(
            index_elements=["trial_id", "key"], set_={"value_json": new.excluded.value_json}
        )
        new = insert(epochs)
        self._set_epochs = new.on_conflict_do_update(
            index_elements=["trial_id", "step"],
            set_={name: new.excluded[name] for name in ("intermediate_value", "intermediate_value_type")},
        )
        self._cut_epochs = delete(epochs).where(
            epochs.c.trial_id == bindparam("entry"), epochs.c.step > bindparam("epoch")
        )
        self._set_value = insert(values)
        ended: dict[str, Any] = {name: bindparam(f"new_{name}") for name in ("state", "datetime_complete")}
        self._end = update(self._trials).where(self._trials.c.trial_id == bindparam("entry")).values(ended)
        times = inspect(models.TrialModel).get_property_by_column
        self._time_names = {name: times(self._trials.c[name]).key for name in ("datetime_start", "datetime_complete")}
        with self._engine.connect() as connection:
            mine = select(func.count()).where(self._trials.c.study_id == study_id)
            self._n_entries = connection.execute(mine).scalar_one()

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """A transaction: everything written within it is committed at its end, or nothing."""
        with self._engine.begin() as connection:
            yield connection

    def add(
        self,
        connection: Connection,
        parameters: Mapping[str, tuple[Any, BaseDistribution, str]],
        attributes: Mapping[str, Any],
    ) -> int:
        """Add a running entry; returns its id. ``parameters``: name -> value, distribution, distribution as JSON."""
        from optuna.trial import TrialState

        row = {
            "number": self._n_entries,
            "study_id": self._study_id,
            "state": TrialState.RUNNING,
            "datetime_start": self._now("datetime_start"),
        }
        key = connection.execute(self._add, row).inserted_primary_key
        assert key is not None
        entry: int = key[0]
        self._n_entries += 1
        rows = [
            {
                "trial_id": entry,
                "param_name": name,
                "param_value": distribution.to_internal_repr(value),
                "distribution_json": text,
            }
            for name, (value, distribution, text) in parameters.items()
        ]
        if rows:
            connection.execute(self._add_parameters, rows)
        self.set_attributes(connection, entry, attributes)
        return entry

    def set_attributes(self, connection: Connection, entry: int, attributes: Mapping[str, Any]) -> None:
        """Set user attributes (JSON) of an entry."""
        rows = [{"trial_id": entry, "key": key, "value_json": json.dumps(value)} for key, value in attributes.items()]
        connection.execute(self._set_attributes, rows)

    def set_epochs(self, connection: Connection, epochs: Epochs) -> None:
        """Set intermediate values of running entries."""
        stored = self._models.TrialIntermediateValueModel.intermediate_value_to_stored_repr
        rows = []
        for entry, epoch, loss in epochs:
            value, kind = stored(loss)
            rows.append(
                {"trial_id": entry, "step": epoch, "intermediate_value": value, "intermediate_value_type": kind}
            )
        connection.execute(self._set_epochs, rows)

    def cut_epochs(self, connection: Connection, entry: int, epoch: int) -> None:
        """Remove the intermediate values of a running entry after an epoch."""
        connection.execute(self._cut_epochs, {"entry": entry, "epoch": epoch})

    def end(self, connection: Connection, entries: Sequence[int], state: TrialState, loss: float | None = None) -> None:
        """Set the final state of running entries, which Optuna refuses to change afterwards, and their value."""
        when = self._now("datetime_complete")
        connection.execute(
            self._end, [{"entry": entry, "new_state": state, "new_datetime_complete": when} for entry in entries]
        )
        if loss is not None:
            value, kind = self._models.TrialValueModel.value_to_stored_repr(loss)
            rows = [{"trial_id": entry, "objective": 0, "value": value, "value_type": kind} for entry in entries]
            connection.execute(self._set_value, rows)

    def running(self) -> set[int]:
        """The entries that have not ended."""
        from optuna.trial import TrialState
        from sqlalchemy import select

        t = self._trials.c
        query = select(t.trial_id).where(t.study_id == self._study_id, t.state == TrialState.RUNNING)
        with self._engine.connect() as connection:
            return set(connection.execute(query).scalars())

    def attributes(self, names: Sequence[str], prefixes: Sequence[str]) -> dict[int, dict[str, Any]]:
        """The user attributes with these names or prefixes, by entry, in the order of creation."""
        from sqlalchemy import or_, select

        t, a = self._trials.c, self._attributes.c
        wanted = or_(a.key.in_(names), *(a.key.startswith(prefix, autoescape=True) for prefix in prefixes))
        query = (
            select(a.trial_id, a.key, a.value_json)
            .join(self._trials, t.trial_id == a.trial_id)
            .where(t.study_id == self._study_id, wanted)
            .order_by(a.trial_id)
        )
        found: dict[int, dict[str, Any]] = {}
        with self._engine.connect() as connection:
            for entry, key, text in connection.execute(query):
                found.setdefault(entry, {})[key] = json.loads(text)
        return found

    def _now(self, column: str) -> Any:
        """The time as Optuna stores it in this column."""
        row = self._models.TrialModel(**{column: datetime.now()})
        return getattr(row, self._time_names[column])
