"""Watching a run without changing it: during the run, after it, and in optuna-dashboard."""

import io
import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
import textwrap
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path

import optuna
import pytest
from processes import invoke, listens_on_loopback_alone
from rich.console import Console
from typer.testing import CliRunner

import automl
from automl.analysis.sentences import headline
from automl.cli import dashboard, watch
from automl.cli.watch_view import _plot, frame
from automl.errors import UserError
from automl.study.run_folder import RunFolder
from automl.study.snapshot import look, read_run, storage
from automl.study.sqlite import connect, sqlite_url

SPACE = {"x": {"float": [0, 1]}, "kind": {"choice": ["a", "[bold]"]}}


def files(folder: Path) -> dict[str, bytes]:
    return {str(file): file.read_bytes() for file in sorted(folder.rglob("*")) if file.is_file()}


def shown(folder: Path) -> str:
    console = Console(file=io.StringIO(), width=200)  # the folder's name is long
    run = RunFolder(folder)
    console.print(frame(look(run)))
    return console.file.getvalue()


@pytest.fixture(scope="module")
def ended(tmp_path_factory) -> Path:
    def training(config):
        if config["x"] > 0.8:
            raise RuntimeError("diverged\nat once")
        for epoch in range(3):
            yield {"loss": config["x"] + 1 / (1 + epoch), "accuracy": 1 - config["x"]}

    folder = tmp_path_factory.mktemp("watched") / "run"
    automl.tune(training, SPACE, strategy="sobol", n_trials=12, max_epochs=3, study=folder)
    return folder


def test_an_ended_run_is_shown_and_left_as_it_is(ended):
    before = files(ended)
    text = shown(ended)
    assert text.splitlines()[0].startswith("training with sobol, seed 0, in ")
    assert ": ended, budget spent" in text
    assert "12 trials (" in text
    assert "loss, best so far over 1" in text  # what was minimised
    assert "RuntimeError: diverged" in text
    assert "kind=[bold]" in text
    assert files(ended) == before


def test_the_chart_labels_what_it_shows():
    def labels(course, maximize=False):
        return [line[:10].strip() for line in _plot(course, maximize).plain.splitlines()]

    assert labels([2.3, 2.3, 2.3]) == ["", "", "", "2.300", "", ""]
    assert labels([0.5, 0.4, 0.3]) == ["0.500", "", "", "", "", "0.300"]
    clipped = labels([9.0, 0.34, 0.335, 0.334, 0.333, 0.333])
    assert clipped[0].startswith(">0.34")
    assert clipped[-1] == "0.333"
    assert labels([-9.0, 0.32, 0.325, 0.33, 0.333, 0.333], maximize=True)[-1].startswith("<0.3")


def test_watch_ends_by_itself_and_says_what_is_no_run(ended, tmp_path):
    done = CliRunner().invoke(watch.app, [str(ended)])
    assert done.exit_code == 0
    assert "12 trials (" in done.stdout
    with pytest.raises(UserError, match=r"there is no run in .*: it has no study\.db"):
        look(RunFolder(tmp_path))


@pytest.mark.parametrize("from_python", [True, False])
def test_a_killed_run_is_not_called_ended_and_can_be_reported(tmp_path, from_python):
    folder, script, space = tmp_path / "run", tmp_path / "task.py", tmp_path / "space.yaml"
    space.write_text("x: {float: [0, 1]}")
    script.write_text(f"""
import automl, os, signal

def train(config):
    if config["x"] != 0.5:
        os.kill(os.{"getpid" if from_python else "getppid"}(), signal.SIGKILL)
    return {{"loss": config["x"], "accuracy": config["x"]}}

if __name__ == "__main__":
    automl.tune(train, {str(space)!r}, strategy="random", n_trials=3, study={str(folder)!r})
""")
    command, how = [script], f"automl.tune(..., study={str(folder)!r}, resume=True)"
    if not from_python:
        options = f"--task {script}:train --space {space} --strategy random --trials 3 --workers 1 --out {folder}"
        command, how = ["-m", "automl", "run", *options.split()], f"--resume --out {folder}"
    assert subprocess.run([sys.executable, *command]).returncode == -signal.SIGKILL
    text = shown(folder)
    assert f": stopped without ending; continue with {how}" in " ".join(text.split())
    assert "best loss 0.500" in text
    study, summary = read_run(folder)
    assert (summary["metric"], summary["best"]["loss"]) == ("loss", 0.5)
    assert (summary["n_trials"], summary["n_unfinished"]) == (1, 1)
    assert "The run ended early: its process is gone." in headline(study, summary)["notes"]


def test_a_run_that_goes_on_is_seen_and_neither_stopped_nor_locked(tmp_path):
    """Not even where a reader never lets go."""
    gate, entered, folder = threading.Event(), threading.Event(), tmp_path / "run"

    def training(config):
        for epoch in range(4):
            if config["x"] == 0.5:  # the default, which comes first
                entered.set()
                assert epoch < 2 or gate.wait(60)
            yield config["x"] + 1 / (1 + epoch)

    results: list[automl.Result] = []
    run = threading.Thread(
        target=lambda: results.append(
            automl.tune(training, SPACE, strategy="random", n_trials=10, max_epochs=4, study=folder)
        )
    )
    run.start()
    assert entered.wait(60)
    deadline = time.monotonic() + 60
    while not (trainings := look(RunFolder(folder)).trainings) or not trainings[0].losses:  # the second is not written
        assert time.monotonic() < deadline
        time.sleep(0.05)
    text = shown(folder)
    assert ": running" in text
    assert "1/4" in text
    reader = connect(folder / "study.db")
    reader.execute("BEGIN")
    reader.execute("SELECT COUNT(*) FROM trials").fetchone()
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        connect(folder / "study.db").execute("DELETE FROM trials")
    gate.set()
    run.join(120)
    assert len(results[0].trials) == 10
    assert {trial.state for trial in results[0].trials} == {"complete"}
    assert not look(RunFolder(folder)).is_running
    reader.close()
    assert len(optuna.load_study(study_name="automl", storage=sqlite_url(folder / "study.db")).trials) == 10


def test_the_dashboard_reads_and_refuses_to_write(ended):
    before = files(ended)
    with dashboard.serve(storage(RunFolder(ended)), 0) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://{dashboard.HOST}:{server.server_port}/api/studies"
        with urllib.request.urlopen(address, timeout=30) as answer:
            assert [study["study_name"] for study in json.load(answer)["study_summaries"]] == ["automl"]
        with urllib.request.urlopen(f"{address}/1?after=0", timeout=30) as answer:
            assert len(json.load(answer)["trials"]) == 12
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(urllib.request.Request(f"{address}/1", method="DELETE"), timeout=30)
        assert refused.value.code == 403
        refused.value.close()
        with pytest.raises(UserError, match=r"cannot listen on port \d+"):
            dashboard.serve(storage(RunFolder(ended)), server.server_port)
        server.shutdown()
    assert files(ended) == before


def test_the_dashboard_does_not_answer_a_page_whose_name_resolves_to_this_machine(ended):
    with dashboard.serve(storage(RunFolder(ended)), 0) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        asked = urllib.request.Request(f"http://{dashboard.HOST}:{server.server_port}/api/studies")
        for host, status in (("localhost", 200), ("rebound.example", 403)):
            asked.add_header("Host", host)
            try:
                with urllib.request.urlopen(asked, timeout=30) as answer:
                    found = answer.status
            except urllib.error.HTTPError as refused:
                found = refused.code
                refused.close()
            assert found == status
        server.shutdown()


def test_a_dashboard_that_polls_shows_a_fast_run_and_its_write_ahead_log_stays_small(tmp_path):
    """Requests as the page sends them, one after the other, while trials take no time."""
    folder, over, seen, sizes = RunFolder(tmp_path / "run"), threading.Event(), [], []
    options = {"strategy": "random", "study": folder.path}
    log = folder.path / "study.db-wal"
    automl.tune(lambda config: config["x"], SPACE, n_trials=1, **options)

    def poll():
        while not over.is_set() or seen[-1] < 400:
            with urllib.request.urlopen(f"{address}?after=0", timeout=60) as answer:
                seen.append(len(json.load(answer)["trials"]))

    with dashboard.serve(storage(folder), 0) as server:
        address = f"http://127.0.0.1:{server.server_port}/api/studies/1"
        threads = [threading.Thread(target=work) for work in (server.serve_forever, poll)]
        for thread in threads:
            thread.start()
        try:
            automl.tune(
                lambda config: config["x"], SPACE, n_trials=400, resume=True,
                callbacks=[lambda result, trial: sizes.append(log.stat().st_size)], **options,
            )  # fmt: skip
        finally:
            over.set()
            threads[1].join()
            server.shutdown()
            threads[0].join()
    assert len(sizes) == 399
    assert seen == sorted(seen)
    assert len(seen) > 5
    assert max(sizes) < 8_000_000


def test_the_dashboard_names_the_extra_that_it_needs(ended, monkeypatch):
    monkeypatch.setitem(sys.modules, "optuna_dashboard", None)
    with pytest.raises(UserError, match="pip install 'optuna-dashboard>="):
        dashboard.serve(storage(RunFolder(ended)), 0)


def test_an_interrupt_ends_the_dashboard_and_nothing_else(ended):
    command = [sys.executable, "-m", "automl", "dashboard", str(ended), "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        address = re.search(rf"http://{dashboard.HOST}:(\d+)/", process.stdout.readline())
        assert listens_on_loopback_alone(int(address[1]))
        os.kill(process.pid, signal.SIGINT)
        assert process.wait(60) == 0
        assert process.stderr is not None
        assert process.stderr.read() == ""


@pytest.mark.parametrize("place", ["", "nowhere"])
@pytest.mark.parametrize("command", ["watch", "dashboard", "explain"])
def test_the_commands_end_with_one_line_where_there_is_no_run(command, place, tmp_path):
    folder = str(tmp_path / place)
    done = subprocess.run([sys.executable, "-m", "automl", command, folder], capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr.startswith("automl: there is no run in ")
    assert done.stderr.count("\n") == 1


def test_help_imports_nothing_heavy():
    code = textwrap.dedent("""
        import sys
        import automl.cli.dashboard, automl.cli.explain, automl.cli.watch
        heavy = set(sys.modules) & {"optuna", "torch", "numpy", "plotly", "sklearn", "rich.live", "optuna_dashboard"}
        assert not heavy, heavy
    """)
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_run_is_explained_though_its_report_cannot_be_written(tmp_path):
    """As in the folder of someone else."""
    space = {"x": {"float": [0, 1]}}
    automl.tune(lambda config: config["x"], space, strategy="random", n_trials=12, study=tmp_path / "run")
    (tmp_path / "run" / "report.html" / "folder").mkdir(parents=True)
    printed = invoke("explain", tmp_path / "run")
    assert "matters most" in printed
    assert "the report stays as it is, since it cannot be written: " in printed
