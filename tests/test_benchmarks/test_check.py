"""The leaderboard recomputed from the rows: equal to it, and any difference is found."""

import re
import shutil

import numpy as np
import pandas as pd
import pytest
import typer
from test_leaderboard import TASKS, constants, crashed, failed, runs, save

from benchmarks import check
from benchmarks.runner.plan import TaskSource
from benchmarks.runner.results import Results, read_rows
from benchmarks.runner.simulate import Run, simulate
from benchmarks.scoring.leaderboard import board, needs, sections


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A folder with runs of every kind, and their leaderboard."""
    folder = tmp_path_factory.mktemp("compared")
    noisy = runs("noisy", 0.2, TASKS, n_trials=60)
    noisy["repeats"] = np.where(noisy["trial"] % 5 == 4, noisy["trial"] - 1.0, np.nan)  # some trained again
    parts = [runs("random", 0.5, TASKS, n_trials=120), noisy, crashed(runs("good", 0.1, TASKS, n_trials=60), "t03", 1)]
    parts += [failed(runs("bad", 0.1, TASKS[:7], n_trials=60)), runs("bad", 0.4, TASKS[7:], n_trials=60)]
    given = crashed(runs("good", 0.05, TASKS, n_trials=10), "t05", 2)
    parts += [given, runs("noisy", 0.05, TASKS[1:], n_trials=10)]  # the latter not on all tasks
    table = pd.concat(parts, ignore_index=True)
    table["at_seconds"] *= 1 + 0.001 * (table["seed"] + 1)  # a little thinking
    table["seconds"] = 10.0  # of a training, as in the rows of runs
    table["unit"] = "u" + (table["task"].str[1:].astype(int) // 2).astype(str)
    save(folder / "runs", table)
    facts = constants(TASKS)
    file = folder / "leaderboard.csv"
    found = sections(table, facts)
    board(found).to_csv(file, index=False, float_format="%.6g")
    needs(found).to_csv(folder / "leaderboard-efficiency.csv", index=False, float_format="%.6g")
    return folder


@pytest.fixture
def compared(made, tmp_path, monkeypatch):
    """A copy of it: the folder of the runs, and the table."""
    monkeypatch.setattr(check, "known_constants", lambda rows: constants(TASKS))
    shutil.copytree(made, tmp_path, dirs_exist_ok=True)
    return tmp_path / "runs", tmp_path / "leaderboard.csv"


def checked(runs_folder, file, **options):
    """What the command prints about these runs, and whether it fails."""
    try:
        check.main([runs_folder], file, **{"suites": "", "rows": 200, "every_row": False, **options})
    except typer.Exit:
        return True
    return False


def test_the_same_numbers_come_out(compared, capsys):
    assert not checked(*compared)
    out = capsys.readouterr().out
    assert re.match(
        r"\d+ regrets, \d+ ends of intervals, \d+ probabilities and losses, \d+ needed budgets checked", out
    )
    assert ", 0 differ" in out
    assert not re.search(r"\b0 (regrets|ends|probabilities|needed)", out)


@pytest.mark.parametrize(("column", "factor"), [("regret", 1.001), ("low80", 0.99), ("high95", 1.01), ("loss", 1.5)])
def test_a_changed_number_is_found(compared, capsys, column, factor):
    runs_folder, file = compared
    table = pd.read_csv(file)
    place = table.index[(table["strategy"] == "random") & (table["clock"] == "trainings") & (table["budget"] == 20)][0]
    table.loc[place, column] *= factor
    table.to_csv(file, index=False)
    assert checked(runs_folder, file)
    out = capsys.readouterr().out
    assert "s, development, all tasks: random after 20" in out
    assert "1 differ" in out


@pytest.mark.parametrize("clock", ["trainings", "seconds"])
@pytest.mark.parametrize("column", ["median", "reached", "low80", "high95"])
def test_a_changed_need_is_found(compared, capsys, column, clock):
    runs_folder, file = compared
    beside = file.with_name("leaderboard-efficiency.csv")
    table = pd.read_csv(beside)
    wanted = (table["strategy"] == "noisy") & (table["clock"] == clock)
    place = table.index[wanted & np.isfinite(table[column])][0]
    table.loc[place, column] += 1
    table.to_csv(beside, index=False)
    assert checked(runs_folder, file)
    assert f"noisy to random after {table.loc[place, 'after']:g}, {clock}, {column}: " in capsys.readouterr().out


def rows_with_configurations(folder):
    """The file with a run on a function, whose rows carry what was trained."""
    results, run = Results(folder), Run("synthetic", "f01-5d-mixed", "random", 0, 20)
    assert not results.has(run)
    results.add(run, simulate(run, TaskSource("synthetic", only=("f01-5d-mixed",)).task(run.task), lambda n: 0.0))
    results.save()
    return results.file(run)


def test_losses_are_those_of_the_configurations_in_the_rows(tmp_path):
    file = rows_with_configurations(tmp_path)
    assert read_rows(file)["config"].notna().all()
    assert check.check_losses([tmp_path], None) == (20, [])
    assert check.check_losses([tmp_path], 5) == (5, [])


def test_a_changed_loss_and_a_changed_configuration_are_found(tmp_path):
    file = rows_with_configurations(tmp_path)
    frame = pd.read_parquet(file)
    frame.loc[3, "loss"] *= 1.001
    frame.loc[7, "config"] = frame.loc[8, "config"]
    frame.to_parquet(file)
    _, lines = check.check_losses([tmp_path], None)
    assert [line.split(": ")[1].rpartition(" ")[2] for line in lines if ": loss " in line] == ["3", "7"]
    assert lines[0].startswith("synthetic/f01-5d-mixed: random, seed 0, trial 3: loss ")


def test_rows_without_configurations_are_left_out(tmp_path):
    file = rows_with_configurations(tmp_path)
    pd.read_parquet(file).drop(columns=["config", "is_returned"]).to_parquet(file)
    assert check.check_losses([tmp_path], None) == (0, [])
