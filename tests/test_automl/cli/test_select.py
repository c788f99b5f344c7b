"""The recommended strategy, its wording, and the command."""

import subprocess
import sys

import pytest

from automl.tuning.recommend import as_records, recommend, standing
from strategies import STRATEGIES


def record(budget=20, *, regrets=None, leaders=("bo",), verdict="winner", kind="numeric", **other) -> dict:
    regrets = regrets or {"raw-x": 0.1, "bo": 0.2, "tpe": 0.3, "random": 0.5}
    return {
        "kind": kind, "field": f"{kind} spaces", "budget": budget, "size": "53 tasks of 29 units", "n_tasks": 53,
        "n_seeds": "20", "suites": {"synthetic": 36, "yahpo": 17}, "tested": verdict != "undecided",
        "verdict": verdict, "reason": "", "leaders": list(leaders), "lead": {"mean": 0.1, "low": 0.05, "high": 0.15},
        "regrets": regrets, "others": [name for name in regrets if name.startswith("raw-")], **other,
    }  # fmt: skip


def recommended(*records: dict, n_trials=20, kind="numeric"):
    return recommend(as_records({"records": list(records)}), kind, n_trials)


def test_a_winner_is_recommended_with_its_lead_and_the_evidence():
    found = recommended(record())
    assert found.strategy == "bo"
    assert found.headline == "recommended: bo, better than each of our other 2 strategies compared"
    words = " ".join(found.details)
    assert "the next, tpe, is 0.1 above it (95% interval 0.05 to 0.15" in words
    assert "With a lower mean, of other libraries: raw-x." in words
    assert "Not compared there: auto." in words
    assert "53 tasks of 29 units (synthetic 36, yahpo 17), seeds: 20, trainings: 20: winner" in found.records[0].text


@pytest.mark.parametrize("verdict", ["no clear winner", "no difference shown"])
def test_without_a_winner_auto_is_recommended_and_the_rivals_are_named(verdict):
    found = recommended(record(verdict=verdict, leaders=["bo", "tpe"]))
    assert (found.strategy, found.headline) == ("auto", f"{verdict}: use auto")
    assert "Not shown to be worse: tpe." in found.details


def test_without_a_test_it_says_undecided_and_why():
    reason = "8 tasks are too few for a test (it takes 10)"
    lead = {"mean": 0.1, "low": None, "high": None}
    found = recommended(record(verdict="undecided", leaders=["bo", "tpe", "random"], reason=reason, lead=lead))
    assert (found.strategy, found.headline) == ("auto", "undecided: use auto")
    words = " ".join(found.details)
    assert f"No test: {reason}." in words
    assert "no interval" in words
    assert "Not shown to be worse" not in words


def test_auto_is_not_recommended_where_it_is_shown_to_be_worse():
    regrets = {"bo": 0.2, "tpe": 0.21, "auto": 0.4}
    found = recommended(record(verdict="no clear winner", leaders=["bo", "tpe"], regrets=regrets))
    assert found.strategy == "bo"
    assert found.headline == "no clear winner, but auto is shown to be worse than bo: use bo"


@pytest.mark.parametrize(
    ("n_trials", "budget", "note"),
    [(5, 10, "fewer than 10"), (10, 10, ""), (49, 20, ""), (50, 50, ""), (51, 50, "beyond 50")],
)
def test_the_budget_is_the_nearest_at_or_below(n_trials, budget, note):
    found = recommended(*(record(b) for b in (10, 20, 50)), n_trials=n_trials)
    assert found.basis.budget == budget
    notes = [detail for detail in found.details if detail.startswith("Nothing is recorded")]
    assert len(notes) == bool(note)
    assert all(note in detail for detail in notes)


def test_a_tested_comparison_comes_before_an_undecided_one_and_then_more_of_our_strategies():
    more = {"bo": 0.1, "tpe": 0.2, "ga": 0.3, "random": 0.5}
    few, many = record(leaders=["tpe"], regrets={"tpe": 0.2, "random": 0.5}), record(regrets=more)
    open_ = record(verdict="undecided", leaders=["ga"], regrets={**more, "skopt": 0.4})
    found = recommended(open_, few, many)
    assert [len(r.regrets) for r in found.records] == [4, 2, 5]
    assert "Not compared there: auto, skopt." in found.details


def test_a_kind_of_space_without_records_says_so():
    found = recommended(record(), kind="mixed")
    assert (found.strategy, found.basis) == ("auto", None)
    assert found.headline == "nothing recorded on mixed spaces: use auto"


def test_the_file_of_the_package_knows_every_kind_of_space_and_recommends_only_our_own():
    records = standing()
    assert {record.kind for record in records} == {"numeric", "mixed", "discrete"}
    for record in records:
        assert set(record.leaders) <= set(record.ours)
        assert {name.split("+")[0] for name in record.ours} <= set(STRATEGIES)
        assert list(record.regrets.values()) == sorted(record.regrets.values())


def select(*arguments, code=0) -> str:
    command = [sys.executable, "-m", "automl", "select", *map(str, arguments)]
    process = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert process.returncode == code, process.stdout + process.stderr
    return process.stdout if code == 0 else process.stderr


def test_the_command_for_a_space_and_for_a_task_of_ones_own(tmp_path):
    file = tmp_path / "space.yaml"
    file.write_text("x: {float: [-5, 5]}\nn: {choice: [a, b, c]}\n")
    (tmp_path / "mine.py").write_text("def loss(config):\n    return config['x'] ** 2\n")
    out = select("--space", file, "--trials", 60, "--epochs", 9)
    assert "2 hyperparameters, a mixed space; 60 full trainings of 9 epochs" in out
    basis = recommend(standing(), "mixed", 60)
    assert basis.headline in out
    assert basis.records[0].text in out
    assert "auto here: bo" in out
    assert "mostly numbers" in out
    assert "configs are compared after 3 epochs" in out
    assert basis.headline in select("--task", f"{tmp_path}/mine.py:loss", "--space", file, "--trials", 60)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "no task or space given; use --task mnist1d-cnn"),
        (("--task", "mnist1d-cn"), "did you mean 'mnist1d-cnn'?"),
        (("--space", "nowhere.yaml"), "cannot read the space file 'nowhere.yaml'"),
    ],
)
def test_what_the_user_can_mend_is_one_line(arguments, words):
    err = select(*arguments, code=2)
    assert err.startswith("automl: ")
    assert err.count("\n") == 1
    assert words in err
