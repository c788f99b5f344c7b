"""The commands on a run in PostgreSQL; its password is nowhere to be seen."""

import json

import pytest
from processes import command
from sqlalchemy import MetaData, NullPool, create_engine
from typer.testing import CliRunner

from automl.cli import explain, report, watch
from automl.study.postgres import checked_url

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
    said += [refused, *command("run", "--resume", "--trials", 13, "--out", folder)]
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


def rows(url):
    engine, tables = create_engine(checked_url(url), poolclass=NullPool), MetaData()
    tables.reflect(engine)
    with engine.connect() as connection:
        return [repr(row) for table in tables.sorted_tables for row in connection.execute(table.select())]
