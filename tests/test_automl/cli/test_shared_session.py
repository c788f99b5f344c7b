"""The commands on a run in PostgreSQL; its password is nowhere to be seen."""

import json
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request

import psycopg
import pytest
from processes import command
from sqlalchemy import MetaData, NullPool, create_engine
from typer.testing import CliRunner

from automl.cli import explain, report, watch
from automl.errors import UserError
from automl.study.location import located
from automl.study.postgres import checked_url
from automl.study.snapshot import look

pytestmark = pytest.mark.postgres
TASK = """
def training(config, seed=0, epochs=2):
    for epoch in range(epochs):
        yield config["x"] + 1 / (1 + epoch) + seed % 7 / 1000
"""


def test_a_run_and_the_commands_that_read_it(postgres, database, tmp_path, monkeypatch):
    folder = tmp_path / "run"
    (tmp_path / "task.py").write_text(TASK)
    (tmp_path / "space.yaml").write_text("x: {float: [0, 1]}\ny: {float: [0, 1]}\n")
    options = ["--task", f"{tmp_path / 'task.py'}:training", "--space", tmp_path / "space.yaml", "--strategy", "sobol"]
    begin = [*options, "--trials", 12, "--workers", 2, "--final-seeds", 1, "--storage", database, "--out", folder]
    said = [*command("run", *begin)]
    summary = json.loads((folder / "summary.json").read_text())
    assert (summary["n_trials"], len(summary["final"]["seeds"])) == (12, 1)
    assert json.loads((folder / "storage.json").read_text())["storage"] == database
    _, refused = command("run", *begin, code=2)
    assert "has ended; extend it with --resume" in refused
    said += [refused, *command("run", "--resume", "--trials", 13, "--out", folder, "--verbose")]
    assert re.search(r"begin +strategy=sobol .*restored=24", said[-2]), "who resumes it hears of its events"
    tcp = ["--executor", "tcp", "--listen", "127.0.0.1:0", "--token-file", tmp_path / "missing"]
    for how in (["--resume", "--trials", 14], begin):
        _, refused = command("run", *how, *tcp, "--out", folder, code=2)
        assert refused == (
            "automl: storage shares the workers of the processes that take part; leave executor out\n"
        ), "not in silence, as no other machine would train"
    monkeypatch.chdir(tmp_path)
    for app, arguments in ((watch.app, ["--once"]), (explain.app, []), (report.app, [])):
        shown = CliRunner().invoke(app, [database, *arguments], catch_exceptions=False)
        assert shown.exit_code == 0
        said.append(shown.output)
    assert "13 trials (13 complete)" in said[-3]
    assert "13" in (tmp_path / "run.html").read_text()
    kept = [file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()]
    assert len(kept) > 8
    secret = postgres.password
    assert not any(secret in text for text in [*said, *rows(database)])
    assert not any(secret.encode() in content for content in kept)


SLOW = """
import time

def training(config, seed=0, epochs=2):
    for epoch in range(epochs):
        time.sleep(0.05)
        yield config["x"] + 1 / (1 + epoch)
"""


WAITING = """
import time
from pathlib import Path

def training(config, seed=0, epochs=2):
    yield config["x"] + 1
    while not Path({file!r}).exists():
        time.sleep(0.05)
    yield config["x"]
"""


def test_a_dashboard_that_polls_shows_the_run_and_does_not_stop_it(database, tmp_path):
    """The real commands, and requests as the page sends them."""
    (tmp_path / "task.py").write_text(WAITING.format(file=str(tmp_path / "seen")))
    (tmp_path / "space.yaml").write_text("x: {float: [0, 1]}\n")
    automl = [sys.executable, "-m", "automl"]
    arguments = [
        "run", "--task", f"{tmp_path / 'task.py'}:training", "--space", tmp_path / "space.yaml", "--strategy", "random",
        "--trials", 20, "--workers", 2, "--final-seeds", 0, "--no-learn", "--storage", database,
        "--out", tmp_path / "run",
    ]  # fmt: skip
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    run = subprocess.Popen([*automl, *map(str, arguments)], **pipes)
    shows = None
    try:
        while not has_begun(database):
            assert run.poll() is None, run.communicate()
            time.sleep(0.05)
        shows = subprocess.Popen([*automl, "dashboard", database, "--port", "0"], **pipes)
        address = re.search(r"http://127\.0\.0\.1:\d+/", shows.stdout.readline())[0] + "api/studies"
        [study] = read(address)["study_summaries"]
        assert study["study_name"] == "run"
        address, seen, is_over = f"{address}/{study['study_id']}", [], False
        while not is_over:
            is_over = run.poll() is not None
            seen.append(len(read(f"{address}?after=0")["trials"]))
            (tmp_path / "seen").touch()
            time.sleep(0.05)
        _, err = run.communicate()
        assert run.returncode == 0, err
        assert seen == sorted(seen)
        assert seen[0] <= 2
        assert seen[-1] == 20
        with pytest.raises(urllib.error.HTTPError) as refused:
            read(urllib.request.Request(address, method="DELETE"))
        assert refused.value.code == 403
        refused.value.close()
        shows.send_signal(signal.SIGINT)
        assert (shows.wait(60), shows.stderr.read()) == (0, "")
    finally:
        for process in [each for each in (run, shows) if each is not None]:
            process.kill()
            process.communicate()


def test_a_leader_that_is_interrupted_says_whether_others_go_on(database, tmp_path):
    (tmp_path / "task.py").write_text(SLOW)
    (tmp_path / "space.yaml").write_text("x: {float: [0, 1]}\n")
    arguments = [
        "run", "--task", f"{tmp_path / 'task.py'}:training", "--space", tmp_path / "space.yaml", "--strategy", "random",
        "--trials", 5000, "--workers", 1, "--final-seeds", 0, "--no-learn", "--storage", database,
        "--out", tmp_path / "run",
    ]  # fmt: skip
    command = [sys.executable, "-m", "automl", *map(str, arguments)]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, **pipes) as leader:
        try:
            while not has_begun(database):
                assert leader.poll() is None, leader.communicate()
                time.sleep(0.05)
            with subprocess.Popen(command, **pipes) as other:
                try:
                    while n_lenders(database) < 2:
                        assert other.poll() is None, other.communicate()
                        time.sleep(0.05)
                    leader.send_signal(signal.SIGINT)
                    assert "interrupted; other processes continue the run\n" in leader.communicate(timeout=120)[0]
                    while "this process leads it now" not in other.stdout.readline():
                        assert other.poll() is None, other.communicate()
                    other.send_signal(signal.SIGINT)
                    assert "interrupted; continue with --resume --out " in other.communicate(timeout=120)[0]
                finally:
                    other.kill()
        finally:
            leader.kill()


def n_lenders(url):
    with psycopg.connect(url) as connection:
        return connection.execute("SELECT count(*) FROM automl_lenders").fetchone()[0]


def has_begun(url):
    try:
        return bool(look(located(url)).study.trials)
    except UserError:
        return False


def read(request):
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.load(answer)


def rows(url):
    engine, tables = create_engine(checked_url(url), poolclass=NullPool), MetaData()
    tables.reflect(engine)
    with engine.connect() as connection:
        return [repr(row) for table in tables.sorted_tables for row in connection.execute(table.select())]
