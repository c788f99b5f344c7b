"""The leaderboard recomputed from the rows: equal to it, and any difference is found."""

import numpy as np
import pandas as pd
import pytest
import typer
from test_leaderboard import TASKS, constants, crashed, failed, runs, save

from benchmarks import check
from benchmarks.scoring.leaderboard import board, sections


@pytest.fixture
def compared(tmp_path, monkeypatch):
    """A folder with runs of every kind, and their leaderboard."""
    noisy = runs("noisy", 0.2, TASKS)
    noisy["repeats"] = np.where(noisy["trial"] % 5 == 4, noisy["trial"] - 1.0, np.nan)  # some trained again
    parts = [runs("random", 0.5, TASKS, n_trials=40), noisy, crashed(runs("good", 0.1, TASKS), "t03", 1)]
    parts += [failed(runs("bad", 0.1, TASKS[:7])), runs("bad", 0.4, TASKS[7:])]
    table = pd.concat(parts, ignore_index=True)
    table["unit"] = table["task"].str[:2]
    save(tmp_path / "runs", table)
    facts = constants(TASKS)
    monkeypatch.setattr(check, "known_constants", lambda rows: facts)
    file = tmp_path / "leaderboard.csv"
    board(sections(table, facts)).to_csv(file, index=False, float_format="%.6g")
    return tmp_path / "runs", file


def test_the_same_numbers_come_out(compared, capsys):
    check.main(*compared)
    assert "0 differ" in capsys.readouterr().out


def test_a_changed_number_is_found(compared, capsys):
    runs_folder, file = compared
    table = pd.read_csv(file)
    place = table.index[(table["strategy"] == "good") & (table["clock"] == "trainings") & (table["budget"] == 20)][0]
    table.loc[place, "regret"] *= 1.001
    table.to_csv(file, index=False)
    with pytest.raises(typer.Exit):
        check.main(runs_folder, file)
    out = capsys.readouterr().out
    assert "s, development, all tasks: good after 20" in out
    assert "1 differ" in out
