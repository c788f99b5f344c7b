"""Studies on disk: killed, interrupted and extended runs, and what they leave there."""

import copy
import os
import pickle

import pytest
from processes import invoke
from searches import FINITE, SPACE, Halving, Kill, curve, facts, killed_after, loss
from sqlalchemy.engine import URL

import automl
from automl.errors import UserError
from automl.study.run_folder import TrialFolders
from automl.study.trial import AskEntry, TellEntry, Trial, incumbent
from automl.tuning.retention import KEPT_AFTER_SEARCH, KEPT_CHECKPOINTS, Retention
from strategies.base import Proposal

SMALL = {
    "optimizer": {"constant": "adamw"}, "weight_decay": {"constant": 0.01}, "batch_size": {"constant": 64},
    "schedule": {"constant": "constant"}, "warmup": {"constant": 0.0}, "dropout": {"constant": 0.0},
    "width": {"choice": [8, 16]}, "layers": {"constant": 2}, "kernel_size": {"constant": 3},
    "norm": {"constant": "batch"},
}  # fmt: skip


@pytest.mark.parametrize("n_events", [1, 4, 9, 20, 33])
@pytest.mark.parametrize("strategy", ["tpe", "cmaes", Halving])
def test_a_killed_run_resumes_and_ends_where_the_uninterrupted_one_does(tmp_path, tune_watched, strategy, n_events):
    options = {"strategy": strategy, "n_trials": 12, "max_epochs": 3}
    with pytest.raises(Kill):
        tune_watched(curve, SPACE, study=tmp_path / "run", watch=killed_after(n_events), **options)
    resumed = automl.tune(curve, SPACE, study=tmp_path / "run", resume=True, **options)
    straight = automl.tune(curve, SPACE, **options)
    assert facts(resumed) == facts(straight)
    assert [type(entry) for entry in resumed.study.log] == [type(entry) for entry in straight.study.log]


def test_a_repeated_call_continues_the_run_if_there_is_one(tmp_path, tune_watched):
    options = {"strategy": "tpe", "n_trials": 8, "max_epochs": 3, "study": tmp_path / "run", "resume": "if-exists"}
    with pytest.raises(Kill):
        tune_watched(curve, SPACE, watch=killed_after(9), start={"x": 0.5}, **options)
    resumed = [automl.tune(curve, SPACE, start={"x": 0.5}, **options) for _ in range(2)]
    straight = automl.tune(curve, SPACE, start={"x": 0.5}, **options | {"study": None, "resume": False})
    assert facts(resumed[0]) == facts(resumed[1]) == facts(straight)
    with pytest.raises(UserError, match="resume must be True, False or 'if-exists', got 'yes'"):
        automl.tune(curve, SPACE, **options | {"resume": "yes"})


def test_an_interrupted_step_of_a_paused_trial_starts_again_from_its_checkpoint(tmp_path, tune_watched):
    options = {"strategy": Halving, "n_trials": 3, "max_epochs": 6}

    def kill_in_second_step(tuner):
        if any(r.proposal.epochs == 6 and len(r.losses) >= 4 for r in tuner.running.values()):
            raise Kill

    with pytest.raises(Kill):
        tune_watched("digits-cnn", study=tmp_path / "run", watch=kill_in_second_step, **options)
    resumed = automl.tune("digits-cnn", study=tmp_path / "run", resume=True, **options)
    assert facts(resumed) == facts(automl.tune("digits-cnn", **options))


def test_a_kill_between_an_outcome_and_its_commit_doubles_no_epoch(tmp_path, monkeypatch):
    """The snapshot of the state before the step is still there, and must not be taken for the state to go on from."""
    options = {"strategy": Halving, "n_trials": 3, "max_epochs": 6}
    commit, calls = TrialFolders.commit, []

    def dies_once(self, number):
        calls.append(number)
        if len(calls) == 5:
            raise Kill
        commit(self, number)

    monkeypatch.setattr(TrialFolders, "commit", dies_once)
    with pytest.raises(Kill):
        automl.tune("digits-cnn", study=tmp_path / "run", **options)
    resumed = automl.tune("digits-cnn", study=tmp_path / "run", resume=True, **options)
    assert facts(resumed) == facts(automl.tune("digits-cnn", **options))


def test_several_workers_train_in_a_study_that_is_kept(tmp_path):
    folder = tmp_path / "run"
    automl.tune(curve, SPACE, strategy="random", n_trials=4, n_workers=2, study=folder)
    result = automl.tune(curve, SPACE, strategy="random", n_trials=6, n_workers=2, study=folder, resume=True)
    assert len(result.trials) == 6


def test_two_processes_cannot_run_in_one_folder(tmp_path):
    def intrude(result, trial):
        automl.tune(loss, SPACE, study=tmp_path / "run", strategy="random", n_trials=3, resume=True)

    with pytest.raises(UserError, match="is still running; wait for it to end or stop it"):
        automl.tune(loss, SPACE, study=tmp_path / "run", strategy="random", n_trials=3, callbacks=[intrude])


def test_a_mistake_leaves_no_folder_behind(tmp_path):
    with pytest.raises(UserError, match="unknown strategy"):
        automl.tune(loss, SPACE, study=tmp_path / "run", strategy="bp")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("name", ["what?", "50%", "a%3Fb", "#1", "{x}", "x?mode=memory&y"])
def test_a_folder_may_have_any_name(name, tmp_path):
    folder = tmp_path / name / "run"
    automl.tune(loss, SPACE, study=folder, strategy="random", n_trials=2)
    result = automl.tune(loss, SPACE, study=folder, strategy="random", n_trials=3, resume=True)
    assert len(result.trials) == 3
    assert f"{folder}: ended" in invoke("watch", folder, "--once")
    assert "report.html" in invoke("report", folder)
    assert {path.name for path in tmp_path.iterdir()} == {name}


def test_before_sqlalchemy_2_1_some_names_are_not_possible(tmp_path, monkeypatch):
    monkeypatch.setattr(
        "sqlalchemy.make_url", lambda url: URL.create("sqlite", database=url.removeprefix("sqlite:///"))
    )
    with pytest.raises(UserError, match=r"cannot open a database in a folder with one of .* choose another one with"):
        automl.tune(loss, SPACE, study=tmp_path / "what?", n_trials=1)
    assert list(tmp_path.iterdir()) == []


def test_a_function_may_use_a_folder_of_its_own_without_a_study():
    def writes(config, folder):
        (folder / "notes").write_text("x")
        return 0.0

    assert [t.state for t in automl.tune(writes, SPACE, strategy="random", n_trials=2).trials] == ["complete"] * 2


@pytest.mark.parametrize("n_workers", [1, 2])
def test_a_function_may_change_the_working_directory(tmp_path, monkeypatch, n_workers):
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path)

    def moves(config, folder):
        (folder / "notes").write_text("x")
        os.chdir(tmp_path / "elsewhere")
        return config["x"]

    options = {"strategy": "random", "n_workers": n_workers, "study": "run"}
    result = automl.tune(moves, {"x": {"float": [0, 1]}}, n_trials=2 * n_workers, **options)
    assert [trial.error for trial in result.trials] == [None] * 2 * n_workers
    assert (tmp_path / "run" / "summary.json").exists()
    assert not any((tmp_path / "elsewhere").iterdir())


def test_a_study_may_be_in_the_home_directory(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    automl.tune(curve, SPACE, strategy="random", n_trials=1, study="~/run")
    assert (tmp_path / "run" / "summary.json").exists()


def test_a_task_takes_another_space_and_says_itself_what_is_better():
    result = automl.tune("digits-cnn", {"lr": {"constant": 0.01}, **SMALL}, strategy="random", n_trials=1, max_epochs=1)
    assert result.trials[0].config["lr"] == 0.01
    with pytest.raises(UserError, match="maximize is for functions and commands"):
        automl.tune("digits-cnn", maximize=True)


def test_a_finished_run_can_be_extended(tmp_path):
    automl.tune(curve, SPACE, study=tmp_path / "run", strategy="ga", n_trials=8)
    extended = automl.tune(curve, SPACE, study=tmp_path / "run", strategy="ga", n_trials=15, resume=True)
    assert facts(extended) == facts(automl.tune(curve, SPACE, strategy="ga", n_trials=15))


def test_a_trial_that_was_paused_when_the_run_ended_can_go_on_in_an_extension(tmp_path):
    automl.tune("digits-cnn", study=tmp_path / "run", strategy=Halving, n_trials=2, max_epochs=6)
    options = {"strategy": Halving, "n_trials": 5, "max_epochs": 6}
    extended = automl.tune("digits-cnn", study=tmp_path / "run", resume=True, **options)
    again = automl.tune("digits-cnn", study=tmp_path / "run", resume=True, **options)
    assert facts(extended) == facts(again)
    assert all(t.losses == s.losses for t, s in zip(extended.trials, again.trials, strict=True))


def test_a_resumed_run_keeps_what_it_was_started_with(tmp_path):
    automl.tune(loss, SPACE, study=tmp_path / "run", strategy="random", n_trials=2)
    with pytest.raises(UserError, match="has seed = 0, not 1; a resumed run keeps it"):
        automl.tune(loss, SPACE, study=tmp_path / "run", strategy="random", seed=1, resume=True)
    with pytest.raises(UserError, match="has space = "):
        automl.tune(loss, FINITE, study=tmp_path / "run", strategy="random", resume=True)
    with pytest.raises(UserError, match="has maximize = False, not True"):
        automl.tune(loss, SPACE, study=tmp_path / "run", strategy="random", maximize=True, resume=True)


def test_a_resumed_run_keeps_its_budget(tmp_path):
    options = {"strategy": "random", "study": tmp_path / "run"}
    automl.tune(loss, SPACE, n_trials=2, **options)
    assert len(automl.tune(loss, SPACE, resume=True, **options).trials) == 2


def test_a_resumed_run_keeps_its_time_limit_and_its_target(tmp_path):
    options = {"strategy": "random", "study": tmp_path / "run"}
    first = automl.tune(loss, SPACE, time_limit=1.0, **options)
    assert automl.tune(loss, SPACE, resume=True, **options).stop_reason == first.stop_reason == "time limit of 1 s"
    reached = automl.tune(loss, SPACE, n_trials=10_000, target=1e9, resume=True, **options)
    assert reached.stop_reason.startswith("target")
    assert automl.tune(loss, SPACE, resume=True, **options).stop_reason == reached.stop_reason


def test_a_folder_with_something_in_it_is_refused(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(UserError, match="is not empty"):
        automl.tune(loss, SPACE, study=tmp_path, n_trials=1)
    assert [p.name for p in tmp_path.iterdir()] == ["notes.txt"]
    with pytest.raises(UserError, match=r"nothing to resume: there is no study\.db"):
        automl.tune(loss, SPACE, study=tmp_path, n_trials=1, resume=True)


def test_the_result_of_a_study_on_disk_may_be_pickled_and_copied(tmp_path):
    result = automl.tune(loss, SPACE, strategy="random", n_trials=3, study=tmp_path / "run")
    for again in (pickle.loads(pickle.dumps(result)), copy.deepcopy(result)):
        assert facts(again) == facts(result)
        assert again.best_config == result.best_config


def test_without_a_folder_nothing_is_written(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    automl.tune("digits-cnn", strategy="random", n_trials=1, max_epochs=1)
    assert list(tmp_path.iterdir()) == []


def test_only_the_checkpoints_of_the_best_trials_are_kept(tmp_path):
    trials, numbers = tmp_path / "run" / "trials", []
    result = automl.tune(
        "digits-cnn", strategy="random", n_trials=13, max_epochs=1, study=tmp_path / "run",
        callbacks=[lambda result, trial: numbers.append(sum(place.is_dir() for place in trials.iterdir()))],
    )  # fmt: skip
    assert max(numbers) == KEPT_CHECKPOINTS
    kept = {int(place.name) for place in trials.iterdir()}
    assert kept == {t.number for t in sorted(result.trials, key=lambda t: (t.loss, t.number))[:KEPT_AFTER_SEARCH]}


def test_a_trial_that_was_tried_again_takes_the_place_of_one_checkpoint(tmp_path):
    retention = Retention(TrialFolders(tmp_path), keeps_all=False)
    trials = [Trial(n, {}, losses=[float(n)], state="complete") for n in range(KEPT_CHECKPOINTS)]
    for trial in (trials[0], *trials):
        (tmp_path / f"{trial.number:04d}").mkdir(exist_ok=True)
        retention.told(trial, None, set)
    assert len(list(tmp_path.iterdir())) == KEPT_CHECKPOINTS


def test_the_checkpoint_of_the_best_trial_is_kept(tmp_path):
    retention = Retention(TrialFolders(tmp_path), keeps_all=False)
    losses = [[0.9] * 10, *([0.1 * n] for n in range(1, 9))]
    trials = [Trial(n, {}, losses=of, state="stopped", proposals=[Proposal(n, {}, 10)]) for n, of in enumerate(losses)]
    for trial in trials:
        (tmp_path / f"{trial.number:04d}").mkdir()
        retention.told(trial, None, set)
    retention.keep_best(1)
    best = incumbent(trials)
    assert [place.name for place in tmp_path.iterdir()] == [f"{best.number:04d}"] == ["0000"]


def test_checkpoints_that_will_not_be_needed_go_and_a_raised_budget_trains_anew_what_it_misses(tmp_path, tune_watched):
    trials, options = tmp_path / "run" / "trials", {"strategy": "random+asha", "max_epochs": 6}
    gone, abandoned = set(), set()

    def watch(tuner):
        paused = {number for number, trial in tuner.study.trials.items() if trial.state == "paused"}
        gone.update(number for number in paused if not (trials / f"{number:04d}").exists())
        best = {tuner.study.best.number} if tuner.study.best else set()
        abandoned.update(tuner.strategy.abandoned())
        assert tuner.strategy.abandoned() - best <= gone & paused <= abandoned

    tune_watched("digits-cnn", study=tmp_path / "run", n_trials=2, watch=watch, **options)
    assert gone
    more = automl.tune("digits-cnn", study=tmp_path / "run", n_trials=5, resume=True, **options)
    assert any(more.study.trials[number].epochs > 1 for number in gone)
    assert facts(more) == facts(automl.tune("digits-cnn", n_trials=5, **options))


def test_the_log_holds_every_ask_before_its_tell():
    log = automl.tune(loss, SPACE, strategy="random", n_trials=5).study.log
    asked = [e.proposal.trial for e in log if isinstance(e, AskEntry)]
    told = [e.outcome.proposal.trial for e in log if isinstance(e, TellEntry)]
    assert asked == told == [0, 1, 2, 3, 4]
