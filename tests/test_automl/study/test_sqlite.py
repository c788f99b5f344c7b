"""Databases in SQLite files."""

import os
import sqlite3
import tempfile

import optuna
import pytest
from alembic.script import ScriptDirectory

from automl.errors import UserError
from automl.study.sqlite import empty_database, has_known_tables, open_sqlite, sqlite_url


def content(file):
    """The tables and rows of a database; of no study."""
    with sqlite3.connect(file) as database:
        return list(database.iterdump())


def test_a_new_database_is_the_one_that_optuna_creates(tmp_path):
    for name in ("first.db", "second.db"):
        open_sqlite(sqlite_url(tmp_path / name)).engine.dispose()
    optuna.storages.RDBStorage(f"sqlite:///{tmp_path}/optunas.db").engine.dispose()
    assert content(tmp_path / "first.db") == content(tmp_path / "second.db") == content(tmp_path / "optunas.db")


@pytest.mark.parametrize("how", ["link", "fsync"])
def test_where_files_cannot_be_linked_or_written_optuna_creates_it(tmp_path, monkeypatch, how):
    def fails(*arguments):
        raise OSError("not supported")

    monkeypatch.setattr(os, how, fails)
    open_sqlite(sqlite_url(tmp_path / "study.db")).engine.dispose()
    assert [file.name for file in tmp_path.iterdir()] == ["study.db"]
    assert any("CREATE TABLE studies" in line for line in content(tmp_path / "study.db"))


def test_it_needs_no_folder_for_temporary_files(tmp_path, monkeypatch):
    (tmp_path / "what?").mkdir()
    for unusable in ("missing", "what?"):  # SQLAlchemy 2.0 cannot open the second
        monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / unusable))
        empty_database.cache_clear()
        open_sqlite(sqlite_url(tmp_path / f"{len(unusable)}.db")).engine.dispose()
        assert content(tmp_path / f"{len(unusable)}.db")


def test_a_database_of_another_version_of_optuna_is_refused_and_kept(tmp_path):
    url = sqlite_url(tmp_path / "study.db")
    open_sqlite(url).engine.dispose()
    with sqlite3.connect(tmp_path / "study.db") as database:
        database.execute("UPDATE alembic_version SET version_num = 'v9.9.9.a'")
    before = content(tmp_path / "study.db")
    with pytest.raises(UserError, match=r"cannot open the storage .*no longer compatible"):
        open_sqlite(url)
    assert content(tmp_path / "study.db") == before


def test_optuna_checks_the_tables_of_one_version_once(tmp_path, monkeypatch):
    def fails(*arguments):
        raise AssertionError("the migration scripts are executed again")

    optuna.storages.RDBStorage(sqlite_url(tmp_path / "first.db")).engine.dispose()
    (tmp_path / "second.db").write_bytes((tmp_path / "first.db").read_bytes())
    open_sqlite(sqlite_url(tmp_path / "first.db")).engine.dispose()
    monkeypatch.setattr(ScriptDirectory, "get_current_head", fails)
    open_sqlite(sqlite_url(tmp_path / "second.db")).engine.dispose()
    assert has_known_tables(tmp_path / "second.db")
    assert sorted(file.name for file in tmp_path.iterdir()) == ["first.db", "second.db"]  # no logs of SQLite
    assert not has_known_tables(tmp_path / "none.db")
