"""The recommended strategy, its wording, and the command."""

import subprocess
import sys

import pytest

from automl.tuning.recommend import as_records, recommend, standing
from strategies import STRATEGIES


def record(budget=20, *, regrets=None, chances=None, kind="numeric", **other) -> dict:
    regrets = regrets or {"raw-x": 0.1, "bo": 0.2, "tpe": 0.3, "random": 0.5}
    chances = chances or {name: max(0.0, 0.95 - i / 2) for i, name in enumerate(regrets)}
    return {
        "kind": kind, "field": f"{kind} spaces", "split": "development", "budget": budget,
        "size": "53 tasks of 29 units", "n_tasks": 53, "n_seeds": "20", "suites": {"synthetic": 36, "yahpo": 17},
        "regrets": regrets, "chances": chances, "losses": {name: r - 0.1 for name, r in regrets.items()},
        "others": [name for name in regrets if name.startswith("raw-")], **other,
    }  # fmt: skip


def recommended(*records: dict, n_trials=20, kind="numeric", **situation):
    return recommend(as_records({"margin": 0.01, "records": list(records)}), kind, n_trials, **situation)


def test_the_most_likely_of_ours_is_recommended_with_the_evidence():
    found = recommended(record())
    assert found.strategy == "bo"
    assert found.headline == "recommended: bo; after 20 trainings it is among the best with probability 0.45"
    words = " ".join(found.details)
    assert "This rests on 53 tasks of 29 units with numeric spaces, development (synthetic 36, yahpo 17)." in words
    assert "Its mean regret is 0.2 (0: the best known loss, 1: a median random config)" in words
    assert "choosing it is expected to cost 0.1 against the best" in words
    assert "Probability of being among the best, for others: tpe below 0.01, random below 0.01." in words
    assert "More likely among the best, of other libraries: raw-x 0.95." in words
    text = found.records[0].text
    assert "development (synthetic 36, yahpo 17), seeds: 20, trainings: 20; probability" in text


@pytest.mark.parametrize(("regret", "strategy"), [(0.195, "auto"), (0.209, "auto"), (0.22, "bo")])
def test_auto_is_recommended_unless_it_is_expected_to_cost_more_than_the_margin(regret, strategy):
    regrets = {"bo": 0.2, "auto": regret, "tpe": 0.4}
    found = recommended(record(regrets=regrets, chances={"bo": 0.8, "auto": 0.5, "tpe": 0.0}))
    assert found.strategy == strategy
    words = " ".join(found.details)
    assert f"{'bo 0.80' if strategy == 'auto' else 'auto 0.50'}, tpe" in words
    assert ("bo is more likely among the best, but expected to be only 0" in words) == (strategy == "auto")


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


def test_held_out_tasks_come_first_and_then_more_of_our_strategies():
    more = {"bo": 0.1, "tpe": 0.2, "ga": 0.3, "random": 0.5}
    few = record(regrets={"tpe": 0.2, "random": 0.5, "skopt": 0.6})
    fewest = record(regrets={"bo": 0.1, "random": 0.5}, split="holdout", n_tasks=12)
    found = recommended(few, record(regrets=more), fewest)
    assert [(len(r.regrets), r.split) for r in found.records] == [
        (2, "holdout"),
        (4, "development"),
        (3, "development"),
    ]
    assert "Not compared there: ga, skopt, tpe." in found.details


CURVES = {"kind": "curves", "field": "all tasks", "size": "17 tasks", "n_tasks": 17, "suites": {"yahpo": 17}}
SITUATIONS = (record(), record(**CURVES), record(**CURVES, n_workers=4), record(split="holdout"))


@pytest.mark.parametrize(
    ("asked", "tasks"),
    [
        ({}, "53 tasks of 29 units with numeric spaces, held out (synthetic 36, yahpo 17)"),
        ({"curves": True}, "17 tasks with learning curves, development (yahpo 17)"),
        ({"curves": True, "n_workers": 4}, "17 tasks with learning curves, development (yahpo 17), 4 workers"),
        ({"curves": True, "kind": "mixed"}, "17 tasks with learning curves, development (yahpo 17)"),
    ],
)
def test_learning_curves_come_before_the_kind_of_space_and_several_workers_before_one(asked, tasks):
    found = recommended(*SITUATIONS, **asked)
    assert found.details[0] == f"This rests on {tasks}."
    assert found.records[0].text.startswith(tasks)
    assert not any("the order may differ" in detail for detail in found.details)


def test_what_is_not_recorded_falls_back_and_says_so():
    found = recommended(*SITUATIONS, curves=True, n_workers=16)
    assert (found.basis.kind, found.basis.n_workers) == ("curves", 4)
    assert found.details[-1] == "The searches had 4 workers; the order may differ with 16."
    found = recommended(*SITUATIONS, n_workers=4)
    assert (found.basis.kind, found.basis.n_workers) == ("numeric", 1)
    assert found.details[-1] == "The searches had 1 worker; the order may differ with 4."
    assert recommended(record(), curves=True).basis.kind == "numeric"


def test_a_kind_of_space_without_records_says_so():
    found = recommended(record(), kind="mixed")
    assert (found.strategy, found.basis) == ("auto", None)
    assert found.headline == "nothing recorded on mixed spaces: use auto"


def test_the_file_of_the_package_knows_every_kind_of_space_and_recommends_only_our_own():
    records = standing()
    assert {record.kind for record in records} == {"numeric", "mixed", "discrete", "curves"}
    assert {record.n_workers for record in records if record.kind == "curves"} == {1, 4}
    assert {record.n_workers for record in records if record.kind != "curves"} == {1}
    for record in records:
        assert set(record.chances) == set(record.losses) == set(record.regrets)
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
    assert "2 hyperparameters, a mixed space; 60 full trainings of 9 epochs, with learning curves" in out
    basis = recommend(standing(), "mixed", 60, curves=True)
    assert basis.headline in out
    assert basis.records[0].text in out
    assert "auto here: bo" in out
    assert "configs are compared after 3 epochs" in out
    out = select("--task", f"{tmp_path}/mine.py:loss", "--space", file, "--trials", 60, "--workers", 4)
    basis = recommend(standing(), "mixed", 60, n_workers=4)
    assert "a mixed space; 60 full trainings; 4 workers" in out
    assert basis.headline in out
    assert "The searches had 1 worker; the order may differ with 4." in out


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
