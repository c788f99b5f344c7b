"""One thread for linear algebra, as in the real command: two busy ones make small problems many times slower."""

import os
import signal

os.environ["OMP_NUM_THREADS"] = "1"  # before numpy is imported anywhere

import pytest

# A shell starts its background jobs with SIGINT ignored, and the commands that tests interrupt would inherit it.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def _knows_nothing(monkeypatch, tmp_path_factory, request):
    """No test reads or writes what this machine's user has learnt, or what another test has."""
    folder = tmp_path_factory.getbasetemp() / "past-studies" / f"{abs(hash(request.node.nodeid)):x}"
    monkeypatch.setenv("AUTOML_PAST_STUDIES", str(folder))


@pytest.fixture(autouse=True, scope="module")
def _module_knows_nothing(tmp_path_factory):
    """The same for what the tests of a module share, which is made before the fixtures of a test."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AUTOML_PAST_STUDIES", str(tmp_path_factory.mktemp("past-studies-of-a-module")))
        yield


@pytest.fixture(scope="session")
def postgres():
    """A server of the tests' own."""
    from benchmarks.experiments.postgres_server import postgres_server

    with postgres_server() as server:
        yield server


@pytest.fixture
def database(postgres, monkeypatch):
    """The URL of an empty database, with its password in the environment."""
    monkeypatch.setenv("PGPASSWORD", postgres.password)
    return postgres.new_database()
