"""The hours and commits behind the runs of a folder."""

import pandas as pd
import pytest
from test_leaderboard import TASKS, constants, runs, save

from automl.errors import UserError
from benchmarks import report
from benchmarks.runner.effort import SuiteEffort, efforts
from benchmarks.suites import LIVE, SUITES, load_suite


@pytest.fixture
def folders(tmp_path):
    """Looked-up trainings from several commits, and real ones from one."""
    tables = [runs(name, 0.1, TASKS[:2], n_seeds=n, suite="tables") for name, n in (("random", 3), ("bo", 5))]
    tables[0]["commit"] = "0123456789abcdef+"
    tables[1].loc[:9, "commit"] = "abc, def"  # it is not known which
    save(tmp_path / "runs", *tables, runs("bo", 0.1, TASKS[:2], n_trials=10, n_seeds=5, suite="tables"))
    save(tmp_path / "peers", runs("bo", 0.1, TASKS[:3], suite="networks"))
    twice = runs("random", 0.1, TASKS[:3], suite="networks", n_workers=2)
    twice["trial"] //= 2  # each trial has two outcomes
    save(tmp_path / "peers", twice)
    pd.DataFrame({"config": [1]}).to_parquet(tmp_path / "peers" / "recorded.parquet")  # not about runs
    return [tmp_path / "runs", tmp_path / "peers"]


def test_hours_of_trainings_count_only_where_they_were_run(folders):
    looked_up, live = efforts(folders)
    assert looked_up == SuiteEffort(
        "runs", "tables", 2, 2, (3, 5), 6 + 10 + 10, pytest.approx((6 * 20 + 10 * 20 + 10 * 10) * 0.01 / 3600), None,
        6 * 20 + 10 * 20 + 10 * 10, 10 * 20 - 10 + 10 * 10, ("0123456789+", "abc", "def"),
    )  # fmt: skip
    assert (live.folder, live.suite, live.n_runs, live.n_clean) == ("peers", "networks", 18, 18 * 20)
    own = (9 * 20 + 9 * 10) * 0.01  # a trial's seconds are in each of its rows
    assert live.strategy_hours == pytest.approx(own / 3600)
    # Nine runs of 20 trainings with 10 s each, and nine on two workers, which spend twice the time on their clock.
    assert live.training_hours == pytest.approx((2 * 9 * 200 - own) / 3600)


def test_the_page_on_how_to_read_the_results_has_them(folders, tmp_path, monkeypatch):
    monkeypatch.setattr(
        report, "known_constants", lambda table: pd.concat([constants(TASKS, s) for s in table["suite"].unique()])
    )
    report.main(folders, tmp_path / "lb")
    page = next(file for file in (tmp_path / "lb-runs.md", tmp_path / "lb.md") if file.exists()).read_text()
    assert "## Hours and commits" in page
    assert "| tables | runs | 2 | 2 | 3 to 5 | 26 | 0.00 |  | 290 of 420 | 0123456789+, abc, def |" in page
    assert "| networks | peers | 3 | 2 | 3 | 18 | 0.00 | 1.00 | 360 of 360 | abc |" in page
    assert "no held-out part" not in page
    yahpo = runs("bo", 0.1, TASKS[:2], suite="yahpo", max_epochs=52)
    save(tmp_path / "runs", yahpo, yahpo.assign(strategy="random"))
    report.main(folders, tmp_path / "lb")
    page = next(file for file in (tmp_path / "lb-runs.md", tmp_path / "lb.md") if file.exists()).read_text()
    assert "Learning curves have no held-out part: " in page


def test_the_suites_whose_trainings_are_run_are_known():
    for suite in set(SUITES) - {"quick", *LIVE}:
        try:
            tasks = load_suite(suite)
        except UserError:  # its data are not on this machine
            continue
        assert all(task.looked_up for task in tasks), suite
