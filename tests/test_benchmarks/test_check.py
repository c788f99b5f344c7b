"""The leaderboard recomputed from the rows: equal to it, and any difference is found."""

import json
import re
import shutil

import numpy as np
import pandas as pd
import pytest
import typer
from test_leaderboard import TASKS, constants, crashed, failed, save
from test_leaderboard import numeric_runs as runs

from automl.errors import UserError
from benchmarks import check
from benchmarks.checks import first_page, recomputed
from benchmarks.pages import markdown
from benchmarks.pages.sentences import evidence
from benchmarks.runner.plan import TaskSource
from benchmarks.runner.results import Results, read_rows
from benchmarks.runner.simulate import Run, simulate
from benchmarks.scoring.certainty import versus
from benchmarks.scoring.comparison import AMONG, BEST, UNKNOWN, compare
from benchmarks.scoring.leaderboard import board, needs, sections
from benchmarks.scoring.regret import at_end
from benchmarks.scoring.verdicts import standing_json

COSTS = pd.DataFrame(columns=["strategy", "n_dimensions", "n_trials", "seconds"])


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
    evidence(found).to_csv(folder / "leaderboard-tests.csv", index=False, float_format="%.6g")
    (folder / "leaderboard.md").write_text("\n".join(markdown.summary(found, COSTS)))
    (folder / "standing.json").write_text(standing_json(found))
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
        standing = file.with_name("standing.json")
        check.main([runs_folder], file, standing, **{"suites": "", "rows": 200, "every_row": False, **options})
    except typer.Exit:
        return True
    return False


def test_the_same_numbers_come_out(compared, capsys):
    assert not checked(*compared)
    out = capsys.readouterr().out
    assert re.match(
        r"\d+ regrets, \d+ ends of intervals, \d+ probabilities and losses, \d+ facts of verdicts, \d+ needed "
        r"budgets, \d+ numbers behind automl select, \d+ numbers of the first page checked",
        out,
    )
    assert ", 0 differ" in out
    assert not re.search(r"\b0 (regrets|ends|probabilities|facts|needed|numbers)", out)


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


def test_changed_verdicts_are_found(compared, capsys):
    runs_folder, file = compared
    beside = file.with_name("leaderboard-tests.csv")
    table = pd.read_csv(beside)
    places = table[(table["clock"] == "trainings") & (table["suite"] == "s")].groupby("budget").groups
    assert [*places] == [10, 20, 60]
    table.loc[places[10][1], "worse"] -= 0.05
    table.loc[places[20][1], "word"] = "practically equal"
    table.loc[places[60][1], "difference"] -= 0.001
    table.loc[places[10][0], "verdict"] = "not known yet"
    table.loc[places[20][0], "leaders"] = "random good"
    table.loc[places[60][0], "probability"] = 0.9
    every = table.index[(table["clock"] == "trainings") & (table["suite"] == "every suite") & (table["budget"] == 10)]
    table.drop(every[0]).to_csv(beside, index=False)
    assert checked(runs_folder, file)
    found = [line for line in capsys.readouterr().out.splitlines() if ": " in line]
    for label in (
        "after 10, worse", "after 20, word", "after 60, difference", "verdict after 10", "leaders after 20",
        "probability after 60",
    ):  # fmt: skip
        assert any(line.startswith("s, ") and label in line for line in found), label
    assert any(line.startswith("every suite, ") and "strategies after 10" in line for line in found)


def test_changed_numbers_behind_automl_select_are_found(compared, capsys):
    runs_folder, file = compared
    beside = file.with_name("standing.json")
    content = json.loads(beside.read_text())
    for column in ("regrets", "chances", "losses"):
        content["records"][0][column]["random"] += 0.05
    del content["records"][1]["regrets"]["bad"]
    beside.write_text(json.dumps(content))
    assert checked(runs_folder, file)
    out = capsys.readouterr().out
    for label in ("10, regret of random", "10, chance of random", "10, loss of random", "20, strategies"):
        assert f"automl select after {label}" in out
    assert "4 differ" in out


def test_changed_numbers_of_the_first_page_are_found(compared, capsys):
    runs_folder, file = compared
    page = file.with_suffix(".md")
    text = page.read_text()
    row = next(line for line in text.splitlines() if line.startswith("| numeric spaces | 20 |"))
    cells = row.split("|")
    chance, regret = (f" {words} " for words in ("40%", "0.099 (0.010 to 0.110)"))
    changed = "|".join([*cells[:4], chance, regret, *cells[6:]])
    answer = next(line for line in text.splitlines() if line.startswith("| **numeric spaces**"))
    text = text.replace(answer, answer.replace("(>99%)", "(40%)", 1))
    page.write_text(text.replace(row, f"{changed}\n{row.replace('| 20 |', '| 30 |')}"))
    assert checked(runs_folder, file)
    out = capsys.readouterr().out
    for label in ("P(best)", "regret", "low80", "high80"):
        assert re.search(f"the second table, .* after 20, {re.escape(label)}: ", out), label
    assert re.search(r"the first table, after \d+: \*\*good\*\*: very likely \(40%\): 0.4, ", out)
    assert "after 30: not in the leaderboard" in out
    assert "6 differ" in out


@pytest.mark.parametrize(
    ("text", "value", "tolerance"),
    [("40%", 0.4, 0.005), ("41%", 0.41, 0.005), (">99%", 0.995, 0.005), ("<1%", 0.005, 0.005), ("0.120", 0.12, 0.0005)],
)
def test_a_printed_number_is_as_exact_as_its_last_digit(text, value, tolerance):
    assert first_page._printed(text) == (pytest.approx(value), pytest.approx(tolerance, rel=0.01))


@pytest.mark.parametrize("missing", ["leaderboard.md", "leaderboard-tests.csv", "standing.json"])
def test_a_missing_file_is_an_error_of_one_line(compared, missing):
    runs_folder, file = compared
    file.with_name(missing).unlink()
    with pytest.raises(UserError, match=re.escape(missing)):
        checked(runs_folder, file)


def test_probabilities_of_pairs_are_those_of_the_report():
    rng = np.random.default_rng(0)
    for n in (5, 12):
        a, b = rng.gamma(2.0, 0.05, (2, n))
        for other in (b, a + 0.005, a, a - 0.3):
            found = versus(other, a)
            assert recomputed.signed_ranks(a, other) == pytest.approx(
                {"better": found.better, "equal": found.equal, "worse": found.worse}, abs=0.02
            )


def test_verdicts_by_shorter_code_are_those_of_the_report():
    """On tables with every kind of verdict."""
    rng = np.random.default_rng(0)
    seen = set()
    for i in range(120):
        means, noise = (
            rng.uniform(0.1, 0.1 + rng.choice([0.0, 0.05, 0.3]), rng.integers(2, 7)),
            rng.choice([0.002, 0.04]),
        )
        table = pd.DataFrame(
            means + rng.normal(0, noise, (8, len(means))), columns=[f"s{j}" for j in range(len(means))]
        )
        found = compare(table)
        words = dict(zip(found.pairs["b"], found.pairs["word"], strict=True))
        likely = found.chances["probability"].to_dict()
        verdict, leaders = recomputed.verdict(words, likely, found.leaders[0], found.probability)
        assert (verdict, tuple(leaders)) == (found.verdict, found.leaders), i
        seen.add((verdict, len(leaders) > 1))
    assert seen == {(BEST, False), (BEST, True), (AMONG, True), (UNKNOWN, True)}


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


def test_what_a_run_returned_at_a_budget_is_that_of_its_last_outcome_within_it():
    """Stopped trainings rarely spend a budget exactly: here 49.6 and 50.4 trainings around 50."""
    n = 125
    table = pd.DataFrame(
        {
            "suite": "s", "task": "t", "strategy": "halving", "seed": 0, "n_workers": 1, "n_trials": 100, "split": "d",
            "kind": "mixed", "unit": "t", "trial": range(n), "repeats": np.nan, "epochs": 10, "max_epochs": 10,
            "loss": 0.5, "worth": 0.5, "returned": np.nan, "failed": False, "is_default": False,
            "at_epochs": 8.0 * np.arange(1, n + 1), "at_seconds": 1.0, "best": 0.0, "reference": 1.0,
            "seconds_of_full": 1.0,
        }
    )  # fmt: skip
    table.loc[61, "returned"], table.loc[n - 1, "returned"] = 0.3, 0.1  # after 49.6 and 100 trainings
    facts = pd.DataFrame({"best": 0.0, "reference": 1.0}, index=pd.MultiIndex.from_tuples([("s", "t")]))
    for budget, wanted in ((50.0, 0.3), (100.0, 0.1)):
        [task] = recomputed.task_runs(recomputed.runs_of(table), budget)
        assert task.ends["halving", 0] == pytest.approx(wanted)
        before = pd.Series(1.0, index=facts.index)
        assert at_end(table, facts, budget, before).item() == pytest.approx(wanted)
