"""The study as read by Optuna and others, and what survives a kill."""

import multiprocessing
import os
import signal

import optuna
import pytest

import automl
from automl.errors import UserError
from automl.space.parse import load_space
from automl.study.sqlite import sqlite_url
from automl.study.storage import Store
from automl.study.study import Study
from automl.study.trial import AskEntry, TellEntry, incumbent
from strategies.base import Outcome, Proposal

FORM = {
    "lr": {"float": [1e-5, 0.1], "log": True},
    "n": {"int": [1, 9]},
    "kind": {"choice": ["a", "b"]},
    "flag": {"choice": [True, False], "when": {"kind": "b"}},
    "width": {"ordinal": [16, 32]},
    "one": {"constant": 1},
}
SPACE = load_space(FORM)
CONFIG = {"lr": 1e-3, "n": 3, "kind": "b", "flag": True, "width": 16, "one": 1}


@pytest.fixture
def url(tmp_path) -> str:
    return sqlite_url(tmp_path / "study.db")


def make(url: str, max_epochs: int = 4) -> Study:
    return Study(SPACE, max_epochs, Store.create(url, SPACE, {"task": "t"}))


def reopen(url: str, max_epochs: int = 4) -> Study:
    return Study(SPACE, max_epochs, Store.open(url, SPACE))


def outcome(proposal, *losses, **changes) -> Outcome:
    return Outcome(**{"proposal": proposal, "losses": losses, "seconds": 1.5} | changes)


@pytest.mark.slow
def test_optunas_own_tools_read_a_run(tmp_path):
    def objective(config):
        if config["n"] >= 5 and config["kind"] == "b":
            raise OSError("disk gone")
        for epoch in range(3):
            yield {"loss": config["n"] + 1 / (1 + epoch), "accuracy": epoch}

    result = automl.tune(objective, FORM, strategy="random", n_trials=20, max_epochs=3, study=tmp_path / "run")
    study = optuna.load_study(study_name="automl", storage=sqlite_url(tmp_path / "run" / "study.db"))
    assert study.best_value == result.best_loss
    for trial, ours in zip(study.trials, result.trials, strict=True):
        assert trial.params == ours.config
        assert trial.intermediate_values == {i + 1: loss for i, loss in enumerate(ours.losses)}
        assert trial.state.name == {"complete": "COMPLETE", "failed": "FAIL"}[ours.state]
        assert trial.user_attrs["seconds"] == round(ours.seconds, 3)
        if ours.state == "failed":
            assert trial.user_attrs["error"] == "OSError: disk gone"
        else:
            assert trial.user_attrs["metric.accuracy"] == 2
            assert 0 <= trial.user_attrs["strategy_seconds"] <= round(ours.strategy_seconds, 4)  # ours with the tell
    assert {t.state.name for t in study.trials} == {"COMPLETE", "FAIL"}
    importances = optuna.importance.get_param_importances(study, params=["lr", "n"])
    assert importances["n"] > importances["lr"]
    optuna.visualization.plot_slice(study, params=["lr", "n"])


def test_the_log_comes_back_as_it_was(url):
    study = make(url)
    first = Proposal(0, CONFIG, 2, {"from": "default", "parents": [1, 2], "score": 0.1 + 0.2})
    second = Proposal(1, {**CONFIG, "lr": 0.1 / 3}, 4, {})
    study.asked(first, 0.01)
    study.asked(second, 0.02)
    study.told(outcome(first, 0.5, 0.1 + 0.2, metrics={"accuracy": (0.5, 0.7)}), 0.001, 10.0)
    study.told(outcome(second, 0.3, error="nan at epoch 2"), 0.002, 11.0)
    study.asked(Proposal(0, CONFIG, 4, {"from": "promoted"}), 0.03)
    again = reopen(url)
    assert again.log == study.log
    assert again.trials == study.trials
    assert [p.trial for p in again.pending] == [0]
    assert again.clock == 11.0


def test_a_paused_trial_is_running_for_optuna_and_pruned_when_the_run_ends(url):
    study = make(url)
    proposal = Proposal(0, CONFIG, 2, {})
    study.asked(proposal, 0.0)
    study.told(outcome(proposal, 0.5, 0.4), 0.0, 1.0)
    assert study.trials[0].state == "paused"

    def state():
        return optuna.load_study(study_name="automl", storage=url).trials[0].state.name

    assert state() == "RUNNING"
    study.close()
    assert state() == "PRUNED"
    again = reopen(url)
    again.asked(Proposal(0, CONFIG, 4, {}), 0.0)  # an extension of the run goes on with it
    again.told(outcome(Proposal(0, CONFIG, 4, {}), 0.5, 0.4, 0.3, 0.2), 0.0, 2.0)
    assert reopen(url).trials[0].losses == [0.5, 0.4, 0.3, 0.2]
    assert reopen(url).trials[0].state == "complete"


def _write_until_killed(url: str, pipe) -> None:
    study = make(url)
    for number in range(10_000):
        proposal = Proposal(number, CONFIG, 4, {})
        study.asked(proposal, 0.0)
        study.told(outcome(proposal, 0.4, 0.3, 0.2, 0.1), 0.0, float(number))
        pipe.send(number)


@pytest.mark.slow
def test_a_kill_between_any_two_writes_loses_no_committed_entry(url):
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    writer = context.Process(target=_write_until_killed, args=(url, theirs))
    writer.start()
    theirs.close()
    while ours.recv() < 5:
        pass
    os.kill(writer.pid, signal.SIGKILL)
    writer.join()
    last = 5
    while ours.poll():
        try:
            last = ours.recv()
        except EOFError:
            break
    study = reopen(url)
    assert sum(isinstance(entry, TellEntry) for entry in study.log) >= last + 1
    assert sum(isinstance(entry, AskEntry) for entry in study.log) - sum(
        isinstance(e, TellEntry) for e in study.log
    ) in (0, 1)
    states = [t.state.name for t in optuna.load_study(study_name="automl", storage=url).trials]
    assert set(states[:-1]) == {"COMPLETE"}


def test_the_incumbent(url):
    study = make(url)
    assert study.best is None
    told = [(0, 2, (0.3, 0.1)), (1, 4, (0.9, 0.8, 0.7, 0.6)), (2, 4, (0.9, 0.8, 0.7, 0.5))]
    bests = []
    for number, epochs, losses in told:
        proposal = Proposal(number, CONFIG, epochs, {})
        study.asked(proposal, 0.0)
        study.told(outcome(proposal, *losses), 0.0, 0.0)
        bests.append(study.best.number)
    assert bests == [0, 1, 2]  # a full training counts more than a shorter one with a lower loss
    assert incumbent([]) is None
    assert incumbent(study.trials.values()) is study.best


def test_a_config_that_was_trained_again_is_judged_by_the_mean(url):
    study = make(url)
    bests = []
    for number, (loss, repeats) in enumerate([(0.1, None), (0.2, None), (0.4, 0), (0.2, 1), (0.05, None)]):
        proposal = Proposal(number, CONFIG, 4, {} if repeats is None else {"repeats": repeats})
        study.asked(proposal, 0.0)
        study.told(outcome(proposal, loss), 0.0, 0.0)
        bests.append(study.best.number)
    assert bests == [0, 0, 2, 3, 3]  # a single loss, however low, does not beat the mean of two
    assert study.trials[2].mean() == pytest.approx(0.25)
    assert study.trials[2].loss == 0.4
    assert incumbent(reopen(url).trials.values()).number == 3


def test_a_metric_that_is_called_loss_chooses_nothing_and_missing_metrics_count_for_nothing():
    study = Study(SPACE, 4)
    for number, (loss, metrics) in enumerate([(0.1, {"loss": 9.0, "n": 5.0}), (0.2, {"loss": 1.0}), (0.3, {})]):
        proposal = Proposal(number, CONFIG, 4, {"repeats": 0} if number == 2 else {})
        study.asked(proposal, 0.0)
        study.told(outcome(proposal, loss, metrics={name: (value,) for name, value in metrics.items()}), 0.0, 0.0)
    twice = study.trials[2]
    assert study.best is twice
    assert twice.mean() == pytest.approx(0.2)
    assert (twice.mean("loss"), twice.mean("n"), study.trials[1].mean("loss")) == (9.0, 5.0, 1.0)
    assert twice.mean("other") == pytest.approx(0.2)


def test_what_is_no_run_is_one_line(tmp_path, url):
    with pytest.raises(UserError, match="there is no run in sqlite"):
        Store.settings(url)
    (tmp_path / "text.db").write_text("no database, but long enough to be looked at" * 100)
    with pytest.raises(UserError, match="cannot open the storage") as error:
        Store.settings(sqlite_url(tmp_path / "text.db"))
    assert "\n" not in str(error.value)
    make(url)
    with pytest.raises(UserError, match="already holds a run"):
        make(url)


def test_a_password_in_a_url_is_not_shown():
    with pytest.raises(UserError) as error:
        Store.settings("postgresql://me:secret@localhost:1/none")
    assert "secret" not in str(error.value)
