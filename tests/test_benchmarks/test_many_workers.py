"""Many simulated workers: what is measured, and a run of auto that moves, is interrupted and resumed."""

import pytest

from automl.errors import UserError
from automl.space.parse import load_space
from automl.study.sqlite import sqlite_url
from automl.study.storage import Store
from automl.study.study import Study
from automl.tuning.tuner import Tuner
from benchmarks.experiments.many_workers import Bowl, _asked, measured, share_of_a_training
from benchmarks.experiments.overhead import SPACE
from benchmarks.runner.replay import ReplayExecutor
from strategies import make_strategy

TASK = Bowl("many-workers", "bowl", "development", load_space(SPACE), seconds=0.01)
N_WORKERS = 20


def test_workers_of_a_cheap_strategy_are_busy():
    row = measured("random+asha", 20, 300, 30.0, seed=0)
    assert row["trainings"] == pytest.approx(300, rel=0.2)
    assert row["busy"] > 0.85
    assert row["configurations"] < row["trainings"]
    assert row["enough_for_workers"] == pytest.approx(30.0 * row["trainings_a_second"])


def test_the_mean_step_of_a_third_promoted():
    assert share_of_a_training([1]) == 1.0
    assert share_of_a_training([1, 3, 9]) == pytest.approx((1 + 2 / 3 + 6 / 9) / (1 + 1 / 3 + 1 / 9) / 9)


def test_runs_are_checked():
    assert _asked("random+asha:10:20,auto:1:2") == [("random+asha", 10, 20), ("auto", 1, 2)]
    with pytest.raises(UserError, match="STRATEGY:WORKERS:TRAININGS"):
        _asked("auto:10")


def test_auto_under_the_tuner_moves_and_a_resumed_run_repeats_its_decisions(tmp_path):
    """The seconds of thinking that the tuner measures are in the study, and trainings take less than these."""

    def tuner(study, n_told):
        strategy = make_strategy("auto", TASK.space, seed=0, n_trials=200)
        found = Tuner(TASK, strategy, study, ReplayExecutor(TASK, N_WORKERS), n_trials=200, seed=0)
        found.watch = lambda self: setattr(self, "interrupted", self.study.counts["complete"] >= n_told)
        return found

    url = sqlite_url(tmp_path / "study.db")
    first = tuner(Study(TASK.space, 1, Store.create(url, TASK.space, {})), 80)
    first.run()
    moves = [finding for finding in first.strategy.findings if "the strategy takes" in finding]
    assert moves
    again = tuner(Study(TASK.space, 1, Store.open(url, TASK.space)), 0)
    again.interrupted = True  # once it is restored
    again.run()
    assert [finding for finding in again.strategy.findings if "the strategy takes" in finding] == moves
    assert [again.strategy.ask() for _ in range(3)] == [first.strategy.ask() for _ in range(3)]
