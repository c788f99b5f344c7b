"""PostgreSQL as storage, on a server of the tests' own: URLs, passwords, and the lock of the leader."""

import time

import pytest
from optuna.exceptions import StorageInternalError
from sqlalchemy import text

from automl.errors import UserError
from automl.space.parse import load_space
from automl.study.database_errors import ConnectionLost, reason
from automl.study.location import located
from automl.study.postgres import LeaderConnection, checked_url, leader_pid, open_storage
from automl.study.storage import Store
from automl.study.study import Study
from strategies.base import Outcome, Proposal

pytestmark = pytest.mark.postgres
SPACE = load_space({"x": {"float": [0, 1]}})


@pytest.mark.parametrize(
    ("url", "error"),
    [
        ("mysql://me@host/db", "not of 'mysql'"),
        ("postgresql://me:secret@host/db", "holds a password"),
        ("postgresql://host/db?password=secret", "holds a password"),
        ("postgresql://me:secret@host:port/db", "is no database URL"),
        ("secret", "is no database URL"),
        ("postgresql://me@127.0.0.1:1/db", "cannot open the storage postgresql://me@127.0.0.1:1/db: .*refused"),
    ],
)
def test_what_is_no_storage_is_one_line_without_a_password(url, error):
    with pytest.raises(UserError, match=error) as raised:
        open_storage(checked_url(url))
    assert "secret" not in str(raised.value)
    assert "\n" not in str(raised.value)


def test_the_password_comes_from_the_environment_or_a_file(postgres, database, monkeypatch, tmp_path):
    Store.create(database, SPACE, {"task": "t"})
    monkeypatch.setenv("PGPASSWORD", "wrong secret")
    with pytest.raises(UserError, match='password authentication failed for user "automl"') as error:
        Store.settings(database)
    assert "wrong secret" not in str(error.value)
    monkeypatch.delenv("PGPASSWORD")
    passwords = tmp_path / "passwords"
    passwords.write_text(f"127.0.0.1:*:*:*:{postgres.password}\n")
    passwords.chmod(0o600)
    assert Store.settings(f"{database}?passfile={passwords}") == {"task": "t"}


def test_many_runs_lie_in_one_database_and_are_found_by_name(database):
    with pytest.raises(UserError, match="there is no run in"):
        located(database)
    Store.create(database, SPACE, {"task": "a"}, "a")
    assert located(database).name == "a"
    Store.create(database, SPACE, {"task": "b"}, "b")
    with pytest.raises(UserError, match="already holds a run"):
        Store.create(database, SPACE, {"task": "b"}, "b")
    with pytest.raises(UserError, match="holds 2 runs; give one of them with --name: a, b"):
        located(database)
    assert [Store.settings(database, name)["task"] for name in "ab"] == ["a", "b"]


def test_who_reads_cannot_write(database):
    Store.create(database, SPACE, {"task": "a"}, "a")
    storage = open_storage(checked_url(database), reads_only=True)
    with pytest.raises(StorageInternalError) as error:
        storage.delete_study(1)
    assert "read-only transaction" in reason(error.value)


def test_one_process_leads_until_its_connection_ends_and_cannot_write_after_that(database):
    url = checked_url(database)
    first, second, elsewhere = LeaderConnection(url, "a"), LeaderConnection(url, "a"), LeaderConnection(url, "b")
    assert first.taken(1)
    assert elsewhere.taken(1)
    assert not second.taken(0.05)
    study = Study(SPACE, 1, Store.create(first.storage, SPACE, {"task": "t"}, "a"))
    proposal = Proposal(0, {"x": 0.5}, 1)
    study.asked(proposal, 0.0)
    with elsewhere.storage.engine.connect() as connection:
        connection.execute(text("SELECT pg_terminate_backend(:pid)"), {"pid": leader_pid(connection, "a")})
    start = time.perf_counter()
    assert second.taken(10)
    assert time.perf_counter() - start < 5
    for _ in range(2):
        with pytest.raises(ConnectionLost):
            study.told(Outcome(proposal, (0.5,), 0.0), 0.0, 0.0)
    assert len(Study(SPACE, 1, Store.open(second.storage, SPACE, "a")).log) == 1
    for connection in (first, second, elsewhere):
        connection.close()
