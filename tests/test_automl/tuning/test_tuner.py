"""The loop: budgets, stopping, pause and resume, failures, reproducibility."""

import asyncio
import math
import os
import re
import tempfile
import time
from functools import partial

import numpy as np
import optuna
import pytest
from searches import BOWL, FINITE, SPACE, Halving, StopsBad, bowl, curve, facts, loss, sinking

import automl
from automl.analysis.formatting import failure
from automl.analysis.sentences import headline
from automl.errors import UserError
from automl.runs.settings import load_from_file
from automl.study.snapshot import read_run
from automl.study.sqlite import sqlite_url
from automl.tasks.function import as_task
from automl.tuning.stopping import GIVE_UP_AFTER
from automl.tuning.trainings import training_seed
from strategies.random_search import RandomSearch


def test_a_function_and_a_space_are_enough():
    result = automl.tune(loss, SPACE, strategy="tpe", n_trials=20)
    assert len(result.trials) == 20
    assert result.best_loss == min(loss(t.config) for t in result.trials)
    assert result.trials[0].config == {"x": 0.0, "n": 5}
    assert result.stop_reason == "budget spent"
    frame = result.to_frame()
    assert list(frame["trial"]) == list(range(20))
    assert {"state", "loss", "config.x", "config.n", "strategy_seconds"} <= set(frame.columns)


def test_a_score_is_maximised():
    result = automl.tune(lambda config: -loss(config), SPACE, n_trials=8, strategy="random", maximize=True)
    assert result.best.value("value") == -result.best_loss == max(-loss(t.config) for t in result.trials)


def test_numbers_of_numpy_are_as_good_as_pythons(tmp_path):
    given = {"seed": np.int64(3), "n_trials": np.int64(2), "n_workers": np.int64(1), "max_epochs": np.int64(4)}
    result = automl.tune(curve, SPACE, strategy="random", study=tmp_path / "run", **given)
    assert facts(result) == facts(automl.tune(curve, SPACE, strategy="random", n_trials=2, seed=3, max_epochs=4))


def test_every_trial_trains_with_its_own_seed():
    seeds = []
    automl.tune(lambda config, seed: seeds.append(seed) or 0.0, SPACE, strategy="random", n_trials=5, seed=3)
    assert seeds == [training_seed(3, k) for k in range(5)]
    assert len(set(seeds)) == 5


def test_generators_are_cut_at_max_epochs():
    result = automl.tune(curve, SPACE, strategy="random", n_trials=3, max_epochs=7)
    assert all(t.metrics["epoch"] == [1, 2, 3, 4, 5, 6, 7] for t in result.trials)
    assert all(t.epochs == 7 for t in result.trials)


def test_a_generator_of_unknown_length_runs_to_its_end():
    result = automl.tune(lambda config: iter_losses(), SPACE, strategy="random", n_trials=2)
    assert result.trials[0].losses == [3.0, 2.0, 1.0]


def iter_losses(config=None):
    yield from (3.0, 2.0, 1.0)


def test_what_a_partial_function_has_set_is_kept():
    def given(config, seed, folder, epochs):
        return {"loss": 0.0, "seed": seed, "known": folder == "data", "epochs": epochs}

    own = partial(given, seed=7, folder="data", epochs=3)
    (trial,) = automl.tune(own, SPACE, strategy="random", n_trials=1, max_epochs=5).trials
    assert trial.metrics == {"seed": [7.0], "known": [1.0], "epochs": [5.0]}


def counted(config, epochs=12):
    for epoch in range(epochs):
        yield {"loss": 1.0 / (epoch + 1), "epochs": epochs}


@pytest.mark.parametrize(("max_epochs", "length"), [(None, 12), (5, 5)])
def test_the_default_of_epochs_is_the_length_of_a_training_unless_another_is_given(max_epochs, length):
    result = automl.tune(counted, SPACE, strategy="random", n_trials=2, max_epochs=max_epochs)
    assert result.study.max_epochs == length
    assert [trial.metrics["epochs"] for trial in result.trials] == [[length] * length] * 2

    lengths = []
    automl.tune(
        lambda config, epochs=12: lengths.append(epochs) or 0.0, SPACE, strategy="random", n_trials=1,
        max_epochs=max_epochs,
    )  # fmt: skip
    assert lengths == [length]


def test_a_length_that_is_known_only_to_the_function_is_left_to_it():
    def loops(config, epochs=None):
        yield from [1.0] * (epochs or 4)

    assert [len(t.losses) for t in automl.tune(loops, SPACE, strategy="random", n_trials=1).trials] == [4]
    task = automl.as_task(loops, SPACE)
    assert [len(t.losses) for t in automl.tune(task, strategy="random", n_trials=1, max_epochs=3).trials] == [3]


def test_early_stopping_rests_on_the_default_of_epochs():
    def slow(config, epochs=9):
        yield from (config["x"] ** 2 + 1 / epoch for epoch in range(1, epochs + 1))

    result = automl.tune(slow, SPACE, strategy="random+asha", n_trials=12)
    assert result.study.max_epochs == 9
    assert {"stopped", "complete"} <= {trial.state for trial in result.trials}


def test_a_function_is_not_stopped_after_its_only_loss():
    result = automl.tune(loss, SPACE, strategy="random+asha", n_trials=12, max_epochs=27)
    assert [(trial.state, trial.epochs) for trial in result.trials] == [("complete", 27)] * 12


def test_a_resumed_run_keeps_the_length_that_the_function_had(tmp_path):
    options = {"strategy": "random", "study": tmp_path / "run"}
    automl.tune(counted, SPACE, n_trials=1, **options)
    result = automl.tune(counted, SPACE, n_trials=2, resume=True, **options)
    assert [len(trial.losses) for trial in result.trials] == [12, 12]
    with pytest.raises(UserError, match="has max_epochs = 12, not 5; a resumed run keeps it"):
        automl.tune(counted, SPACE, n_trials=3, resume=True, max_epochs=5, **options)


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (lambda config: math.nan, "the loss is nan at epoch 1"),
        (lambda config: math.inf, "the loss is inf at epoch 1"),
        (lambda config: 1 / 0, "ZeroDivisionError: division by zero"),
        (lambda config: "low", "must return a number, got 'low'"),
        (lambda config: {"accuracy": 1.0}, "without the key 'loss'"),
        (lambda config: [].pop(), "IndexError"),
        (lambda config: (_ for _ in ()), "the training returned no loss"),
        (lambda config: (_ for _ in ()).throw(MemoryError()), "out of memory"),
    ],
)
def test_failures_are_values_with_their_reason(bad, reason):
    result = automl.tune(lambda c: loss(c) if c["n"] % 2 else bad(c), SPACE, strategy="tpe", n_trials=20)
    failed = [t for t in result.trials if t.state == "failed"]
    assert failed
    assert all(reason in t.error and "\n" not in t.error and t.loss is None for t in failed)
    assert all((t.state == "complete") == (t.config["n"] % 2 == 1) for t in result.trials)


@pytest.mark.parametrize(
    ("given", "maximize", "rule"),
    [
        ("loss", True, "rename the score to 'value', or leave"),
        ("value", False, "rename it to 'loss', or give maximize"),
    ],
)
def test_a_result_of_the_other_direction_ends_the_run_at_the_first_trial(given, maximize, rule):
    def objective(config):
        yield {given: config["x"], "accuracy": 0.5}

    seen = []
    with pytest.raises(UserError, match=rule):
        automl.tune(objective, SPACE, maximize=maximize, n_trials=5, callbacks=[lambda *told: seen.append(told)])
    assert seen == []


class Mute(ValueError):
    """Its text raises."""

    def __str__(self):
        raise LookupError("no text")


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (Mute(), "Mute: (its message is unavailable: LookupError)"),
        (BaseException("odd"), "BaseException: odd"),
        (asyncio.CancelledError(), "CancelledError: CancelledError"),
        (GeneratorExit(), "GeneratorExit: GeneratorExit"),
        (StopIteration(), "RuntimeError: StopIteration: next() was called on an iterator that has no more items"),
    ],
)
@pytest.mark.parametrize("curve", [False, True], ids=["function", "generator"])
def test_odd_exceptions_fail_the_trial_and_leave_none_running(tmp_path, error, reason, curve):
    def fails(config):
        raise error

    def fails_later(config):
        yield 1.0
        raise error

    if curve and isinstance(error, StopIteration):
        reason = "RuntimeError: generator raised StopIteration"  # by Python itself
    objective = fails_later if curve else fails
    with pytest.warns(UserWarning, match="no trial succeeded"):
        result = automl.tune(objective, SPACE, strategy="random", n_trials=2, max_epochs=3, study=tmp_path / "run")
    assert [(trial.state, trial.error) for trial in result.trials] == [("failed", reason)] * 2
    study = optuna.load_study(study_name="automl", storage=sqlite_url(tmp_path / "run" / "study.db"))
    assert {trial.state.name for trial in study.trials} == {"FAIL"}


@pytest.mark.parametrize("n_workers", [1, 2])
def test_a_failed_trial_keeps_its_traceback(tmp_path, n_workers):
    """In the result, in the folder of the run, and in the study for whoever reads it."""
    (tmp_path / "mine.py").write_text("import json\n\n\ndef train(config):\n    return json.loads('{')\n")
    train = load_from_file(f"{tmp_path}/mine.py:train")
    options = {"strategy": "random", "n_workers": n_workers, "study": tmp_path / "run"}
    with pytest.warns(UserWarning, match=r"\(budget spent\)\. The most common reason \(2 trials\): .*JSONDecodeError"):
        failed = automl.tune(train, SPACE, n_trials=2, **options).trials[0]
    assert failed.traceback.startswith("Traceback (most recent call last):")
    assert failed.traceback.rstrip().endswith(failed.error)
    assert failure(failed) == f"mine.py, line 5: {failed.error}"  # and not the line in json
    assert (tmp_path / "run" / "logs" / "trial-0000.log").read_text() == failed.traceback
    with pytest.warns(UserWarning, match="no trial succeeded"):
        resumed = automl.tune(train, SPACE, n_trials=3, resume=True, **options)
    assert resumed.trials[0].traceback == failed.traceback
    study = optuna.load_study(study_name="automl", storage=sqlite_url(tmp_path / "run" / "study.db"))
    assert study.trials[0].user_attrs["traceback"] == failed.traceback


def test_the_curve_before_a_failure_is_kept():
    def diverges(config):
        yield 1.0
        yield 0.5
        yield math.nan
        yield 0.1

    with pytest.warns(UserWarning, match="the loss is nan at epoch 3"):
        (trial,) = automl.tune(diverges, SPACE, strategy="random", n_trials=1, max_epochs=5).trials
    assert (trial.losses, trial.state, trial.error) == ([1.0, 0.5], "failed", "the loss is nan at epoch 3")


def test_a_run_in_which_everything_fails_gives_up():
    with pytest.warns(UserWarning, match="no trial succeeded .the first 10 trials all failed"):
        result = automl.tune(lambda config: math.nan, SPACE, strategy="random", n_trials=50)
    assert len(result.trials) == GIVE_UP_AFTER
    assert result.stop_reason == "the first 10 trials all failed"
    with pytest.raises(ValueError, match=r"no trial has succeeded .*the loss is nan"):
        _ = result.best


@pytest.mark.parametrize("n_workers", [1, 2])
@pytest.mark.parametrize(
    ("returned", "reason"),
    [
        (None, "must return a number, got None"),
        ("low", "must return a number, got 'low'"),
        ({"acc": 1.0}, "without the key 'loss'"),
    ],
)
def test_what_can_never_be_a_loss_ends_the_run_at_the_first_trial(returned, reason, n_workers):
    with pytest.raises(UserError, match=reason):
        automl.tune(lambda config: returned, SPACE, strategy="random", n_trials=3, n_workers=n_workers)


def test_a_finite_space_ends_the_run():
    result = automl.tune(lambda config: config["n"], FINITE, strategy="bo", n_trials=50)
    assert len(result.trials) == 8
    assert result.stop_reason == "every config of the space was tried"


def test_target_and_time_limit_end_the_run():
    result = automl.tune(loss, SPACE, strategy="random", n_trials=500, target=6.0)
    assert result.best_loss <= 6.0
    assert result.stop_reason == "target of 6 reached"
    assert all(loss(t.config) > 6.0 for t in result.trials[:-1])
    result = automl.tune(lambda c: time.sleep(0.02) or 1.0, SPACE, strategy="random", n_trials=5000, time_limit=0.5)
    assert result.stop_reason == "time limit of 0.5 s"
    assert result.seconds >= 0.5
    assert 1 <= len(result.trials) <= 26  # each takes 0.02 s or longer


@pytest.mark.parametrize("curve", [False, True], ids=["function", "generator"])
def test_a_training_that_ends_after_the_time_limit_counts(curve):
    def late(config, epochs=2):
        yield 2.0
        time.sleep(0.7)
        yield 1.0

    objective = late if curve else lambda config: time.sleep(0.7) or 1.0
    result = automl.tune(objective, SPACE, strategy="random", n_trials=50, time_limit=0.5)
    assert [(trial.state, trial.loss) for trial in result.trials] == [("complete", 1.0)]
    assert result.stop_reason == "time limit of 0.5 s"


def test_a_time_limit_waits_for_the_first_result_of_a_task_that_asks_for_it():
    """The first two trainings fail, after the time is over."""
    inner = as_task(lambda config: time.sleep(0.1) or (1.0 if config["x"] > 0 else math.nan), {"x": {"float": [-1, 1]}})

    class Waiting(type(inner)):
        leaves_one = True

    result = automl.tune(Waiting(**vars(inner)), strategy="random", n_trials=500, time_limit=0.05, n_workers=2)
    assert [trial.state for trial in result.trials].count("complete") in (1, 2)
    assert result.stop_reason == "time limit of 0.05 s"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_trials": 0}, "n_trials must be 1 or more, got 0"),
        ({"n_workers": 0}, "n_workers must be 1 or more, got 0"),
        ({"time_limit": -1.0}, "time_limit must be above 0 seconds, got -1"),
        ({"n_trials": "3"}, "n_trials must be a whole number, got '3'"),
        ({"max_epochs": 0}, "max_epochs must be 1 or more, got 0"),
        ({"executor": "ray"}, r"executor must be Machines, such as Machines\('ray'\), or an Executor, got 'ray'"),
        (
            {"strategy": RandomSearch(automl.load_space(SPACE), seed=0)},
            "must be a name, such as 'bo', or a subclass of",
        ),
        ({"callbacks": [1]}, r"callbacks must be a list of functions, got \[1\]"),
        ({"callbacks": print}, "callbacks must be a list of functions"),
        ({"patience": 0}, "patience must be 1 or more, got 0"),
        ({"sure_within": 0}, "sure-within must be a loss above 0, or the word noise, got 0"),
        ({"sure_within": "nois"}, "sure-within must be a loss above 0, or the word noise, got 'nois'"),
        ({"sure_within": 0.1, "strategy": "tpe+asha", "max_epochs": 9}, r"such as bo; tpe\+asha has none"),
        ({"space": None}, "needs a space: --space FILE on the command line, in Python e.g. "),
        ({"objective": lambda config, epochs: 0.0}, r"lambda\(\) takes epochs but has no default"),
        ({"objective": lambda config, model: 0.0}, r"lambda\(\) cannot be called with a config: .*'model'"),
        ({"objective": lambda: 0.0}, r"lambda\(\) cannot be called with a config: too many positional arguments"),
        ({"objective": iter_losses, "strategy": "bo+asha"}, "needs the epochs of a full training: give max_epochs"),
        ({"objective": 3}, "must be a function of a config"),
        ({"objective": "mnist1d-cn"}, "did you mean 'mnist1d-cnn'"),
    ],
)
def test_what_the_caller_can_mend_is_a_user_error(options, message):
    with pytest.raises(UserError, match=message):
        automl.tune(**{"objective": loss, "space": SPACE} | options)


# --- callbacks, progress, results ------------------------------------------------------------------------------------


def test_callbacks_see_each_outcome_with_the_result_so_far():
    calls = []

    def seen(result, trial):
        calls.append((len(result.trials), trial.number, trial.state, result.best_value, result.stop_reason))

    result = automl.tune(loss, SPACE, strategy="random", n_trials=4, callbacks=[seen, lambda result, trial: None])
    lowest = np.minimum.accumulate([trial.loss for trial in result.trials])
    assert calls == [(i + 1, i, "complete", lowest[i], "running") for i in range(4)]


def test_an_exception_in_a_callback_ends_the_run_after_the_study_is_saved(tmp_path):
    def third(result, trial):
        if trial.number == 2:
            raise LookupError("no such thing")

    options = {"strategy": "random", "n_trials": 6, "study": tmp_path / "run"}
    with pytest.raises(LookupError, match="no such thing"):
        automl.tune(loss, SPACE, callbacks=[third], **options)
    study = optuna.load_study(study_name="automl", storage=sqlite_url(tmp_path / "run" / "study.db"))
    assert [trial.state.name for trial in study.trials] == ["COMPLETE"] * 3
    assert facts(automl.tune(loss, SPACE, resume=True, **options)) == facts(
        automl.tune(loss, SPACE, strategy="random", n_trials=6)
    )


def test_a_callback_ends_the_search_like_ctrl_c():
    def enough(result, trial):
        raise KeyboardInterrupt

    with pytest.warns(UserWarning, match="^interrupted: the result has 1 finished trial$"):
        result = automl.tune(loss, SPACE, strategy="random", n_trials=6, callbacks=[enough])
    assert (result.stop_reason, len(result.trials)) == ("interrupted", 1)


def test_a_trial_that_ctrl_c_leaves_unfinished_is_not_counted(tmp_path):
    calls = []

    def train(config):
        calls.append(config)
        if len(calls) == 4:
            raise KeyboardInterrupt
        return config["x"]

    with pytest.warns(UserWarning, match="^interrupted: the result has 3 finished trials$"):
        result = automl.tune(train, SPACE, strategy="random", n_trials=6, study=tmp_path / "run")
    assert "n_trials=3, " in repr(result)
    assert "4 trials (3 complete, 1 unfinished)" in result._repr_html_()
    study, summary = read_run(tmp_path / "run")
    assert (summary["n_trials"], summary["n_complete"], summary["n_unfinished"]) == (3, 3, 1)
    assert headline(study, summary)["title"] == "train, 3 trials with random"


def test_outside_of_a_terminal_progress_goes_to_the_log_and_nowhere_else(caplog, capfd):
    automl.tune(loss, SPACE, strategy="random", n_trials=2)
    with caplog.at_level("INFO", logger="automl"):
        automl.tune(loss, SPACE, strategy="random", n_trials=3)
        automl.tune(loss, SPACE, strategy="random", n_trials=3, progress=False)
    assert [record.name for record in caplog.records] == ["automl"] * 3
    assert re.fullmatch(r"trial   0  complete +loss 6\.000  best 6\.000  \(0\.\d s\)", caplog.messages[0])
    assert capfd.readouterr() == ("", "")


def test_a_result_is_shown_in_a_line_and_as_html():
    space = {"x": {"float": [0, 1]}, "name": {"choice": ["<b>", "c"]}}
    result = automl.tune(lambda config: config["x"], space, strategy="random", n_trials=3)
    best = f"best_value={result.best_value:.6g}, best_config={{'x': {result.best_config['x']:.4g}, 'name': "
    assert repr(result).startswith(f"Result(task='lambda', strategy='random', n_trials=3, {best}")
    shown = result._repr_html_()
    assert "lambda with random: 3 trials (3 complete) in " in shown
    assert "&lt;b&gt;" in shown
    assert "<b>" not in shown.replace("<b>lambda with", "")
    with pytest.warns(UserWarning, match="the loss is nan"):
        failed = automl.tune(lambda config: math.nan, space, strategy="random", n_trials=1)
    assert repr(failed) == "Result(task='lambda', strategy='random', n_trials=1, best=None)"
    assert "no trial has succeeded" in failed._repr_html_()


def test_a_result_draws_its_search_its_curves_and_what_mattered():
    result = automl.tune(sinking, BOWL, strategy="random", n_trials=20, max_epochs=9)
    search, curves, importance = result.plot_search(), result.plot_curves(), result.plot_importance()
    assert sum(len(trace.x) for trace in search.data if trace.mode == "markers" and trace.name != "chosen") == 20
    assert list(curves.data[1].y) == result.best.losses
    assert set(importance.data[0].y) == {"x", "y"}
    assert all(0 <= share <= 1 for share in importance.data[0].x)

    few = automl.tune(bowl, BOWL, strategy="random", n_trials=3)
    assert few.plot_search().data
    with pytest.raises(ValueError, match="no learning curves"):
        few.plot_curves()
    with pytest.raises(ValueError, match="Too few trials"):
        few.plot_importance()


# --- pause, resume, early stopping ----------------------------------------------------------------------------------


def test_paused_trials_go_on_with_all_their_epochs():
    """On a real, resumable training: pausing changes nothing in the curve."""
    result = automl.tune("digits-cnn", strategy=Halving, n_trials=3, max_epochs=6)
    continued = [t for t in result.trials if len(t.proposals) == 2]
    assert continued
    assert {t.state for t in result.trials} == {"complete", "paused"}
    assert {t.epochs for t in result.trials} == {2, 6}
    straight = automl.tune("digits-cnn", strategy="random", n_trials=len(result.trials), max_epochs=6)
    for trial in continued:
        assert straight.trials[trial.number].config == trial.config
        assert straight.trials[trial.number].losses == trial.losses
        assert straight.trials[trial.number].metrics == trial.metrics


def test_the_budget_is_counted_in_epochs():
    result = automl.tune("digits-cnn", strategy=Halving, n_trials=2, max_epochs=6)
    trained = sum(t.epochs for t in result.trials)
    assert 12 <= trained <= 12 + 4  # the last proposal may reach beyond
    assert len(result.trials) > 2


def test_the_incumbent_is_among_the_full_trainings():
    result = automl.tune("digits-cnn", strategy=Halving, n_trials=3, max_epochs=6)
    assert result.best.epochs == 6
    assert result.best_loss == min(t.loss for t in result.trials if t.epochs == 6)


@pytest.mark.parametrize("n_workers", [1, 2])
def test_should_stop_ends_a_trial_early_and_frees_its_epochs(n_workers):
    result = automl.tune(
        curve, SPACE, strategy=StopsBad, n_trials=6, max_epochs=10, n_workers=n_workers, reproducible=True
    )
    stopped = [t for t in result.trials if t.state == "stopped"]
    assert stopped
    assert {len(t.losses) for t in stopped} == {2}
    assert sum(len(t.losses) for t in result.trials) >= 60
    assert len(result.trials) > 6


def test_stopping_in_parallel_repeats_itself():
    def run():
        return automl.tune(curve, SPACE, strategy=StopsBad, n_trials=5, max_epochs=9, n_workers=2, reproducible=True)

    assert facts(run()) == facts(run())


# --- parallel -------------------------------------------------------------------------------------------------------


def test_lambdas_and_closures_train_in_other_processes():
    offset = 3.0
    result = automl.tune(lambda config: (config["x"] - offset) ** 2, SPACE, strategy="random", n_trials=6, n_workers=2)
    assert all(t.loss == pytest.approx((t.config["x"] - 3.0) ** 2) for t in result.trials)


def test_more_workers_than_cores_are_mentioned():
    n = len(os.sched_getaffinity(0))
    with pytest.warns(UserWarning, match=f"workers: {n + 1} trainings share {n} cores"):
        automl.tune(loss, SPACE, strategy="random", n_trials=1, n_workers=n + 1)


def test_a_reproducible_parallel_run_repeats_itself():
    """With trainings whose lengths vary by chance."""

    def objective(config):
        import random
        import time

        time.sleep(random.Random().random() * 0.05)
        return (config["x"] - 1) ** 2 + config["n"]

    def run():
        return automl.tune(objective, SPACE, strategy="tpe", n_trials=24, n_workers=2, reproducible=True)

    assert facts(run()) == facts(run())


def test_an_objective_may_fail_in_a_folder_that_it_then_removes(monkeypatch, tmp_path):
    def leaves(config):
        with tempfile.TemporaryDirectory() as folder:
            os.chdir(folder)
            raise RuntimeError("no result")

    monkeypatch.chdir(tmp_path)  # and back at the end
    with pytest.warns(UserWarning, match=r"test_tuner\.py, line \d+: RuntimeError: no result"):
        result = automl.tune(leaves, SPACE, strategy="random", n_trials=3)
    assert [trial.state for trial in result.trials] == ["failed"] * 3
