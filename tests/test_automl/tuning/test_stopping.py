"""When a search ends: patience, certainty, and both after a kill."""

import math

import numpy as np
import pytest
from searches import BOWL, SPACE, Kill, StopsBad, bowl, facts, killed_after, loss, sinking

import automl
from automl.study.trial import TellEntry


def since_best(result) -> int:
    """Epochs of the budget that were told after the outcome that made the best trial what it is."""
    told = [entry.outcome for entry in result.study.log if isinstance(entry, TellEntry)]
    last = max(i for i, outcome in enumerate(told) if outcome.proposal.trial == result.best.number)
    reached: dict[int, int] = {}
    spent = []
    for outcome in told:
        epochs = len(outcome.losses) if outcome.stopped else outcome.proposal.epochs
        spent.append(epochs - reached.get(outcome.proposal.trial, 0))
        reached[outcome.proposal.trial] = epochs
    return sum(spent[last + 1 :])


def test_patience_ends_a_search_that_finds_nothing_better():
    result = automl.tune(loss, SPACE, strategy="random", n_trials=500, patience=6)
    assert result.stop_reason == "no better trial within the epochs of 6 full trainings"
    assert len(result.trials) == result.best.number + 7


@pytest.mark.parametrize("strategy", ["random+asha", StopsBad])
def test_patience_is_counted_in_epochs_so_that_short_trials_are_not_held_against_a_strategy(strategy):
    result = automl.tune(sinking, BOWL, strategy=strategy, n_trials=500, max_epochs=9, patience=4)
    assert result.stop_reason == "no better trial within the epochs of 4 full trainings"
    assert 36 <= since_best(result) < 36 + 9
    assert len(result.trials) > result.best.number + 5  # most of them short


def test_patience_waits_for_the_first_success_and_is_spent_by_failures_after_it():
    def seldom(config):
        return loss(config) if config["x"] < -2 else math.nan

    result = automl.tune(seldom, SPACE, strategy="random", n_trials=60, seed=2, patience=2)
    assert [trial.state for trial in result.trials] == ["failed"] * 7 + ["complete"] * 2 + ["failed"] * 2
    assert result.best.number == 8
    assert result.stop_reason == "no better trial within the epochs of 2 full trainings"


@pytest.mark.parametrize(("within", "noise", "seed"), [(0.02, 0.01, 0), ("noise", 0.03, 1)])
def test_a_search_ends_when_the_model_is_sure_that_nothing_is_better(within, noise, seed):
    def noisy(config, seed):
        return bowl(config) + noise * np.random.default_rng(seed).normal()

    result = automl.tune(noisy, BOWL, strategy="bo", n_trials=100, seed=seed, sure_within=within)
    start, _, end = result.stop_reason.partition(", within ")
    assert start.startswith("sure that no config is better than the best by more than ")
    known = float(end.removeprefix("the noise of a training, "))
    assert known == (within if within != "noise" else pytest.approx(noise, rel=0.6))
    assert bowl(result.best_config) <= float(start.split()[-1]) <= known
    assert 8 < len(result.trials) < 100


def test_with_early_stopping_too():
    result = automl.tune(sinking, BOWL, strategy="bo+asha", n_trials=30, max_epochs=9, sure_within=0.02)
    assert "sure that no config" in result.stop_reason
    assert bowl(result.best_config) <= 0.02
    assert result.best.epochs == 9


def test_without_being_asked_nobody_is_sure():
    assert automl.tune(bowl, BOWL, strategy="bo", n_trials=20).stop_reason == "budget spent"


RULES = [{"strategy": "random+asha", "patience": 3}, {"strategy": "bo", "sure_within": 0.03}]


@pytest.mark.parametrize("options", RULES, ids=["patience", "sure"])
def test_a_killed_run_ends_by_its_rule_where_the_uninterrupted_one_does(tmp_path, tune_watched, options):
    """Killed early, late, and between the outcome that ends it and its end; and where it had ended already."""
    options = {"n_trials": 60, "max_epochs": 9, **options}
    events = []
    straight = tune_watched(sinking, BOWL, study=tmp_path / "0", watch=events.append, **options)
    assert straight.stop_reason != "budget spent"
    for n in (9, len(events) - 20, len(events)):
        with pytest.raises(Kill):
            tune_watched(sinking, BOWL, study=tmp_path / f"{n}", watch=killed_after(n), **options)
    for folder in tmp_path.iterdir():
        resumed = automl.tune(sinking, BOWL, study=folder, resume=True, **options)
        assert facts(resumed) == facts(straight)
        assert resumed.stop_reason == straight.stop_reason


def test_a_run_that_ended_by_its_rule_goes_on_under_a_milder_one(tmp_path):
    options = {"strategy": "random", "n_trials": 500, "study": tmp_path / "run"}
    n_before = len(automl.tune(loss, SPACE, patience=3, **options).trials)
    result = automl.tune(loss, SPACE, patience=8, resume=True, **options)
    assert len(result.trials) > n_before
    assert facts(result) == facts(automl.tune(loss, SPACE, strategy="random", n_trials=500, patience=8))


def test_a_run_that_gave_up_goes_on_when_it_is_resumed(tmp_path):
    options = {"strategy": "random", "n_trials": 25, "study": tmp_path / "run"}
    with pytest.warns(UserWarning, match="the first 10 trials all failed"):
        automl.tune(lambda config: math.nan, SPACE, **options)
    with pytest.warns(UserWarning, match="the first 20 trials all failed"):
        again = automl.tune(lambda config: math.nan, SPACE, resume=True, **options)
    assert (len(again.trials), again.stop_reason) == (20, "the first 20 trials all failed")
    mended = automl.tune(lambda config: loss(config), SPACE, resume=True, **options)
    assert [trial.state for trial in mended.trials] == ["failed"] * 20 + ["complete"] * 5
