"""The recommended strategy, its wording, and the command."""

import pytest
from processes import command

from automl.tuning.recommend import as_records, recommend, standing
from strategies import STRATEGIES


def record(budget=20, *, regrets=None, chances=None, kind="numeric", **other) -> dict:
    regrets = regrets or {"raw-x": 0.1, "bo": 0.2, "tpe": 0.3, "random": 0.5}
    chances = chances or {name: max(0.0, 0.95 - i / 2) for i, name in enumerate(regrets)}
    return {
        "kind": kind, "field": f"{kind} spaces", "split": "development", "budget": budget,
        "size": "53 tasks of 29 units", "n_tasks": 53, "n_seeds": "20", "suites": {"synthetic": 36, "yahpo": 17},
        "regrets": regrets, "chances": chances, "losses": {name: r - 0.1 for name, r in regrets.items()},
        "others": [name for name in regrets if name.startswith("raw-")],
        "n_workers": 1, "epochs": [1, 1], "conditional": False, "integers": False, **other,
    }  # fmt: skip


def recommended(*records: dict, n_trials=20, kind="numeric", **situation):
    return recommend(as_records({"margin": 0.01, "records": list(records)}), kind, n_trials, **situation)


def test_the_most_likely_of_ours_is_recommended_and_the_advice_has_its_evidence_in_one_line():
    found = recommended(record())
    assert found.strategy == "bo"
    [advice] = found.advice
    assert advice.headline == (
        "recommended: bo; after 20 trainings it is among the best with probability 45%, expected loss 0.100 (53 tasks "
        "of 29 units); the library raw-x is likelier: 95%, expected loss below 0.001"
    )
    words = " ".join(advice.details)
    assert "This rests on 53 tasks of 29 units with numeric spaces, development (synthetic 36, yahpo 17)." in words
    assert "Its mean regret is 0.200 (0: the best known loss, 1: a median random config)" in words
    assert "Probability of being among the best, for others: tpe <1%, random <1%." in words
    text = advice.records[0].text
    assert "development (synthetic 36, yahpo 17), seeds: 20, trainings: 20; probability" in text


@pytest.mark.parametrize(("regret", "strategy"), [(0.195, "auto"), (0.209, "auto"), (0.22, "bo")])
def test_auto_is_recommended_unless_it_is_expected_to_cost_more_than_the_margin(regret, strategy):
    regrets = {"bo": 0.2, "auto": regret, "tpe": 0.4}
    found = recommended(record(regrets=regrets, chances={"bo": 0.8, "auto": 0.5, "tpe": 0.0}))
    assert found.strategy == strategy
    [advice] = found.advice
    words = " ".join(advice.details)
    assert f"{'bo 80%' if strategy == 'auto' else 'auto 50%'}, tpe" in words
    assert ("bo is more likely among the best (expected lead: " in words) == (regret == 0.209)
    assert ("bo is more likely among the best, but has a higher expected loss" in words) == (regret == 0.195)
    assert ("; bo is likelier: 80%, expected loss 0.100" in advice.headline) == (strategy == "auto")


@pytest.mark.parametrize(
    ("n_trials", "budget", "note"),
    [(5, 10, "fewer than 10"), (10, 10, ""), (49, 20, ""), (50, 50, ""), (51, 50, "beyond 50")],
)
def test_the_budget_is_the_nearest_at_or_below(n_trials, budget, note):
    [advice] = recommended(*(record(b) for b in (10, 20, 50)), n_trials=n_trials).advice
    assert advice.basis.budget == budget
    notes = [detail for detail in advice.details if detail.startswith("Nothing is recorded")]
    assert len(notes) == bool(note)
    assert all(note in detail for detail in notes)


SUBSET = {"field": "numeric spaces, subset", "size": "9 tasks", "n_tasks": 9}


def test_all_tasks_come_before_a_subset_and_then_held_out_ones():
    more = {"bo": 0.1, "tpe": 0.2, "ga": 0.3, "random": 0.5}
    part = record(regrets={**more, "skopt": 0.6}, split="holdout", **SUBSET)
    fewest = record(regrets={"bo": 0.1, "random": 0.5}, split="holdout", n_tasks=12)
    [advice] = recommended(part, record(regrets=more), fewest).advice
    assert [(len(r.regrets), r.split) for r in advice.records] == [
        (2, "holdout"),
        (4, "development"),
        (5, "holdout"),
    ]
    assert "Not compared there: ga, skopt, tpe." in advice.details
    assert advice.records[-1].text.startswith("a subset of 9 tasks with numeric spaces, held out (")
    [alone] = recommended(part).advice
    assert "(a subset of 9 tasks)" in alone.headline
    assert alone.details[0].startswith("This rests on a subset of 9 tasks with numeric spaces")


def test_a_slow_library_that_is_likelier_on_a_subset_is_named_with_both_probabilities():
    slow = {"raw-slow": 0.1, "bo": 0.2, "tpe": 0.3}
    known = record(regrets={"bo": 0.2, "raw-x": 0.3}, chances={"bo": 0.9, "raw-x": 0.1})
    part = record(regrets=slow, chances={"raw-slow": 0.8, "bo": 0.3, "tpe": 0.0}, **SUBSET)
    [advice] = recommended(known, part).advice
    assert advice.headline.endswith(
        "(53 tasks of 29 units); on a subset of 9 tasks the library raw-slow is likelier: 80%, expected loss below "
        "0.001, against 30%"
    )
    part = record(regrets={"raw-x": 0.1, "bo": 0.2}, chances={"raw-x": 0.8, "bo": 0.3}, **SUBSET)
    [advice] = recommended(known, part).advice  # on all tasks it is behind
    assert advice.headline.endswith("(53 tasks of 29 units)")


def test_a_slow_library_that_may_be_as_good_on_a_subset_is_named_too():
    known = record(regrets={"bo": 0.2, "raw-x": 0.3}, chances={"bo": 0.99, "raw-x": 0.1})
    part = record(regrets={"bo": 0.1, "raw-slow": 0.102}, chances={"bo": 0.96, "raw-slow": 0.84}, **SUBSET)
    [advice] = recommended(known, part).advice
    assert advice.headline.endswith(
        "(53 tasks of 29 units); on a subset of 9 tasks the library raw-slow may be as good: 84%, expected loss 0.002, "
        "against 96%"
    )


@pytest.mark.parametrize("integers", [False, True])
def test_integers_are_mentioned_where_no_task_had_any(integers):
    [advice] = recommended(record(), integers=integers).advice
    assert any("have no integers; yours has some" in detail for detail in advice.details) == integers
    [advice] = recommended(record(integers=True), integers=integers).advice
    assert not any("have no integers" in detail for detail in advice.details)


CURVES = {
    "kind": "curves", "field": "all tasks", "size": "17 tasks", "n_tasks": 17, "suites": {"yahpo": 17},
    "epochs": [52, 52],
}  # fmt: skip
TRAININGS = {
    "kind": "trainings", "field": "all tasks", "size": "16 tasks of 13 units", "n_tasks": 16,
    "suites": {"networks": 16}, "epochs": [10, 18], "conditional": True,
}  # fmt: skip
SITUATIONS = (record(), record(**CURVES), record(**CURVES, n_workers=4), record(split="holdout"))


@pytest.mark.parametrize(
    ("asked", "tasks"),
    [
        ({}, "53 tasks of 29 units with numeric spaces, held out (synthetic 36, yahpo 17)"),
        ({"curves": True}, "17 tasks with surrogate learning curves of 52 epochs, development (yahpo 17)"),
        (
            {"curves": True, "n_workers": 4},
            "17 tasks with surrogate learning curves of 52 epochs, development (yahpo 17), 4 workers",
        ),
        (
            {"curves": True, "kind": "mixed"},
            "17 tasks with surrogate learning curves of 52 epochs, development (yahpo 17)",
        ),
    ],
)
def test_learning_curves_come_before_the_kind_of_space_and_several_workers_before_one(asked, tasks):
    [advice] = recommended(*SITUATIONS, **asked).advice
    assert advice.details[0] == f"This rests on {tasks}."
    assert advice.records[0].text.startswith(tasks)
    assert not any("the order may differ" in detail for detail in advice.details)


def test_what_is_not_recorded_falls_back_and_says_so():
    [advice] = recommended(*SITUATIONS, curves=True, n_workers=16).advice
    assert (advice.basis.kind, advice.basis.n_workers) == ("curves", 4)
    assert advice.details[-1] == "The searches had 4 workers; the order may differ with 16."
    [advice] = recommended(*SITUATIONS, n_workers=4).advice
    assert (advice.basis.kind, advice.basis.n_workers) == ("numeric", 1)
    assert advice.details[-1] == "The searches had 1 worker; the order may differ with 4."
    assert recommended(record(), curves=True).advice[0].basis.kind == "numeric"


@pytest.mark.parametrize(
    ("asked", "kinds", "near"),
    [
        ({"max_epochs": 20}, ["trainings", "curves"], "epochs"),
        ({"max_epochs": 40}, ["curves", "trainings"], "epochs"),
        ({"max_epochs": 20, "n_workers": 8}, ["curves", "trainings"], "workers"),
    ],
)
def test_real_trainings_and_surrogates_each_give_advice_the_nearest_first(asked, kinds, near):
    real = record(regrets={"tpe": 0.1, "bo": 0.13, "ga": 0.2}, **TRAININGS)
    found = recommended(*SITUATIONS, real, curves=True, **asked)
    assert [advice.basis.kind for advice in found.advice] == kinds
    by_kind = {advice.basis.kind: advice for advice in found.advice}
    assert by_kind["trainings"].headline.startswith(
        "recommended by real trainings of 10 to 18 epochs: tpe; after 20 trainings it is among the best with "
        "probability 95%, expected loss below 0.001 (16 tasks of 13 units)"
    )
    assert by_kind["curves"].headline.startswith("recommended by surrogate learning curves of 52 epochs: bo; after 20")
    assert "(17 tasks)" in by_kind["curves"].headline
    assert found.strategy == found.advice[0].strategy
    assert found.summary.startswith("The two disagree: ")
    assert "real trainings of 10 to 18 epochs favour tpe (bo: expected loss 0.030)" in found.summary
    assert "surrogate learning curves of 52 epochs favour bo (tpe: expected loss 0.200)" in found.summary
    assert found.summary.endswith(f"The first are nearer to yours in the number of {near}.")
    same = recommended(*SITUATIONS, record(**TRAININGS), curves=True, **asked)
    assert same.summary == "Both recommend bo."


@pytest.mark.parametrize(
    ("recorded", "asked", "note"),
    [
        (True, True, "The spaces of these tasks have conditional hyperparameters too."),
        (True, False, "The spaces of these tasks have conditional hyperparameters; yours has none, so the order may"),
        (False, True, "The spaces of these tasks lack conditional hyperparameters; yours has some, so the order may"),
        (False, False, ""),
    ],
)
def test_it_says_whether_the_advice_rests_on_spaces_with_conditions(recorded, asked, note):
    [advice] = recommended(record(conditional=recorded), conditional=asked).advice
    found = [detail for detail in advice.details if "conditional" in detail]
    assert len(found) == bool(note)
    assert all(detail.startswith(note) for detail in found)


def test_a_kind_of_space_without_records_says_so():
    found = recommended(record(), kind="mixed")
    assert (found.strategy, found.advice) == ("auto", ())
    assert found.summary == "nothing recorded on mixed spaces: use auto"


def test_the_file_of_the_package_knows_every_kind_of_space_and_recommends_only_our_own():
    records = standing()
    assert {record.kind for record in records} == {"numeric", "mixed", "discrete", "curves", "trainings"}
    assert {record.n_workers for record in records if record.kind == "curves"} == {1, 4}
    assert {record.n_workers for record in records if record.kind != "curves"} == {1}
    for record in records:
        assert set(record.chances) == set(record.losses) == set(record.regrets)
        assert {name.split("+")[0] for name in record.ours} <= set(STRATEGIES)
        assert list(record.regrets.values()) == sorted(record.regrets.values())
        assert (max(record.epochs) > 1) == (record.kind in ("curves", "trainings"))
        assert record.conditional == (record.kind == "trainings")


def select(*arguments, code=0) -> str:
    out, err = command("select", *arguments, code=code)
    return out if code == 0 else err


def test_the_command_for_a_space_and_for_a_task_of_ones_own(tmp_path):
    file = tmp_path / "space.yaml"
    file.write_text("x: {float: [-5, 5]}\nn: {choice: [a, b, c]}\n")
    (tmp_path / "mine.py").write_text("def loss(config):\n    return config['x'] ** 2\n")
    out = select("--space", file, "--trials", 60, "--epochs", 9)
    assert "2 hyperparameters, a mixed space; 60 full trainings of 9 epochs, with learning curves" in out
    found = recommend(standing(), "mixed", 60, curves=True, max_epochs=9)
    assert [advice.basis.kind for advice in found.advice] == ["trainings", "curves"]
    for advice in found.advice:
        assert advice.headline in out
        assert advice.records[0].text in out
    assert found.summary in out
    assert "auto here: bo" in out
    assert "configs are compared after 3 epochs" in out
    file.write_text("x: {float: [-5, 5]}\nn: {choice: [a, b, c]}\ny: {float: [0, 1], when: {n: a}}\n")
    out = select("--task", f"{tmp_path}/mine.py:loss", "--space", file, "--trials", 60, "--workers", 4)
    [advice] = recommend(standing(), "mixed", 60, n_workers=4).advice
    assert "a mixed space with conditions; 60 full trainings; 4 workers" in out
    assert advice.headline in out
    assert "The searches had 1 worker; the order may differ with 4." in out
    assert "The spaces of these tasks lack conditional hyperparameters; yours has some" in out


def test_the_help_says_what_is_printed():
    text = " ".join(select("--help").split())
    assert "the probability that the strategy is among the best, the expected loss of following the advice" in text
    assert "and the number of tasks that it rests on" in text


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
