"""The comparison command: planning, crashes, resuming, and the user's own tasks."""

import subprocess
import sys
import time

import pandas as pd
import pytest
from processes import module

from benchmarks.runner.plan import N_SLOW_SEEDS, N_SLOW_TASKS, N_SLOW_TRIALS, TaskSource, is_slow, planned, slow_places
from benchmarks.runner.results import read_rows
from benchmarks.suites import YOURS, load_suite


def compare(*arguments, code=0, cwd=None):
    return module("benchmarks.run", *arguments, code=code, cwd=cwd)


def table(folder):
    return pd.concat([read_rows(file) for file in sorted(folder.rglob("*.parquet"))], ignore_index=True)


def test_all_strategies_get_the_same_seeds_and_slow_ones_a_fixed_subset():
    assert is_slow("skopt")
    assert not is_slow("bo")
    tasks = [task for task in load_suite("synthetic") if task.split == "development"]
    runs = planned(tasks, ["random", "bo", "skopt"], 20, 100, 1)
    of = {name: [run for run in runs if run.strategy == name] for name in ("random", "bo", "skopt")}
    assert {len({(run.task, run.seed) for run in of[name]}) for name in ("random", "bo")} == {20 * len(tasks)}
    assert {run.n_trials for run in of["random"]} == {200}
    assert len({run.task for run in of["skopt"]}) == N_SLOW_TASKS
    assert {run.seed for run in of["skopt"]} == set(range(N_SLOW_SEEDS))
    assert {run.n_trials for run in of["skopt"]} == {N_SLOW_TRIALS}
    assert slow_places(5) == [0, 1, 2, 3, 4]
    assert len(slow_places(17)) == N_SLOW_TASKS


def test_holdout_tasks_are_not_used_by_default():
    assert {task.split for task in TaskSource("tables").tasks()} == {"development"}


CRASHING = """
import os
import strategies.genetic, strategies.sobol

def sobol(self, rng):
    raise RuntimeError("a bug of this strategy")

def ga(self, rng):
    os._exit(3)

strategies.sobol.SobolSearch._suggest = sobol
strategies.genetic.GeneticAlgorithm._suggest = ga
"""
MINE = """
import patches

def train(config, seed):
    return config["x"] + seed % 7
"""


@pytest.mark.slow
def test_a_crash_fails_one_run_which_is_retried(tmp_path):
    (tmp_path / "mine.py").write_text(MINE)
    (tmp_path / "patches.py").write_text(CRASHING)
    (tmp_path / "space.yaml").write_text("x: {float: [0, 1]}\n")
    arguments = [
        "--task", "mine.py:train", "--space", "space.yaml", "--strategies", "random,sobol,ga", "--trials", "12",
        "--seeds", "2", "--jobs", "2",
    ]  # fmt: skip
    out, _ = compare(*arguments, code=1, cwd=tmp_path)
    assert "crashed: sobol on train, seed 0" in out
    assert "a bug of this strategy" in out
    rows = table(tmp_path / "runs" / "comparison")
    crashes = rows[rows["crash"].notna()]
    found = sorted(zip(crashes["strategy"], crashes["seed"], strict=True))
    assert found == [
        ("ga", 0),
        ("ga", 1),
        ("sobol", 0),
        ("sobol", 1),
    ]
    assert crashes["failed"].all()
    assert (rows[rows["strategy"] == "random"].groupby("seed").size() == 24).all()
    assert rows.loc[rows["strategy"] == "ga", "crash"].str.contains("process of the run died").all()

    (tmp_path / "patches.py").write_text("")
    again, _ = compare(*arguments, cwd=tmp_path)
    assert "4 of 6 runs to do" in again.replace("\n", " ")
    assert table(tmp_path / "runs" / "comparison")["crash"].isna().all()


def test_a_users_command_is_compared_on_real_trainings(tmp_path):
    (tmp_path / "space.yaml").write_text("x: {float: [0, 1]}\n")
    out, _ = compare(
        "--command", "echo {x} >> calls; echo {x}", "--space", "space.yaml", "--strategies", "sobol,tpe",
        "--trials", "6", "--seeds", "2", "--jobs", "1", cwd=tmp_path,
    )  # fmt: skip
    assert "python -m benchmarks.report runs/comparison --out runs/comparison/leaderboard" in out
    rows = table(tmp_path / "runs" / "comparison")
    assert set(rows["suite"]) == {YOURS}
    assert (rows.groupby(["strategy", "seed"]).size() == 6).all()
    # Both start from the same points, each trained once per seed.
    assert len((tmp_path / "calls").read_text().split()) == 2 * 6


def test_a_folder_is_reserved_for_one_task(tmp_path):
    (tmp_path / "space.yaml").write_text("x: {float: [0, 1]}\n")
    (tmp_path / "mine.py").write_text("def train(config):\n    return config['x']\n")
    first = ["--task", "mine.py:train", "--space", "space.yaml", "--strategies", "random", "--trials", 2, "--seeds", 1]
    compare(*first, cwd=tmp_path)
    assert "0 of 1 runs to do" in compare(*first, cwd=tmp_path)[0]
    _, error = compare("--command", "echo {x}", *first[2:], code=2, cwd=tmp_path)
    assert "has a comparison of another task or code" in error
    (tmp_path / "mine.py").write_text("def train(config):\n    return -config['x']\n")
    assert "another task or code" in compare(*first, code=2, cwd=tmp_path)[1]


def test_failure_of_all_trainings_is_reported(tmp_path):
    (tmp_path / "space.yaml").write_text("x: {float: [0, 1]}\n")
    out, _ = compare(
        "--command", "no-such-program {x}", "--space", "space.yaml", "--strategies", "random", "--trials", 3,
        "--seeds", 1, code=1, cwd=tmp_path,
    )  # fmt: skip
    assert "all trainings failed: the command failed with exit status 127" in out


@pytest.mark.slow
def test_failed_trainings_are_charged_in_full_and_trainings_of_custom_length_as_one(tmp_path):
    (tmp_path / "space.yaml").write_text("x: {float: [0, 1]}\n")
    (tmp_path / "mine.py").write_text(
        "def fails(config):\n"
        "    if config['x'] < 0.7:\n"
        "        raise ValueError('no')\n"
        "    return config['x']\n"
        "def curve(config):\n"
        "    yield from (3.0, 2.0, config['x'])\n"
    )
    for name in ("fails", "curve"):
        compare(
            "--task", f"mine.py:{name}", "--space", "space.yaml", "--strategies", "random,ga", "--trials", 5,
            "--seeds", 1, "--out", name, cwd=tmp_path,
        )  # fmt: skip
        rows = table(tmp_path / name)
        assert rows.groupby("strategy")["at_epochs"].max().to_dict() == {"ga": 5, "random": 10}
        assert rows["failed"].any() == (name == "fails")
    assert (rows["loss"] < 1).all()  # of the last of its three epochs


@pytest.mark.slow
def test_a_terminated_comparison_keeps_completed_runs(tmp_path):
    (tmp_path / "space.yaml").write_text("x: {float: [0, 1]}\n")
    arguments = [
        "--command", "echo {x} >> calls; echo {x}", "--space", "space.yaml", "--strategies", "random", "--trials", "2",
        "--seeds", "999", "--jobs", "1",
    ]  # fmt: skip
    command, calls = [sys.executable, "-m", "benchmarks.run", *arguments], tmp_path / "calls"
    process = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.DEVNULL)
    while not calls.exists() or len(calls.read_text().split()) < 9:  # the third run, each has four trainings
        assert process.poll() is None
        time.sleep(0.05)
    _, error = compare(*arguments, code=2, cwd=tmp_path)
    assert "another comparison is writing" in error
    process.terminate()
    assert process.wait(timeout=30) == 143
    assert not table(tmp_path / "runs" / "comparison").empty


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--suite", "nope"], "unknown suite 'nope'"),
        (["--strategies", "bp"], "unknown strategy 'bp'"),
        (["--epochs", "3"], "require --task or --command"),
        (["--space", "nowhere.yaml"], "require --task or --command"),
        (["--split", "test"], "the suite 'quick' has no tasks in the split 'test'; it has: development"),
        (["--suite", "tables", "--command", "echo {x}"], "give a suite or a task of your own, not both"),
        (["--suite", "tables", "--strategies", "raw-optuna-hyperband"], "needs tasks with learning curves"),
        (["--command", "echo 1"], "a command needs a space"),
        (["--task", "nowhere.py:train"], "there is no file 'nowhere.py'"),
    ],
)
def test_user_errors_print_one_line(arguments, message, tmp_path):
    _, error = compare(*arguments, code=2, cwd=tmp_path)
    assert message in error
    assert len(error.strip().splitlines()) == 1
