"""The loop: budgets, stopping, pause and resume, failures, reproducibility."""

import asyncio
import math
import re
import shutil
import time
import warnings

import numpy as np
import optuna
import pytest

import automl
from automl.analysis.formatting import failure
from automl.errors import UserError
from automl.runs.settings import load_from_file
from automl.study.run_folder import TrialFolders
from automl.study.sqlite import sqlite_url
from automl.study.trial import Asked, Told
from automl.tasks.function import as_task
from automl.tuning.jobs import MAX_RETRIES
from automl.tuning.retention import KEPT_CHECKPOINTS
from automl.tuning.stopping import GIVE_UP_AFTER
from automl.tuning.trainings import training_seed
from automl.tuning.tuner import Tuner
from strategies import make_strategy
from strategies.base import Proposal, Strategy

SPACE = {"x": {"float": [-5, 5]}, "n": {"int": [1, 9]}}
SMALL = {
    "optimizer": {"constant": "adamw"}, "weight_decay": {"constant": 0.01}, "batch_size": {"constant": 64},
    "schedule": {"constant": "constant"}, "warmup": {"constant": 0.0}, "dropout": {"constant": 0.0},
    "width": {"choice": [8, 16]}, "layers": {"constant": 2}, "kernel_size": {"constant": 3},
    "norm": {"constant": "batch"},
}  # fmt: skip
FINITE = {"n": {"int": [1, 4]}, "kind": {"choice": ["a", "b"]}}


def loss(config: dict) -> float:
    return (config["x"] - 1) ** 2 + config["n"]


def curve(config: dict, seed: int):
    noise = np.random.default_rng(seed).random()
    for epoch in range(1, 100):
        yield {"loss": abs(config["x"]) + noise / epoch, "epoch": epoch}


class Halving(Strategy):
    """A wrapper as early stopping needs it: every trial pauses after a third; every third told goes on to the end."""

    def __init__(self, space, *, seed, n_trials=None, max_epochs=1):
        super().__init__(space, seed=seed, n_trials=n_trials, max_epochs=max_epochs)
        self._inner = make_strategy("random", space, seed=seed, n_trials=n_trials, max_epochs=max_epochs)
        self._paused = {}
        self._continued = 0
        self._told = 0

    def ask(self):
        if self._paused and self._told // 3 > self._continued:
            best = min(self._paused, key=lambda trial: (self._paused[trial].loss, trial))
            proposal = Proposal(best, self._paused[best].proposal.config, self.max_epochs, {"from": "promoted"})
        else:
            inner = make_strategy("random", self.space, seed=self.seed)
            inner._n_asked, inner._next_trial = self._inner._n_asked, self._inner._next_trial
            asked = inner.ask()
            proposal = Proposal(asked.trial, asked.config, max(1, self.max_epochs // 3), {"from": "new"})
        self.restore(proposal)
        return proposal

    def restore(self, proposal):
        if proposal.trial in self._paused:
            del self._paused[proposal.trial]
            self._continued += 1
        else:
            self._inner.restore(proposal)

    def tell(self, outcome):
        if outcome.proposal.epochs < self.max_epochs:
            self._told += 1
            if outcome.loss is not None:
                self._paused[outcome.proposal.trial] = outcome

    @property
    def exhausted(self):
        return False


class StopsBad(Halving):
    """Full trainings, stopped after two epochs where the loss is above that of the first trial told before."""

    def __init__(self, space, **options):
        super().__init__(space, **options)
        self._bars = {}
        self._first = math.inf

    def ask(self):
        proposal = self._inner.ask()
        self._bars[proposal.trial] = self._first
        return proposal

    def restore(self, proposal):
        self._inner.restore(proposal)
        self._bars[proposal.trial] = self._first

    def tell(self, outcome):
        self._inner.tell(outcome)
        if self._first == math.inf and outcome.loss is not None:
            self._first = outcome.loss

    def should_stop(self, proposal, losses):
        return len(losses) >= 2 and losses[-1] > self._bars[proposal.trial]


@pytest.fixture
def tune_watched(monkeypatch):
    """``automl.tune``, with a function that is called after each round of the loop."""

    def tune(*arguments, watch, **options):
        with monkeypatch.context() as patch:
            patch.setattr("automl.runs.search.Tuner", lambda *a, **kw: Tuner(*a, **kw | {"watch": watch}))
            return automl.tune(*arguments, **options)

    return tune


def facts(result):
    return [(t.number, t.config, t.losses, t.metrics, t.state, t.error) for t in result.trials]


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


def iter_losses():
    yield from (3.0, 2.0, 1.0)


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
        (lambda config: (_ for _ in ()), "the training gave no loss"),
        (lambda config: (_ for _ in ()).throw(MemoryError()), "out of memory"),
    ],
)
def test_failures_are_values_with_their_reason(bad, reason):
    result = automl.tune(lambda c: loss(c) if c["n"] % 2 else bad(c), SPACE, strategy="tpe", n_trials=20)
    failed = [t for t in result.trials if t.state == "failed"]
    assert failed
    assert all(reason in t.error and "\n" not in t.error and t.loss is None for t in failed)
    assert all((t.state == "complete") == (t.config["n"] % 2 == 1) for t in result.trials)


class Mute(ValueError):
    """Its text raises."""

    def __str__(self):
        raise LookupError("no text")


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (Mute(), "Mute: (its text cannot be had: LookupError)"),
        (BaseException("odd"), "BaseException: odd"),
        (asyncio.CancelledError(), "CancelledError: CancelledError"),
        (GeneratorExit(), "GeneratorExit: GeneratorExit"),
        (StopIteration(), "RuntimeError: generator raised StopIteration"),
    ],
)
@pytest.mark.parametrize("curve", [False, True], ids=["function", "generator"])
def test_odd_exceptions_fail_the_trial_and_leave_none_running(tmp_path, error, reason, curve):
    def fails(config):
        raise error

    def fails_later(config):
        yield 1.0
        raise error

    objective = fails_later if curve else fails
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
    failed = automl.tune(train, SPACE, n_trials=2, **options).trials[0]
    assert failed.traceback.startswith("Traceback (most recent call last):")
    assert failed.traceback.rstrip().endswith(failed.error)
    assert failure(failed) == f"mine.py, line 5: {failed.error}"  # and not the line in json
    assert (tmp_path / "run" / "logs" / "trial-0000.log").read_text() == failed.traceback
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

    (trial,) = automl.tune(diverges, SPACE, strategy="random", n_trials=1, max_epochs=5).trials
    assert (trial.losses, trial.state, trial.error) == ([1.0, 0.5], "failed", "the loss is nan at epoch 3")


def test_a_run_in_which_everything_fails_gives_up():
    result = automl.tune(lambda config: math.nan, SPACE, strategy="random", n_trials=50)
    assert len(result.trials) == GIVE_UP_AFTER
    assert result.stop_reason == "the first 10 trials all failed"
    with pytest.raises(ValueError, match=r"no trial has succeeded .*the loss is nan"):
        _ = result.best


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
    assert 5 <= len(result.trials) < 100


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
        ({"patience": 0}, "patience must be 1 or more, got 0"),
        ({"sure_within": 0}, "sure-within must be a loss above 0, or the word noise, got 0"),
        ({"sure_within": "nois"}, "sure-within must be a loss above 0, or the word noise, got 'nois'"),
        ({"sure_within": 0.1, "strategy": "tpe+asha", "max_epochs": 9}, r"such as bo; tpe\+asha has none"),
        ({"space": None}, "needs a space"),
        ({"objective": lambda config, epochs: 0.0}, r"lambda\(\) takes epochs but has no default"),
        ({"objective": iter_losses, "strategy": "bo+asha"}, "needs the epochs of a full training: give max_epochs"),
        ({"objective": 3}, "must be a function of a config"),
        ({"objective": "mnist1d-cn"}, "did you mean 'mnist1d-cnn'"),
    ],
)
def test_what_the_caller_can_mend_is_a_user_error(options, message):
    with pytest.raises(UserError, match=message):
        automl.tune(**{"objective": loss, "space": SPACE} | options)


# --- nothing more to gain -------------------------------------------------------------------------------------------


BOWL = {"x": {"float": [0, 1]}, "y": {"float": [0, 1]}}


def bowl(config: dict) -> float:
    return (config["x"] - 0.3) ** 2 + (config["y"] - 0.6) ** 2


def sinking(config: dict):
    for epoch in range(1, 10):
        yield bowl(config) + 1 / epoch


def since_best(result) -> int:
    """Epochs of the budget that were told after the outcome that made the best trial what it is."""
    told = [entry.outcome for entry in result.study.log if isinstance(entry, Told)]
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


def test_patience_waits_for_the_first_success():
    result = automl.tune(
        lambda config: loss(config) if config["x"] > 3 else math.nan, SPACE, strategy="random", n_trials=9, patience=1
    )
    states = [trial.state for trial in result.trials]
    assert states[0] == "failed"
    assert "complete" in states


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

    result = automl.tune(loss, SPACE, strategy="random", n_trials=6, callbacks=[enough])
    assert (result.stop_reason, len(result.trials)) == ("interrupted", 1)


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


# --- studies --------------------------------------------------------------------------------------------------------


class Kill(BaseException):
    """As abrupt as it gets inside a process."""


def killed_after(n_events: int):
    def watch(tuner):
        nonlocal n_events
        n_events -= 1
        if n_events == 0:
            raise Kill

    return watch


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
    with pytest.raises(ValueError, match="unknown strategy"):
        automl.tune(loss, SPACE, study=tmp_path / "run", strategy="bp")
    assert not (tmp_path / "run").exists()
    with pytest.raises(UserError, match=r"must not contain \? or %"):
        automl.tune(loss, SPACE, study=tmp_path / "what?", n_trials=1)


def test_a_function_may_use_a_folder_of_its_own_without_a_study():
    def writes(config, folder):
        (folder / "notes").write_text("x")
        return 0.0

    assert [t.state for t in automl.tune(writes, SPACE, strategy="random", n_trials=2).trials] == ["complete"] * 2


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


def test_a_folder_with_something_in_it_is_refused(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(UserError, match="is not empty"):
        automl.tune(loss, SPACE, study=tmp_path, n_trials=1)
    assert [p.name for p in tmp_path.iterdir()] == ["notes.txt"]
    with pytest.raises(UserError, match=r"nothing to resume: there is no study\.db"):
        automl.tune(loss, SPACE, study=tmp_path, n_trials=1, resume=True)


def test_without_a_folder_nothing_is_written(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    automl.tune("digits-cnn", strategy="random", n_trials=1, max_epochs=1)
    assert list(tmp_path.iterdir()) == []


def test_only_the_checkpoints_of_the_best_trials_are_kept(tmp_path):
    result = automl.tune("digits-cnn", strategy="random", n_trials=14, max_epochs=1, study=tmp_path / "run")
    kept = {int(p.name) for p in (tmp_path / "run" / "trials").iterdir()}
    assert kept == {t.number for t in sorted(result.trials, key=lambda t: (t.loss, t.number))[:KEPT_CHECKPOINTS]}


def test_checkpoints_that_will_not_be_needed_go_and_a_raised_budget_trains_anew_what_it_misses(tmp_path, tune_watched):
    trials, options = tmp_path / "run" / "trials", {"strategy": "random+asha", "max_epochs": 6}
    gone = set()

    def watch(tuner):
        paused = {number for number, trial in tuner.study.trials.items() if trial.state == "paused"}
        gone.update(number for number in paused if not (trials / f"{number:04d}").exists())
        best = {tuner.study.best.number} if tuner.study.best else set()
        assert gone & paused == tuner.strategy.abandoned() - best

    tune_watched("digits-cnn", study=tmp_path / "run", n_trials=2, watch=watch, **options)
    assert gone
    more = automl.tune("digits-cnn", study=tmp_path / "run", n_trials=5, resume=True, **options)
    assert any(more.study.trials[number].epochs > 1 for number in gone)
    assert facts(more) == facts(automl.tune("digits-cnn", n_trials=5, **options))


def test_the_log_holds_every_ask_before_its_tell():
    log = automl.tune(loss, SPACE, strategy="random", n_trials=5).study.log
    asked = [e.proposal.trial for e in log if isinstance(e, Asked)]
    told = [e.outcome.proposal.trial for e in log if isinstance(e, Told)]
    assert asked == told == [0, 1, 2, 3, 4]


# --- trainings that have to go back ----------------------------------------------------------------------------------


def flip_a_bit(checkpoint):
    content = bytearray(checkpoint.read_bytes())
    content[-100] ^= 1
    checkpoint.write_bytes(content)


@pytest.mark.parametrize("damage", [flip_a_bit, lambda checkpoint: checkpoint.unlink(), lambda checkpoint: None])
def test_a_trial_whose_checkpoint_is_damaged_or_gone_is_trained_from_scratch_and_the_run_goes_on(tmp_path, damage):
    options = {"strategy": Halving, "max_epochs": 3}
    folder = tmp_path / "run"
    automl.tune("digits-cnn", study=folder, n_trials=1, **options)
    checkpoints = sorted((folder / "trials").glob("*/checkpoint.safetensors"))
    assert checkpoints
    for checkpoint in checkpoints:
        damage(checkpoint)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        resumed = automl.tune("digits-cnn", study=folder, n_trials=2, resume=True, **options)
    lines = [str(each.message) for each in said if "goes on after epoch 0" in str(each.message)]
    assert bool(lines) == (damage is flip_a_bit)
    assert all("its checksum is wrong" in line and "\n" not in line for line in lines)
    assert facts(resumed) == facts(automl.tune("digits-cnn", n_trials=2, **options))


def test_a_checkpoint_that_holds_fewer_epochs_than_the_study_cuts_the_curve(tmp_path):
    """As after a backup was put back."""
    options = {"strategy": Halving, "max_epochs": 6}
    automl.tune("digits-cnn", study=tmp_path / "run", n_trials=1, **options)
    for folder in (tmp_path / "run" / "trials").iterdir():
        task = automl.as_task("digits-cnn", max_epochs=6)
        trial = automl.tune("digits-cnn", n_trials=1, **options).study.trials[int(folder.name)]
        shutil.rmtree(folder)
        list(task.train(trial.config, seed=training_seed(0, trial.number), epochs=1, checkpoint=folder, device="cpu"))
    with pytest.warns(UserWarning, match="goes on after epoch 1: the checkpoint goes on at epoch 2, not 3"):
        resumed = automl.tune("digits-cnn", study=tmp_path / "run", n_trials=2, resume=True, **options)
    assert facts(resumed) == facts(automl.tune("digits-cnn", n_trials=2, **options))


def test_a_worker_that_is_killed_from_outside_costs_a_retry_and_not_the_trial(tmp_path):
    def killed_once(config, folder):
        import os
        import signal

        for epoch in range(3):
            if epoch == 2 and not (folder.parent / "killed").exists():
                (folder.parent / "killed").touch()
                os.kill(os.getpid(), signal.SIGTERM)
            yield config["x"] + epoch

    options = {"strategy": "random", "n_trials": 2, "max_epochs": 3, "n_workers": 2, "study": tmp_path / "run"}
    with pytest.warns(UserWarning, match=r"trial \d is trained again .* died \(signal SIGTERM\)"):
        result = automl.tune(killed_once, SPACE, **options)
    assert [(trial.state, len(trial.losses)) for trial in result.trials] == [("complete", 3)] * 2


def test_a_training_whose_process_is_killed_every_time_has_failed(tmp_path):
    def killed(config, folder):
        import os
        import signal

        if config["x"] == 0:
            with (folder.parent / "attempts").open("a") as file:
                file.write("x")
            os.kill(os.getpid(), signal.SIGKILL)
        return config["x"]

    with pytest.warns(UserWarning, match="trained again"):
        result = automl.tune(
            killed, SPACE, strategy="random", n_trials=2, n_workers=2, study=tmp_path / "run", reproducible=True
        )
    assert [trial.state for trial in result.trials] == ["failed", "complete"]
    assert "signal SIGKILL" in result.trials[0].error
    assert (tmp_path / "run" / "trials" / "attempts").read_text() == "x" * (1 + MAX_RETRIES)


@pytest.mark.parametrize("strategy", ["random", "bo+asha"])
def test_what_was_too_slow_is_tried_again_with_more_time(tmp_path, strategy):
    space, options = {"x": {"float": [0, 1]}}, {"strategy": strategy, "n_trials": 4, "study": tmp_path / "run"}

    def slow(config, epochs=3):
        time.sleep(0.6 if config["x"] == 0.5 else 0.0)  # the default
        yield from [config["x"] + 1] * 3

    first = automl.tune(slow, space, **options, trial_seconds=0.3)
    assert first.trials[0].error == "too slow: it took longer than 0.3 s, the limit of a trial"
    again = automl.tune(slow, space, **options, trial_seconds=20.0, resume=True)
    assert again.trials[0].state in ("complete", "stopped")
    assert set(again.trials[0].losses) == {1.5}
    assert [trial.config for trial in again.trials[: len(first.trials)]] == [trial.config for trial in first.trials]
    assert not any(trial.state == "failed" for trial in again.trials)
