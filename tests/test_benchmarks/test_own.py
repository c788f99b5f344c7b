"""Budgets in seconds, and the suite of user files: from a file to a score compared with its baseline."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pytest

from automl.errors import UserError
from automl.space.parse import load_space
from automl.tasks.function import as_task
from benchmarks.experiments import own
from benchmarks.experiments.own_scores import baseline, mean_score, noise, own_data, predictions, returned, splits_of
from benchmarks.opponents import make
from benchmarks.run import main as run
from benchmarks.runner.plan import UNLIMITED_TRIALS, TaskSource, planned
from benchmarks.runner.results import Results, read_rows
from benchmarks.runner.simulate import Run, simulate
from benchmarks.suites import own_files
from benchmarks.suites.base import Curve, SimulatedTask
from benchmarks.suites.live_task import LiveTask
from benchmarks.suites.own import task_of
from benchmarks.suites.own_files import BuiltInFiles, OfScikitLearn, UsersFile, carried
from strategies.encoding import Encoding

SPACE = load_space({"x": {"float": [0, 1]}})


@dataclass(frozen=True)
class Steps(SimulatedTask):
    """Four epochs of two seconds each; x is the loss."""

    def curve(self, config, seed, epochs):
        return Curve(np.full(4, config["x"]), np.full(4, 2.0))

    def final_loss(self, config):
        return config["x"]


def steps():
    return Steps("own", "steps", "development", SPACE, max_epochs=4)


def in_seconds(strategy, seconds, n_workers=1):
    return Run("own", "steps", strategy, 0, UNLIMITED_TRIALS, n_workers, seconds)


# --- budgets in seconds


def test_a_search_ends_at_its_time_limit_and_drops_running_trainings():
    rows = simulate(in_seconds("random", 30.0), steps(), lambda n: 0.0)
    assert [row["at_seconds"] for row in rows] == [8.0, 16.0, 24.0]
    two = simulate(in_seconds("random", 30.0, n_workers=2), steps(), lambda n: 0.0)
    assert [row["at_seconds"] for row in two] == [8.0, 8.0, 16.0, 16.0, 24.0, 24.0]
    assert {row["seconds"] for row in two} == {30.0}


def test_the_seconds_of_the_strategy_count_too():
    rows = simulate(in_seconds("random", 30.0), steps(), lambda n: 1.5)
    assert [row["at_seconds"] for row in rows] == [9.5, 20.5]


@pytest.mark.parametrize("strategy", ["bo", "auto", "bo+asha"])
def test_every_kind_of_strategy_keeps_the_limit(strategy):
    rows = simulate(in_seconds(strategy, 50.0, n_workers=2), steps(), lambda n: 0.01)
    assert len(rows) >= 10
    assert max(row["at_seconds"] for row in rows) < 50.0


def test_a_budget_without_a_completed_training_is_a_crash():
    [row] = simulate(in_seconds("random", 7.0), steps(), lambda n: 0.0)
    assert row["crash"] == "no training ended within 7 s"


def test_no_strategy_gets_an_unreachable_number_of_trials():
    assert make("bo", SPACE, seed=0, n_trials=UNLIMITED_TRIALS, seconds=60.0).n_trials is None
    assert make("bo", SPACE, seed=0, n_trials=20).n_trials == 20


def test_a_strategy_that_plans_by_seconds_gets_the_total_over_workers():
    assert make("auto", SPACE, seed=0, max_epochs=20, seconds=60.0, n_workers=2)._seconds == 120.0


def test_random_search_gets_twice_the_seconds():
    runs = planned([steps()], ["bo", "random"], 1, 50, 2, seconds=60.0)
    assert {each.strategy: each.seconds for each in runs} == {"bo": 60.0, "random": 120.0}


def test_a_training_beyond_the_limit_is_truncated_and_completed_on_demand(tmp_path):
    def train(config):
        for epoch in range(20):
            with (tmp_path / "epochs").open("a") as epochs:
                epochs.write("x")
            time.sleep(0.2)
            yield config["x"] + epoch

    task = LiveTask.of("own", "slow", as_task(train, SPACE, max_epochs=20), tmp_path / "kept")
    cut = task.curve_within({"x": 0.5}, 0, 20, 0.5)
    assert cut.seconds.sum() > 0.5
    n_epochs = len((tmp_path / "epochs").read_text())
    assert n_epochs < 20
    task.curve_within({"x": 0.5}, 0, 20, 0.4)
    assert len((tmp_path / "epochs").read_text()) == n_epochs  # known from before
    assert task.curve({"x": 0.5}, 0, 20).losses.tolist() == [0.5 + epoch for epoch in range(20)]


def test_rows_without_seconds_are_kept(tmp_path):
    old, new = Run("own", "steps", "random", 0, 3), Run("own", "steps", "random", 1, 3)
    results = Results(tmp_path)
    rows = [
        {k: v for k, v in row.items() if k not in ("seconds", "config", "is_returned")}
        for row in simulate(old, steps(), None)
    ]
    file = results.file(old)
    file.parent.mkdir()
    pd.DataFrame(rows).assign(commit="before").to_parquet(file)
    assert results.has(old)
    assert not results.has(new)
    results.add(new, simulate(new, steps(), None))
    results.save()
    frame = read_rows(file)
    assert sorted(frame["seed"].unique()) == [0, 1]
    assert frame["seconds"].isna().all()
    assert frame["config"].notna().tolist() == (frame["seed"] == 1).tolist()
    assert frame["is_returned"].dtype == bool
    assert results.file(in_seconds("random", 60.0)).name == "random-60-seconds-1-workers.parquet"


def test_a_budget_has_one_unit():
    with pytest.raises(UserError, match="as --trials or as --seconds, not both"):
        run(suite="own", trials=5, seconds=5.0)
    with pytest.raises(UserError, match="--seconds is only for --suite own"):
        run(suite="synthetic", seconds=5.0)


def test_the_tasks_of_a_suite_can_be_chosen():
    chosen = TaskSource("synthetic", only=("f01-2d", "f06-5d")).tasks()
    assert [task.name for task in chosen] == ["f01-2d", "f06-5d"]
    with pytest.raises(UserError, match="has no task 'f99'; it has: f01-2d"):
        TaskSource("synthetic", only=("f99",)).tasks()


# --- users' files


@dataclass(frozen=True)
class Written:
    """A small user file."""

    frame: str

    def write(self, folder, target):
        file = folder / "mine.csv"
        FRAMES[self.frame]().to_csv(file, index=False)
        return file


def texts():
    rng = np.random.default_rng(0)
    words = {"sea": "wave salt ship tide fish", "hill": "stone path goat peak snow"}
    kinds = rng.choice(list(words), 120)
    said = [" ".join(rng.choice([*words[kind].split(), "the", "a", "of", "and"], 8)) for kind in kinds]
    return pd.DataFrame({"text": said, "place": kinds})


def series():
    rng = np.random.default_rng(0)
    days = pd.date_range("2020-01-01", periods=300)
    return pd.DataFrame({"day": days, "sold": 10 + np.sin(np.arange(300) / 3) + 0.1 * rng.standard_normal(300)})


FRAMES = {"texts": texts, "series": series}
MINE = {
    "table": UsersFile("diabetes", "development", "table", OfScikitLearn("load_diabetes"), {"target": "target"}),
    "pictures": UsersFile("digits", "holdout", "pictures", BuiltInFiles("digits", 200)),
    "texts": UsersFile("mine", "development", "texts", Written("texts"), {"target": "place", "text": "text"}),
    "series": UsersFile(
        "mine", "development", "series", Written("series"), {"target": "sold", "time": "day", "horizon": 1}
    ),
}


@pytest.mark.parametrize("kind", MINE)
def test_a_file_of_each_kind_is_prepared_trained_and_compared_with_its_baseline(kind, tmp_path):
    file = MINE[kind]
    task = task_of(file, tmp_path)
    assert (task.suite, task.name, task.split) == ("own", file.name, file.split)
    config = Encoding(task.space).default
    curve = task.curve(config, 3, task.max_epochs)
    assert curve.error is None
    splits = splits_of(task)
    untuned = baseline(kind, splits, splits_of(task, with_valid=True))
    score = untuned.score(task.metric, splits.y_test)
    without = own_data(task).baseline()["score"]
    assert (score > without) == task.maximize
    refit = predictions(task, config, 3)
    assert (mean_score(task.metric, splits.y_test, [refit]) > without) == task.maximize
    assert noise(task.metric, splits.y_test, [refit], [refit]) == 0
    assert np.isfinite(noise(task.metric, splits.y_test, [refit], untuned.predictions))
    assert task_of(file, tmp_path).curve(config, 3, task.max_epochs).losses.tolist() == curve.losses.tolist()


def test_the_returned_config_is_in_the_rows(tmp_path):
    task = LiveTask.of("own", "mine", as_task(lambda config: config["x"], SPACE), tmp_path)
    rows = pd.DataFrame({"config": ['{"x":0.1}', '{"x":0.9}'], "is_returned": [False, True]})
    assert returned(task, rows) == {"x": 0.9}
    assert returned(task, rows.iloc[:1]) == Encoding(task.space).default


def test_missing_data_are_reported_with_the_command_that_fetches_them(tmp_path, monkeypatch):
    nowhere = carried("mine", own_files.PyPI("no-such-data-package", "1.0"), "mine.csv", 10, "0" * 64)
    monkeypatch.setenv("AUTOML_DATA", str(tmp_path))
    monkeypatch.setattr(own_files, "FILES", (MINE["table"], UsersFile("mine", "holdout", "table", nowhere)))
    with pytest.raises(UserError) as caught:
        own_files.check_all()
    assert str(caught.value) == (
        "data missing in the suite own: mine; fetch them with: python -m benchmarks.experiments.own --fetch"
    )


def test_a_third_or_more_of_the_tasks_of_each_kind_is_holdout():
    kinds = {file.kind for file in own_files.FILES}
    assert kinds == {"table", "texts", "pictures", "series"}
    for kind in kinds:
        held = [file.split == "holdout" for file in own_files.FILES if file.kind == kind]
        assert 1 / 3 <= np.mean(held) <= 1 / 2
    assert len({file.name for file in own_files.FILES}) == len(own_files.FILES)


# --- the table


def test_the_summary_names_strategies_that_do_not_beat_the_baseline():
    facts = {"kind": "table", "n_train": 80, "n_test": 100, "baseline_name": "boosting", "constant_name": "the mean"}
    facts |= {"seconds": 60.0, "n_workers": 2, "n_seeds": 3, "bo_noise": 0.5}
    table = pd.DataFrame(
        [
            {"task": "a", "split": "holdout", "metric": "rmse", "baseline": 2.0, "constant": 4.0, "default": 2.5}
            | {"bo": 1.0, **facts},
            {"task": "b", "split": "development", "metric": "accuracy", "baseline": 1.0, "constant": 0.5}
            | {"default": 1.0, "bo": 0.98, **facts},
        ]
    )
    assert own.error_ratio(table.iloc[0], "bo") == 0.5
    assert own.error_ratio(table.iloc[1], "bo") == pytest.approx(5)  # 2.5 errors to 0.5
    lines = own.summary(table).splitlines()
    [of_a, of_b] = [line for line in lines if line.startswith(("| a ", "| b "))]
    assert of_a.endswith("| default |")
    assert of_b.endswith("| default, bo (within noise) |")
    assert lines[-1] == "| all | 2 | 1.118 | 1.581 |"
    several = pd.concat([table.assign(auto=table["bo"], auto_noise=0.5)] * 3, ignore_index=True)
    assert own.summary(several).splitlines()[-1].startswith("| all | 6 | 1.118 (0.983 to 1.271) |")
    assert own.summary(several).splitlines()[-1].endswith("| 1.000 (1.000 to 1.000) |")


def test_runs_of_several_budgets_are_not_mixed(tmp_path):
    results = Results(tmp_path)
    for seconds in (20.0, 60.0):
        assert not results.has(in_seconds("bo", seconds))
        results.add(in_seconds("bo", seconds), simulate(in_seconds("bo", seconds), steps(), lambda n: 0.0))
        results.save()
    with pytest.raises(UserError, match="has runs with 20, 60 seconds; choose one with --seconds"):
        own.rows_of(tmp_path, None, None)
    assert set(own.rows_of(tmp_path, 60.0, None)["seconds"]) == {60.0}
    with pytest.raises(UserError, match="has no runs with a budget in seconds"):
        own.rows_of(tmp_path / "other", None, None)
