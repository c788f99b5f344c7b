"""The real commands, end to end, on small real work."""

import csv
import errno
import io
import json
import os
import random
import re
import signal
import subprocess
import sys
import time
from importlib.metadata import version
from pathlib import Path

import pytest
import typer
import yaml
from processes import command, invoke
from rich.console import Console
from sklearn.datasets import load_diabetes
from small_files import files_of_at_most

from automl.cli import main
from automl.cli.exit_codes import call, run_command
from automl.cli.pipeline import _full_disk_names_resume, _write_first, new_folder
from automl.cli.prepared_data import prepared_for
from automl.data.ingest.request import Request
from automl.errors import UserError
from automl.runs.final import Final
from automl.runs.outputs import Outputs
from automl.space.parse import load_space
from automl.study.run_folder import RunFolder
from automl.study.snapshot import look
from automl.study.sqlite import sqlite_url
from automl.study.storage import Store
from automl.study.study import Study
from strategies.errors import UnknownStrategy

OBJECTIVE = """
import time, numpy as np
def curve(config, seed):
    noise = np.random.default_rng(seed).random()
    for epoch in range(1, 6):
        time.sleep(0.01)
        if config["x"] > 4:
            raise ValueError("too large")
        yield {"loss": (config["x"] - 1) ** 2 + config["n"] + noise / epoch, "epoch": epoch}
"""
SPACE = "x: {float: [-5, 5]}\nn: {int: [1, 9]}\n"


def start(*arguments, **options) -> subprocess.Popen:
    command = [sys.executable, "-m", "automl.run", *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options)


def run(*arguments, **options) -> tuple[str, str]:
    return command("run", *arguments, **options)


@pytest.fixture
def mine(tmp_path) -> list:
    """Arguments for a quick task of one's own."""
    (tmp_path / "mine.py").write_text(OBJECTIVE)
    (tmp_path / "space.yaml").write_text(SPACE)
    task = ["--task", f"{tmp_path}/mine.py:curve", "--space", tmp_path / "space.yaml", "--epochs", 5]
    return [*task, "--workers", 1, "--no-learn"]


def facts(folder: Path) -> list:
    url = sqlite_url(folder / "study.db")
    settings = Store.settings(url)
    space = load_space(settings["space"])
    study = Study(space, settings["max_epochs"] or 1, Store.open(url, space))
    return [(t.number, t.config, t.losses, t.state, t.error) for t in study.trials.values()]


def test_the_main_job(tmp_path):
    """A real model: search, final on the test set, and every file that is promised."""
    folder = tmp_path / "run"
    out, _ = run("--task", "digits-cnn", "--strategy", "tpe", "--trials", 4, "--epochs", 3, "--out", folder)
    assert "best hyperparameters" in out
    assert "accuracy on test, 3 trainings with fresh seeds" in out
    assert "gap to own validation" in out
    summary = json.loads((folder / "summary.json").read_text())
    assert summary["task"] == "digits-cnn"
    assert summary["n_trials"] == 4
    assert summary["epochs_trained"] == summary["budget_epochs"] == 12
    assert summary["n_failed"] == 0
    assert len(summary["final"]["chosen"]) == len(summary["final"]["default"]) == 3
    assert summary["final"]["split"] == "test"
    assert all(0 < score <= 1 for score in summary["final"]["chosen"])
    assert set(summary["versions"]) >= {"python", "torch", "optuna"}
    best = yaml.safe_load((folder / "best.yaml").read_text())
    [chosen] = [entry for entry in summary["final"]["contenders"] if entry["chosen"]]
    kept = {"chosen": chosen, "default": summary["default"]}[summary["final"]["kept"]]
    assert best == kept["config"] == summary["final"]["config"]
    with (folder / "trials.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["trial"] for row in rows] == ["0", "1", "2", "3"]
    assert min(float(row["loss"]) for row in rows) == pytest.approx(summary["best"]["loss"])
    assert {p.name for p in (folder / "model").iterdir()} >= {"model.safetensors", "config.json", "preprocessing.json"}
    assert json.loads((folder / "model" / "config.json").read_text()) == best
    assert "<html" in (folder / "report.html").read_text()
    assert sorted(p.name for p in folder.iterdir()) == [
        "best.yaml", "logs", "model", "report.html", "run.log", "study.db", "summary.json", "trials", "trials.csv",
    ]  # fmt: skip
    three = {f"{number:04d}" for number, *_ in sorted(facts(folder), key=lambda trial: trial[2][-1])[:3]}
    assert {path.name for path in (folder / "trials").iterdir()} == three  # of four trials
    assert re.search(rf"checkpoints  {folder}/trials, \d+\.\d MB", out)


@pytest.mark.slow
def test_a_run_learns_and_the_next_one_starts_with_what_was_learnt_when_asked(tmp_path, monkeypatch):
    monkeypatch.setenv("AUTOML_PAST_STUDIES", str(tmp_path / "past-studies"))
    (tmp_path / "mine.py").write_text("def f(config): return (config['x'] - 1) ** 2 + config['y']\n")
    (tmp_path / "space.yaml").write_text("x: {float: [-5, 5], default: 4}\ny: {float: [0, 9], default: 9}\n")
    common = [
        "--task",
        f"{tmp_path}/mine.py:f",
        "--space",
        tmp_path / "space.yaml",
        "--strategy",
        "tpe",
        "--workers",
        1,
    ]
    out, _ = run(*common, "--trials", 40, "--out", tmp_path / "first")
    [file] = (tmp_path / "past-studies").iterdir()
    assert f"past study   {file}" in out
    assert "starts from" not in out

    out, _ = run(*common, "--trials", 12, "--out", tmp_path / "second", "--no-learn", "--prior", "all")
    assert "starts from the default configuration, 1 configuration recommended by past studies" in out
    summaries = [json.loads((tmp_path / name / "summary.json").read_text()) for name in ("first", "second")]
    second = facts(tmp_path / "second")
    assert second[1][2][0] <= summaries[0]["best"]["loss"] + 0.1  # at once where the first run got to
    assert summaries[1]["settings"]["prior"] == [{"config": second[1][1], "study": f"{tmp_path}/mine.py:f"}]
    assert len(list((tmp_path / "past-studies").iterdir())) == 1

    (tmp_path / "past-studies" / "0.json").write_text("{")
    out, _ = run(*common, "--trials", 6, "--out", tmp_path / "third", "--no-learn")
    assert "starts from" not in out
    assert "is ignored" not in out  # nothing was read
    assert facts(tmp_path / "third")[1][1] != second[1][1]

    file.unlink()
    out, _ = run("--out", tmp_path / "second", "--resume", "--trials", 13)  # it has its prior, and keeps not learning
    assert "starts from the default configuration, 1 configuration recommended by past studies" in out
    assert facts(tmp_path / "second")[:12] == second
    assert [path.name for path in (tmp_path / "past-studies").iterdir()] == ["0.json"]


@pytest.mark.slow
def test_a_named_strategy_repeats_itself_whatever_ran_in_between(tmp_path, monkeypatch):
    """The run in between leaves a study of the very task, which ``auto`` then starts from by itself."""
    monkeypatch.setenv("AUTOML_PAST_STUDIES", str(tmp_path / "past-studies"))
    (tmp_path / "mine.py").write_text(OBJECTIVE)
    (tmp_path / "space.yaml").write_text(SPACE)
    common = ["--task", f"{tmp_path}/mine.py:curve", "--space", tmp_path / "space.yaml", "--epochs", 5, "--workers", 1]
    common += ["--seed", 3, "--final-seeds", 0]
    run(*common, "--trials", 10, "--strategy", "bo+asha", "--out", tmp_path / "first", "--no-learn")
    assert not (tmp_path / "past-studies").exists()
    run(*common, "--trials", 30, "--strategy", "random", "--out", tmp_path / "between")
    assert len(list((tmp_path / "past-studies").iterdir())) == 1
    out, _ = run(*common, "--trials", 10, "--strategy", "bo+asha", "--out", tmp_path / "second")
    assert "past studies" not in out
    assert facts(tmp_path / "second") == facts(tmp_path / "first")
    out, _ = run(*common, "--trials", 10, "--out", tmp_path / "auto")
    assert "recommended by past studies (" in out
    assert json.loads((tmp_path / "auto" / "summary.json").read_text())["settings"]["prior"]


@pytest.mark.slow
def test_a_damaged_past_study_is_told_and_one_that_cannot_be_kept_too(mine, tmp_path, monkeypatch):
    folder = tmp_path / "past-studies"
    folder.mkdir()
    (folder / "0.json").write_text("{")
    monkeypatch.setenv("AUTOML_PAST_STUDIES", str(folder))
    out, _ = run(*mine, "--trials", 2, "--out", tmp_path / "a")
    assert "0.json' is ignored" in out
    monkeypatch.setenv("AUTOML_PAST_STUDIES", str(folder / "0.json"))  # a file where a folder should be
    out, _ = run(*mine, "--learn", "--trials", 12, "--out", tmp_path / "b")
    assert "the result cannot be kept for later searches" in out


def test_a_search_starts_with_the_configs_that_the_user_gives(mine, tmp_path):
    (tmp_path / "configs.yaml").write_text("- {x: 1.0, n: 1}\n- {x: -2.0}\n")
    arguments = [*mine, "--strategy", "random", "--trials", 3, "--out", tmp_path / "run"]
    arguments += ["--start", tmp_path / "configs.yaml"]
    out, _ = run(*arguments)
    assert "starts from the default configuration, 2 configurations of yours" in out
    assert [config for _, config, *_ in facts(tmp_path / "run")][1:] == [{"x": 1.0, "n": 1}, {"x": -2.0, "n": 5}]
    _, err = run("--resume", "--out", tmp_path / "run", "--start", tmp_path / "configs.yaml", code=2)
    assert "leave out --start: with --resume, a run keeps what it was started with" in err
    assert "is complete; a larger budget extends it" in invoke("run", *arguments, "--resume-if-exists")
    assert len(facts(tmp_path / "run")) == 3
    (tmp_path / "configs.yaml").write_text("- {x: 1.5, n: 1}\n- {x: -2.0}\n")
    _, err = run(*arguments, "--resume-if-exists", "--set", "n=2", code=2)
    assert "another value of --space, --set, --start, which a resumed run keeps: leave them out, or start" in err


def test_a_run_has_not_ended_before_its_files_are_written(mine, tmp_path, monkeypatch):
    seen, write = [], Outputs.write

    def watched(self, *args, **options):
        seen.append((look(RunFolder(tmp_path / "run")).stop_reason, options.get("complete", False)))
        return write(self, *args, **options)

    monkeypatch.setattr(Outputs, "write", watched)
    invoke("run", *mine, "--strategy", "random", "--trials", 2, "--final-seeds", 1, "--out", tmp_path / "run")
    assert seen == [("running", False), ("running", True)]
    assert look(RunFolder(tmp_path / "run")).stop_reason == "budget spent"


def test_json_is_the_only_thing_on_standard_output(mine, tmp_path):
    out, err = run(*mine, "--strategy", "random", "--trials", 5, "--json", "--out", tmp_path / "run")
    assert json.loads(out) == json.loads((tmp_path / "run" / "summary.json").read_text())
    assert "trial   0" in err


def test_a_task_of_ones_own_without_a_test_set_has_a_final_on_validation(mine, tmp_path):
    out, _ = run(*mine, "--strategy", "ga", "--trials", 6, "--out", tmp_path / "run", "--workers", 2)
    assert "loss on validation (there is no test set), 3 trainings with fresh seeds" in out
    assert json.loads((tmp_path / "run" / "summary.json").read_text())["final"]["split"] == "validation"


def test_without_epochs_a_function_keeps_its_own_length(tmp_path):
    (tmp_path / "mine.py").write_text("def train(config, epochs=3):\n    yield from [config['x']] * epochs\n")
    (tmp_path / "space.yaml").write_text("x: {float: [0, 1]}\n")
    task, folder = ["--task", f"{tmp_path}/mine.py:train", "--space", tmp_path / "space.yaml"], tmp_path / "run"
    run(*task, "--strategy", "random+asha", "--trials", 2, "--out", folder, "--no-learn", "--workers", 1)
    run("--resume", "--out", folder, "--trials", 4)
    assert json.loads((folder / "summary.json").read_text())["max_epochs"] == 3
    assert max(len(losses) for _, _, losses, *_ in facts(folder)) == 3


def test_a_command_that_prints_more_losses_than_epochs_is_told(tmp_path):
    (tmp_path / "space.yaml").write_text("x: {float: [0, 1]}\n")
    args = ("--space", tmp_path / "space.yaml", "--epochs", 3, "--trials", 2, "--strategy", "random", "--workers", 1)
    out = invoke(
        "run", "--command", "for i in 1 2 3 4; do echo {x}; done", *args, "--no-learn", "--out", tmp_path / "run"
    )
    assert "2 trials reported more losses than epochs (4 instead of 3 in trial 0); each counts as complete" in out
    assert out.count("raise --epochs to the number of losses") == 1


def test_auto_says_at_the_start_what_it_chose_and_why(mine, tmp_path):
    out, _ = run(*mine, "--strategy", "auto", "--trials", 10, "--out", tmp_path / "run", "--final-seeds", 0)
    first = out.splitlines()[1]
    assert first == "auto: bo; configs are compared after 2 epochs"
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    assert first == f"auto: {summary['why']}"
    assert summary["why"] in (tmp_path / "run" / "report.html").read_text()


def test_a_function_is_tuned_without_loading_torch(mine, tmp_path):
    """Which takes longer than everything else in a short run."""
    code = (
        "import atexit, sys; from automl.cli import run_command; "
        "atexit.register(lambda: print('torch' in sys.modules)); run_command('run')"
    )
    arguments = [*mine, "--trials", 3, "--workers", 1, "--out", tmp_path / "run"]
    shown = subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)], check=True, capture_output=True, text=True, timeout=300
    )
    assert (tmp_path / "run" / "report.html").is_file()
    assert shown.stdout.splitlines()[-1] == "False"


def test_a_shell_command_is_tuned(tmp_path):
    (tmp_path / "space.yaml").write_text("lr: {float: [1.0e-4, 1.0], log: true}\nname: {choice: [a b, c]}\n")
    command = "python3 -c 'import sys; print(abs(float(sys.argv[1]) - 0.1) + len(sys.argv))' {lr} {name}"
    out, _ = run(
        "--command", command, "--space", tmp_path / "space.yaml", "--strategy", "bo", "--trials", 12,
        "--out", tmp_path / "run", "--workers", 1,
    )  # fmt: skip
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    assert summary["best"]["loss"] < 3.2
    assert summary["task"] == "command"
    assert summary["final"] is None  # the command takes no seed
    assert "best hyperparameters" in out


def test_failures_are_counted_and_told(mine, tmp_path):
    out, _ = run(*mine, "--strategy", "random", "--trials", 30, "--out", tmp_path / "run")
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    assert summary["n_failed"] > 0
    assert f"{summary['n_failed']} failed" in out
    assert "ValueError: too large" in (tmp_path / "run" / "trials.csv").read_text()


def test_a_run_in_which_nothing_succeeds_says_so(tmp_path):
    (tmp_path / "space.yaml").write_text(SPACE)
    out, _ = run(
        "--command", "echo broken {x}; exit 3", "--space", tmp_path / "space.yaml", "--out", tmp_path / "run", code=1
    )
    assert "no trial has succeeded" in out
    assert json.loads((tmp_path / "run" / "summary.json").read_text())["best"] is None
    assert "exit status 3" in (tmp_path / "run" / "report.html").read_text()


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["--strategy", "bp"], "unknown strategy 'bp'"),
        (["--strategy", "hyperop"], "did you mean 'hyperopt'?"),
        (["--task", "mnist1d-cn"], "did you mean 'mnist1d-cnn'?"),
        (["--trials", "0"], "--trials must be 1 or more, got 0"),
        (["--patience", "0"], "--patience must be 1 or more, got 0"),
        (["--sure-within", "much"], "sure-within must be a loss above 0, or the word noise, got 'much'"),
        (["--sure-within", "0.1", "--strategy", "ga"], "needs a strategy with a model of the loss, such as bo; ga has"),
        (["--train-size", "99999999"], "between 10"),
        (["--set", "lrr=0.1"], "did you mean 'lr'?"),
        (["--set", "lr=banana"], "'banana' is not one of its values"),
        (["--space", "none.yaml"], "cannot read the space file 'none.yaml'"),
        (["--task", "none.py:task"], "there is no file 'none.py'"),
        (["--command", "train {lr}"], "a command needs a space"),
        (["--resume"], "--resume needs --out, the folder of the run"),
        (["--resume-if-exists"], "--resume-if-exists needs --out, the folder of the run"),
        (["--command", " "], "--command is empty"),
        (["--resume", "--out", "nowhere"], "nothing to resume"),
        (["--start", "none.yaml"], "cannot read the configs to start from, 'none.yaml'"),
        (["--prior", "yes"], "prior must be none, shipped or all, got 'yes'"),
        (
            ["--resume", "--prior", "all", "--out", "nowhere"],
            "leave out --prior: with --resume, a run keeps what it was",
        ),
        (["--smiles", "structure"], "--smiles is for your own data, given by --data FILE"),
        (["--task", "mnist1d-cnn", "--no-test"], "--no-test is for your own data, given by --data FILE"),
        (["--device", "gpu"], "device must be auto, cpu, cuda, cuda:N or a list such as cuda:0,cuda:1, got 'gpu'"),
    ],
)
def test_bad_input_is_one_line_and_leaves_nothing_behind(arguments, line, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises((UserError, UnknownStrategy)) as error:
        invoke("run", *arguments)
    assert line in str(error.value)
    assert "\n" not in str(error.value)
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["--train-size", "100"], "--train-size is for built-in tasks and data; a command reads its own data"),
        (["--strategy", "bo+asha"], "bo+asha stops trials early and needs the epochs of a full training"),
    ],
)
def test_options_without_effect_on_a_command_are_refused(arguments, line, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("space.yaml").write_text(SPACE)
    with pytest.raises(UserError, match=re.escape(line)):
        invoke("run", "--command", "echo {x}", "--space", "space.yaml", *arguments)


@pytest.mark.parametrize(
    ("arguments", "line", "shown"),
    [
        (["--strategy", "bayes"], "unknown strategy 'bayes'; did you mean 'bo'? choose one of: ", ""),
        (["--metric", "acuracy"], "unknown metric 'acuracy'; did you mean 'accuracy'? choose one of: ", ""),
        (["--trials", "0"], "--trials must be 1 or more, got 0", ""),
        (["--workers", "0"], "--workers must be 1 or more, got 0", ""),
        (["--time-limit", "5 min"], "--time-limit must be a number of seconds, or a time such as 90s, 5m or 1h", ""),
        (["--time-limit", "-5m"], "--time-limit must be above 0 seconds, got -300", ""),
        (["--model", "lightgmb"], "unknown --model 'lightgmb'; did you mean 'lightgbm'? choose auto", "reading my.csv"),
    ],
)
def test_wrong_options_are_reported_before_the_data_are_read(arguments, line, shown, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("my.csv").write_text("this file is no table")
    with pytest.raises(SystemExit) as ended:
        main(["run", "--data", "my.csv", "--target", "price", *arguments])
    out, error = capsys.readouterr()
    assert (ended.value.code, out.rstrip(), error.count("\n")) == (2, shown, 1)
    assert error.startswith(f"automl: {line}")


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["run", "--time-limt", "5"], "unknown option '--time-limt'; did you mean '--time-limit'? automl run --help"),
        (["run", "--no-tst"], "unknown option '--no-tst'; did you mean '--no-test'? automl run --help lists"),
        (["run", "--trials", "many"], "--trials must be a valid integer, got 'many'; automl run --help describes"),
        (["predict", "runs/mine"], "missing option '--data'; automl predict --help describes"),
        (["predict", "--data"], "option '--data' requires an argument; automl predict --help describes"),
        (["data", "get"], "no such command 'get'; automl data --help describes"),
        (["--strategy", "bo"], "unknown command '--strategy'; the command comes first: automl run --strategy; "),
    ],
)
def test_arguments_that_a_command_does_not_take_are_one_line(arguments, line, capsys):
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    shown, error = capsys.readouterr()
    assert (ended.value.code, shown, error.count("\n")) == (2, "", 1)
    assert error.startswith(f"automl: {line}")


@pytest.mark.parametrize(
    ("arguments", "start"),
    [
        (["run", "-h"], "Usage: automl run [OPTIONS]"),
        (["predict", "-h"], "Usage: automl predict [OPTIONS]"),
        (["data", "list", "-h"], "Usage: automl data list [OPTIONS]"),
        (["help", "export"], "Usage: automl export [OPTIONS]"),
        (["data"], "Usage: automl data [OPTIONS] COMMAND"),
    ],
)
def test_help_is_shown_however_it_is_asked_for(arguments, start, capsys):
    with pytest.raises(SystemExit):
        main(arguments)
    shown, error = capsys.readouterr()
    assert shown.lstrip().startswith(start)
    assert error == ""


def test_the_version_and_the_commands_are_shown(capsys):
    main(["--version"])
    assert capsys.readouterr().out == f"automl {version('automl')}\n"
    main(["help"])
    with_help = capsys.readouterr().out
    main(["-h"])
    assert capsys.readouterr().out == with_help


def test_a_file_that_cannot_be_used_is_one_line_and_a_bug_is_none(tmp_path, capsys):
    circle = tmp_path / "circle"
    circle.symlink_to("circle")
    for file, reason in (
        ("/dev/full", "No space left on device; free space and try again"),
        (tmp_path, f"Is a directory: '{tmp_path}'"),
        (circle, f"Too many levels of symbolic links: '{circle}'"),
    ):
        with pytest.raises(SystemExit) as ended:
            run_command(lambda file=file: Path(file).write_text("x"))
        assert (ended.value.code, capsys.readouterr().err) == (2, f"automl: {reason}\n")
    with pytest.raises(FileNotFoundError):
        run_command((tmp_path / "missing").read_text)


def test_an_out_folder_that_is_not_empty_is_refused(mine, tmp_path):
    out = tmp_path / "precious"
    out.mkdir()
    (out / "thesis.txt").write_text("years of work")
    for what in (mine, ("--data", tmp_path / "missing.csv")):  # before anything else is read
        said, err = run(*what, "--out", out, code=2)
        assert re.fullmatch("automl: .*is not empty; choose another with --out, or continue it with --resume.*\n", err)
        assert said == ""
    assert [p.name for p in out.iterdir()] == ["thesis.txt"]


@pytest.mark.slow
def test_killed_three_times_a_resumed_run_ends_where_the_uninterrupted_one_does(mine, tmp_path):
    arguments = [*mine, "--trials", 30, "--strategy", "tpe", "--workers", 2, "--reproducible", "--final-seeds", 0]
    run(*arguments, "--out", tmp_path / "straight")
    killed = tmp_path / "killed"
    arguments += ["--out", killed, "--resume-if-exists"]  # as a scheduler repeats a command
    process = start(*arguments)
    moments = random.Random(2)
    for _ in range(3):
        until = time.monotonic() + 60
        n_before = 0
        while not (killed / "study.db").exists() and time.monotonic() < until:
            time.sleep(0.01)
        time.sleep(0.3)
        n_before = _n_told(killed)
        while _n_told(killed) <= n_before and process.poll() is None and time.monotonic() < until:
            time.sleep(0.01)
        time.sleep(moments.random() * 0.1)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        process = start(*arguments)
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, out + err
    assert facts(killed) == facts(tmp_path / "straight")


def _n_told(folder: Path) -> int:
    import sqlite3

    try:
        with sqlite3.connect(f"file:{folder}/study.db?mode=ro", uri=True) as connection:
            rows = connection.execute("select count(*) from trial_user_attributes where key like 'tell:%'")
            n_told: int = rows.fetchone()[0]
            return n_told
    except sqlite3.OperationalError:
        return 0


def test_a_run_that_still_goes_on_cannot_be_resumed(mine, tmp_path):
    process = start(*mine, "--strategy", "random", "--trials", 400, "--out", tmp_path / "run")
    while _n_told(tmp_path / "run") < 1:
        time.sleep(0.02)
    _, err = run("--out", tmp_path / "run", "--resume", code=2)
    assert "is still running" in err
    process.send_signal(signal.SIGINT)
    process.communicate()


def test_brackets_in_an_error_are_no_markup(tmp_path):
    (tmp_path / "mine.py").write_text("def f(config): raise ValueError('cannot open [/tmp/x]')")
    (tmp_path / "space.yaml").write_text(SPACE)
    out, _ = run(
        "--task", f"{tmp_path}/mine.py:f", "--space", tmp_path / "space.yaml", "--out", tmp_path / "run", code=1
    )
    assert "cannot open [/tmp/x]" in out


def test_a_polite_kill_during_the_final_leaves_the_results_of_the_search(tmp_path):
    (tmp_path / "mine.py").write_text("import time\ndef f(config, seed):\n time.sleep(0.2)\n return config['x']\n")
    (tmp_path / "space.yaml").write_text(SPACE)
    process = start(
        "--task", f"{tmp_path}/mine.py:f", "--space", tmp_path / "space.yaml", "--strategy", "random",
        "--trials", 2, "--final-seeds", 500, "--out", tmp_path / "run",
    )  # fmt: skip
    while not (tmp_path / "run" / "final").exists():
        time.sleep(0.02)
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130, out + err
    assert json.loads((tmp_path / "run" / "summary.json").read_text())["n_trials"] == 2
    assert (tmp_path / "run" / "report.html").exists()


def test_a_polite_kill_while_data_are_read_leaves_none_of_them(tmp_path):
    rows = "".join(f"{i},{i % 7},{i % 2}\n" for i in range(50_000))
    (tmp_path / "mine.csv").write_text(f"a,b,good\n{rows}")
    process = start("--data", tmp_path / "mine.csv", "--target", "good", "--out", tmp_path / "run")
    while not list(tmp_path.glob(".automl-*")):
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=60)
    # Python ends itself by SIGINT, for a shell 130 too, when the interrupt has passed through an `exec` of a library.
    assert process.returncode in (130, -signal.SIGINT), out + err
    assert [path.name for path in tmp_path.iterdir()] == ["mine.csv"]


def test_a_run_from_python_is_not_resumed_from_the_command_line(tmp_path):
    import automl

    automl.tune(lambda config: config["x"], {"x": {"float": [0, 1]}}, n_trials=1, study=tmp_path / "run")
    _, err = run("--out", tmp_path / "run", "--resume", code=2)
    assert "was started from Python" in err


@pytest.mark.slow
def test_a_finished_run_is_extended(mine, tmp_path):
    common = [*mine, "--strategy", "tpe", "--workers", 1, "--final-seeds", 1]
    run(*common, "--trials", 6, "--out", tmp_path / "run")
    out, _ = run("--out", tmp_path / "run", "--resume", "--trials", 11, "--final-seeds", 1)
    assert re.search(r"resuming with 6 trials \(.*\), best loss [\d.]+ \(trial \d\); left: 5 of 11 full trainings", out)
    time = json.loads((tmp_path / "run" / "summary.json").read_text())["time"]
    assert sum(time.values()) == pytest.approx(2 * time["total"], abs=0.1)
    assert all(time[stage] > 0 for stage in ("search", "strategy", "final", "rest"))
    assert "time of the final" in (tmp_path / "run" / "report.html").read_text()
    run(*common, "--trials", 11, "--out", tmp_path / "straight")
    assert facts(tmp_path / "run") == facts(tmp_path / "straight")
    assert json.loads((tmp_path / "run" / "summary.json").read_text())["n_trials"] == 11


@pytest.mark.slow
def test_a_parallel_run_repeats_itself(tmp_path):
    """Of a real model."""
    for name in ("a", "b"):
        run(
            "--task", "digits-cnn", "--strategy", "ga", "--trials", 14, "--epochs", 1, "--workers", 2,
            "--reproducible", "--final-seeds", 0, "--no-learn", "--out", tmp_path / name,
        )  # fmt: skip
    assert facts(tmp_path / "a") == facts(tmp_path / "b")


def test_ctrl_c_finishes_cleanly_and_the_run_goes_on_later(mine, tmp_path):
    folder = tmp_path / "run"
    process = start(*mine, "--strategy", "random", "--trials", 400, "--out", folder)
    while _n_told(folder) < 5:
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=120)
    assert process.returncode == 130, out + err
    assert "Traceback" not in err
    assert "interrupted: writing the report; Ctrl-C again stops now\n" in out
    assert "interrupted; continue with --resume --out" in out
    summary = json.loads((folder / "summary.json").read_text())
    assert summary["stop_reason"] == "interrupted"
    assert summary["best"]
    assert (folder / "report.html").exists()
    run("--out", folder, "--resume", "--trials", summary["n_trials"] + 5, "--final-seeds", 0)
    assert json.loads((folder / "summary.json").read_text())["n_trials"] == summary["n_trials"] + 5


def test_a_second_ctrl_c_ends_the_run_at_once(tmp_path):
    load_diabetes(as_frame=True).frame.to_csv(tmp_path / "mine.csv", index=False)
    process = start(
        "--data", tmp_path / "mine.csv", "--target", "target", "--model", "linear", "--workers", 1, "--no-learn",
        "--prior", "none", "--out", tmp_path / "my run",
    )  # fmt: skip
    assert any("complete" in line for line in process.stdout)
    process.send_signal(signal.SIGINT)
    assert any(
        re.fullmatch(r"interrupted: building the model from \d+ trials?; Ctrl-C again stops now\n", line)
        for line in process.stdout
    )
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (130, "")
    assert out.endswith(f"stopped without a model; continue with --resume --out '{tmp_path / 'my run'}'\n")
    assert not (tmp_path / "my run" / "model").exists()


def test_data_that_do_not_fit_on_the_disk_are_one_line(tmp_path):
    load_diabetes(as_frame=True).frame.to_csv(tmp_path / "mine.csv", index=False)
    request = Request(str(tmp_path / "mine.csv"), target="target")
    line = rf"cannot write '{tmp_path}' \(No space left on device\); free space and try again$"
    with (
        files_of_at_most(5_000),
        pytest.raises(UserError, match=line),
        prepared_for(request, tmp_path / "run", Console(file=io.StringIO())),
    ):
        pass
    assert [path.name for path in tmp_path.iterdir()] == ["mine.csv"]


def test_a_report_that_does_not_fit_on_the_disk_does_not_keep_a_run_from_its_final():
    class Full:
        def write(self, trained: Final) -> dict:
            raise OSError(errno.ENOSPC, "No space left on device", "report.html")

        def record(self, trained: Final) -> dict:
            return {"n_trials": 3}

    console = Console(file=io.StringIO())
    assert _write_first(console, Full()) == {"n_trials": 3}
    assert "the report is written after the final only: No space left on device" in console.file.getvalue()


@pytest.mark.parametrize("starting", [False, True])
def test_a_full_disk_says_how_a_run_that_has_begun_goes_on(tmp_path, starting):
    folder = RunFolder(tmp_path)
    folder.study.touch()
    if starting:
        folder.starting.touch()
    way = "" if starting else f" with --resume --out {tmp_path}"
    with (
        pytest.raises(UserError, match=rf"^cannot write 'best\.yaml' \(.*\); free space and try again{way}$"),
        _full_disk_names_resume(folder),
    ):
        raise OSError(errno.EDQUOT, "Disk quota exceeded", "best.yaml")


def _limited(*arguments) -> str:
    """The error of a run that can write files of 1.5 MB at most."""
    with files_of_at_most(1_500_000):
        process = start(*arguments)
    out, err = process.communicate(timeout=300)
    assert process.returncode == 2, out + err
    return err


@pytest.mark.slow
def test_a_step_whose_checkpoint_does_not_fit_is_trained_again(tmp_path):
    load_diabetes(as_frame=True).frame.to_csv(tmp_path / "mine.csv", index=False)
    options = [
        "--data", tmp_path / "mine.csv", "--target", "target", "--model", "random_forest", "--strategy", "random",
        "--trials", 2, "--workers", 1, "--final-seeds", 0, "--no-learn",
    ]  # fmt: skip
    err = _limited(*options, "--out", tmp_path / "full")
    assert re.fullmatch(
        r"automl: cannot write '.*/checkpoint\.safetensors' \(File too large\); free space and try again with --resume "
        rf"--out {tmp_path}/full\n",
        err,
    )
    run("--resume", "--out", tmp_path / "full")
    run(*options, "--out", tmp_path / "straight")
    assert facts(tmp_path / "full") == facts(tmp_path / "straight")


@pytest.mark.slow
def test_a_full_disk_is_one_line_and_the_run_can_go_on(mine, tmp_path):
    folder = tmp_path / "run"
    err = _limited(*mine, "--strategy", "random", "--trials", 400, "--out", folder)
    assert "cannot write the study" in err
    assert "--resume" in err
    assert "Traceback" not in err
    n_told = _n_told(folder)
    assert n_told > 10
    run("--out", folder, "--resume", "--trials", n_told + 3, "--final-seeds", 0)
    assert json.loads((folder / "summary.json").read_text())["n_trials"] >= n_told


def test_the_time_limit_and_the_target_end_a_search(mine, tmp_path):
    """In this process, as on a busy machine most of the time limit would be over before another has begun."""
    common = [*mine, "--trials", 9999, "--strategy", "random", "--final-seeds", 0]
    assert "(time limit of 8 s)" in invoke("run", *common, "--time-limit", 8, "--out", tmp_path / "a")
    assert "(target of 5 reached)" in invoke("run", *common, "--target", 5, "--out", tmp_path / "b")


@pytest.mark.slow
def test_a_search_without_progress_or_without_hope_of_it_ends(mine, tmp_path):
    folder, common = tmp_path / "a", ["--workers", 1, "--final-seeds", 0]
    out, _ = run(*mine, *common, "--trials", 9999, "--strategy", "random", "--patience", 2, "--out", folder)
    reason = "no better trial within the epochs of 2 full trainings"
    assert f"({reason})" in out
    assert f"The run ended early: {reason}." in (folder / "report.html").read_text()
    before = json.loads((folder / "summary.json").read_text())
    assert before["stop_reason"] == reason
    run("--resume", "--out", folder, "--patience", 5, *common)
    assert json.loads((folder / "summary.json").read_text())["n_trials"] >= before["n_trials"] + 3
    (tmp_path / "space.yaml").write_text("x: {float: [0, 3]}\nn: {constant: 1}\n")
    out, _ = run(*mine, *common, "--trials", 99, "--strategy", "bo", "--sure-within", 1.5, "--out", tmp_path / "b")
    assert "(sure that no config is better than the best by more than" in out
    assert ", within 1.5)" in out


def test_a_hung_trial_fails_alone(tmp_path):
    (tmp_path / "space.yaml").write_text(SPACE)
    command = "awk 'BEGIN {exit !({x} > 2)}' && sleep 1000; echo 1.0"  # the others take milliseconds
    run(
        "--command", command, "--space", tmp_path / "space.yaml", "--trials", 8, "--strategy", "random",
        "--trial-seconds", 1, "--out", tmp_path / "run",
    )  # fmt: skip
    states = {(state, config["x"] > 2) for _, config, _, state, _ in facts(tmp_path / "run")}
    assert states == {("complete", False), ("failed", True)}


def test_an_eof_error_is_no_ctrl_c():
    """Which typer takes it for."""
    app = typer.Typer()

    @app.command()
    def ends() -> None:
        raise EOFError("No data left in file")

    with pytest.raises(EOFError, match="No data left"):
        call(app, [])


def test_list_names_every_strategy_and_task():
    from automl.tasks.registry import TASKS
    from strategies import STRATEGIES

    out, _ = run("--list")
    assert all(name in out for name in [*STRATEGIES, *TASKS])


def test_help_has_panels_that_fit_a_narrow_terminal():
    out, _ = run("--help", env=os.environ | {"COLUMNS": "80", "TERMINAL_WIDTH": "80"})
    for panel in ("What to tune", "Your data", "Budget", "Strategy", "Output", "More"):
        assert f"─ {panel} ─" in out
    for option in ("--task", "--command", "--trial-seconds", "--sure-within", "--final-seeds", "--no-refit"):
        assert re.search(rf"{option}\s", out)  # whole, not broken into two lines
    assert max(map(len, out.splitlines())) <= 80


def test_the_live_table_shows_in_a_terminal_that_is_narrower_than_a_config(mine, tmp_path):
    import pty

    (tmp_path / "space.yaml").write_text(SPACE + "".join(f"unused_{i}: {{float: [0, 1]}}\n" for i in range(10)))
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "automl.run", *map(str, mine), "--trials", "30", "--strategy", "random",
         "--out", str(tmp_path / "run")],
        stdout=theirs, stderr=theirs, env=os.environ | {"COLUMNS": "80", "LINES": "40", "TERM": "xterm"},
    )  # fmt: skip
    os.close(theirs)
    shown = b""
    while True:
        try:
            shown += os.read(ours, 65536)
        except OSError:
            break
    assert process.wait() == 0
    text = re.sub(r"\x1b\[[\d;?]*[A-Za-z]", "", shown.decode(errors="replace"))
    assert re.search(r"[1-9]\d? trials \(.*\d complete", text)
    assert "left" in text
    assert re.search(r"\d/5 +[━╸╺]+ +\d+\.\d+ +x=", text)  # the epoch, the bar, the loss and the config of a training


@pytest.mark.parametrize("n", [2, 4], ids=["search", "final"])
def test_a_folder_that_is_removed_while_the_run_goes_on_ends_it_with_one_line(tmp_path, n):
    """By its nth training."""
    (tmp_path / "space.yaml").write_text("x: {int: [0, 1000000]}")
    folder, count = tmp_path / "run", tmp_path / "count"
    command = f"echo {{x}} {{seed}} >> {count}; test $(wc -l < {count}) -ne {n} || rm -r {folder}; echo 0.{{seed}}"
    _, errors = run(
        "--command", command, "--space", tmp_path / "space.yaml", "--strategy", "random", "--trials", 3,
        "--workers", 1, "--final-seeds", 2, "--out", folder, "--no-learn", code=2,
    )  # fmt: skip
    assert "was removed or renamed while" in errors
    assert errors.count("\n") == 1


@pytest.mark.parametrize(
    ("name", "plain"),
    [
        ("sales 50%-Churn?", "sales-50-Churn"),
        ("flats-Größe m²", "flats-Größe-m²"),
        ("in/out", "in-out"),
        ("../..", "run"),
        ("日" * 300, "日" * 48),
    ],
)
def test_a_run_is_named_after_its_data_by_what_every_folder_may_be_named(name, plain, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    found = new_folder(name, "bo+asha", 0)
    assert re.fullmatch(rf"{plain}-bo\+asha-0-\d{{8}}-\d{{6}}", found.name)
    found.mkdir(parents=True)
    assert found.parent == Path("runs")


def test_more_workers_than_cores_are_mentioned(mine, tmp_path):
    n = len(os.sched_getaffinity(0))
    out, _ = run(*mine, "--strategy", "random", "--trials", 1, "--workers", n + 1, "--out", tmp_path / "run")
    assert f"workers: {n + 1} trainings share {n} cores" in out
