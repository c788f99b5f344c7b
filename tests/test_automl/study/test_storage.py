"""The rows of a study against those that Optuna's own storage writes."""

import sqlite3
import threading

import optuna
import pytest
from small_files import files_of_at_most
from sqlalchemy import Engine, MetaData, NullPool, create_engine, event

import automl
from automl.errors import UserError
from automl.space.parse import load_space
from automl.study import sqlite
from automl.study import storage as stored
from automl.study.postgres import LeaderConnection, checked_url
from automl.study.run_folder import RunFolder
from automl.study.snapshot import storage
from automl.study.sqlite import sqlite_url
from automl.study.storage import Store
from automl.study.study import Study
from benchmarks.experiments.study_store import OptunaStore
from strategies.base import Outcome, Proposal

FORM = {
    "lr": {"float": [1e-5, 0.1], "log": True},
    "n": {"int": [1, 512], "log": True},
    "kind": {"choice": ["a", "b"]},
    "flag": {"choice": [True, False], "when": {"kind": "b"}},
    "width": {"ordinal": [16, 32]},
    "one": {"constant": 1},
}
SPACE = load_space(FORM)
CONFIG = {"lr": 1e-3, "n": 3, "kind": "b", "flag": True, "width": 16, "one": 1}
WITHOUT_FLAG = {"lr": 0.1 / 3, "n": 512, "kind": "a", "width": 32, "one": 1}
IDS_AND_TIMES = {"param_id", "datetime_start", "datetime_complete"}


def eventful(kind: type[Store], where) -> None:
    """Every state and every kind of row; closed and gone on with."""

    def ask(number, config, epochs, **info):
        proposals[number] = Proposal(number, config, epochs, info)
        study.asked(proposals[number], 0.25)

    def tell(number, *losses, at=1.0, traceback=None, **changes):
        for i, loss in enumerate(losses):
            study.trained(number, i + 1, loss)
        metrics = {"accuracy": tuple(1 - loss for loss in losses), "none": ()}
        study.told(Outcome(proposals[number], losses, 0.5, metrics=metrics, **changes), 0.125, at, traceback)

    proposals = {}
    study = Study(SPACE, 4, kind.create(where, SPACE, {"task": "t", "space": FORM}))
    ask(0, CONFIG, 4, arm="bo", score=0.1 + 0.2, parents=[1, 2], bad=float("inf"))
    ask(1, WITHOUT_FLAG, 2)
    ask(2, CONFIG, 4)
    tell(0, 0.5, 0.25, 0.125, 0.1 / 3)
    tell(1, 0.5, 0.25)
    tell(2, 0.5, error="ValueError: no", traceback="Traceback ...\nValueError: no")
    ask(3, CONFIG, 4)
    tell(3, 0.75, stopped=True)
    ask(1, WITHOUT_FLAG, 4)
    tell(1, 0.5, 0.25, 0.2, 0.1)
    ask(4, CONFIG, 2)
    tell(4, 0.75, 0.5)
    study.close()
    study = Study(SPACE, 4, kind.open(where, SPACE))
    ask(4, CONFIG, 4)
    study.trained(4, 3, 0.4)
    tell(4, 0.75, 0.5, 0.4, 0.3)
    ask(5, CONFIG, 4)
    study.trained(5, 1, 0.9)
    study.close()


def rows(url: str) -> dict[str, list[str]]:
    """All rows of all tables, without ids and times."""
    engine, tables = create_engine(url), MetaData()
    tables.reflect(engine)
    found = {}
    with engine.connect() as connection:
        for table in tables.sorted_tables:
            kept = [
                column
                for column in table.columns
                if column.name not in IDS_AND_TIMES and not column.name.endswith(("_attribute_id", "value_id"))
            ]
            found[table.name] = sorted(repr(row) for row in connection.execute(table.select().with_only_columns(*kept)))
    engine.dispose()
    return found


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def two_urls(request, tmp_path, monkeypatch):
    """Of two empty databases, as SQLAlchemy takes them."""
    if request.param == "sqlite":
        return [sqlite_url(tmp_path / name) for name in ("ours.db", "theirs.db")]
    server = request.getfixturevalue("postgres")
    monkeypatch.setenv("PGPASSWORD", server.password)
    return [checked_url(server.new_database()) for _ in range(2)]


def test_the_rows_are_those_that_optuna_writes(two_urls):
    """A version of Optuna with another schema fails here."""
    for kind, url in zip((Store, OptunaStore), two_urls, strict=True):
        if url.startswith("sqlite"):
            eventful(kind, url)
        else:
            connection = LeaderConnection(url, "automl")
            eventful(kind, connection.storage)
            connection.close()
    storages = [optuna.storages.RDBStorage(url, engine_kwargs={"poolclass": NullPool}) for url in two_urls]
    ours, theirs = (optuna.load_study(study_name="automl", storage=storage) for storage in storages)
    assert [trial.state.name for trial in ours.trials] == [
        "COMPLETE", "COMPLETE", "FAIL", "PRUNED", "PRUNED", "COMPLETE", "RUNNING",
    ]  # fmt: skip
    for mine, other in zip(ours.trials, theirs.trials, strict=True):
        assert abs((mine.datetime_start - other.datetime_start).total_seconds()) < 60
        assert (mine.datetime_complete is None) == (other.datetime_complete is None)
        mine.datetime_start, mine.datetime_complete = other.datetime_start, other.datetime_complete
        assert mine == other
    assert ours.user_attrs == theirs.user_attrs
    assert rows(two_urls[0]) == rows(two_urls[1])
    logs = [Study(SPACE, 4, Store.open(url, SPACE)).log for url in two_urls]
    assert logs[0] == logs[1]


def test_a_trial_takes_seven_statements_in_two_transactions(tmp_path, monkeypatch):
    """An ask, an epoch and an outcome; what a search of thousands of instant trials spends its time with."""
    monkeypatch.setattr(stored, "SECONDS_BETWEEN_EPOCHS", 1e9)
    study = Study(SPACE, 1, Store.create(sqlite_url(tmp_path / "study.db"), SPACE, {"task": "t", "space": FORM}))
    statements, commits = [], []

    def executes(connection, cursor, statement, parameters, context, executemany):
        statements.append(statement)

    def commit(connection):
        commits.append(connection)

    listeners = {"before_cursor_execute": executes, "commit": commit}
    for name, listener in listeners.items():
        event.listen(Engine, name, listener)
    try:
        proposal = Proposal(0, CONFIG, 1)
        study.asked(proposal, 0.1)
        study.trained(0, 1, 0.5)
        study.told(Outcome(proposal, (0.5,), 0.1, metrics={"accuracy": (0.5,)}), 0.1, 1.0)
    finally:
        for name, listener in listeners.items():
            event.remove(Engine, name, listener)
    assert len(statements) == 7, "\n".join(statements)
    assert len(commits) == 2
    study.close()


def test_settings_that_do_not_fit_on_the_disk_are_one_line(tmp_path):
    store = Store.create(sqlite_url(tmp_path / "study.db"), SPACE, {"task": "t"})
    with files_of_at_most(200_000):
        with pytest.raises(UserError, match=r"cannot write the study .*; earlier results are safe: free space and"):
            store.change_settings({"task": "t" * 500_000})
        with pytest.raises(UserError, match=r"cannot write the study .*; free space and start the run again"):
            Store.create(sqlite_url(tmp_path / "other.db"), SPACE, {"task": "t" * 500_000})


def test_a_lock_of_another_program_is_waited_for_and_named(tmp_path, monkeypatch):
    url = sqlite_url(tmp_path / "study.db")
    store = Store.create(url, SPACE, {"task": "t"})
    with store._storage.engine.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA busy_timeout").scalar() == 60_000
    monkeypatch.setattr(sqlite, "SECONDS_LOCKED", 0.05)
    store = Store.open(url, SPACE)
    with sqlite3.connect(tmp_path / "study.db", isolation_level=None) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(UserError, match=r"\(database is locked\); .* close the program that has locked it and"):
            store.record(ended=None)
        other.execute("COMMIT")
    store.record(ended=None)


def test_a_trial_that_another_program_adds_to_the_study_is_left_alone(tmp_path):
    options = {"strategy": "random", "study": tmp_path / "run"}
    automl.tune(lambda config: config["lr"], FORM, n_trials=2, **options)
    study = optuna.load_study(study_name="automl", storage=sqlite_url(tmp_path / "run" / "study.db"))
    study.add_trial(optuna.trial.create_trial(state=optuna.trial.TrialState.COMPLETE, value=0.0))
    result = automl.tune(lambda config: config["lr"], FORM, n_trials=3, resume=True, **options)
    assert [trial.number for trial in result.trials] == [0, 1, 2]
    assert [trial.number for trial in study.trials] == [0, 1, 2, 3]


def test_a_reader_that_polls_sees_the_run_and_does_not_stop_it(tmp_path):
    """As optuna-dashboard does: finished trials are read once."""
    file, seen, over = tmp_path / "run" / "study.db", [], threading.Event()

    def poll():
        while not over.is_set():
            try:
                kept = optuna.storages.get_storage(storage(RunFolder(file.parent)))
                kept.get_all_trials(1, deepcopy=False)
                break
            except (UserError, KeyError):  # the study comes after its tables
                over.wait(0.01)
        while not over.is_set():
            seen.append(kept.get_all_trials(1, deepcopy=False))

    reader = threading.Thread(target=poll)
    reader.start()
    try:
        result = automl.tune(lambda c: c["lr"], FORM, strategy="random", n_trials=300, study=file.parent)
    finally:
        over.set()
        reader.join()
    assert len(result.trials) == 300
    lengths = [len(trials) for trials in seen]
    assert lengths == sorted(lengths)
    assert len(set(lengths)) > 2
    early = next(trials for trials in seen if len(trials) > 1)
    assert early[0].state.is_finished()
    assert seen[-1][0] is early[0]
