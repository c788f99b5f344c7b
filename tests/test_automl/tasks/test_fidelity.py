"""What a short training means for the built-in tasks, including one with a schedule of its own."""

import automl
from automl.runs.settings import Settings
from automl.task import fidelity_of, vary
from automl.tasks.built_in import MIN_STEPS
from automl.tasks.registry import load_task
from automl.tuning.jobs import EpochDone, Job
from automl.tuning.worker import run_job
from benchmarks.suites.scored_task import Scored
from strategies.encoding import Encoding
from strategies.fidelity import Fidelity

DIGITS = load_task("digits-cnn", train_size=200)


def config(**changes):
    default = Encoding(DIGITS.space).default
    return Encoding(DIGITS.space).build(lambda dim: changes.get(dim.name, default.get(dim.name, dim.default)))


def losses(task, job):
    return [event.epoch.loss for event in run_job(task, job) if isinstance(event, EpochDone)]


def test_a_schedule_is_restarted_and_a_constant_rate_resumed():
    assert DIGITS.fidelity(config(schedule="constant")).kind == "resume"
    for schedule in ("cosine", "one-cycle"):
        assert DIGITS.fidelity(config(schedule=schedule)).kind == "restart"


def test_a_short_training_has_enough_steps_of_the_optimizer():
    fidelity = DIGITS.fidelity(config(batch_size=64))
    assert fidelity.min_epochs * (200 // 64) >= MIN_STEPS > (fidelity.min_epochs - 1) * (200 // 64)


def test_a_short_training_follows_its_own_complete_schedule():
    what = config(schedule="one-cycle", lr=0.01)
    short = losses(DIGITS, Job(0, what, 5, 2, schedule=2))
    assert short == losses(vary(DIGITS, max_epochs=2), Job(0, what, 5, 2))
    assert short != losses(DIGITS, Job(0, what, 5, 2))


def test_of_a_task_around_another_the_one_inside_is_shortened(tmp_path):
    what = config(schedule="one-cycle", lr=0.01)
    around = Scored(DIGITS, every_epoch=False)
    assert vary(around, max_epochs=2).max_epochs == 2
    inside = losses(DIGITS, Job(0, what, 5, 2, schedule=2))
    assert losses(around, Job(0, what, 5, 2, schedule=2, folder=str(tmp_path / "training"))) == inside


def test_a_task_that_says_nothing_is_paused_where_it_can_be_and_stopped_elsewhere():
    def curve(config):
        yield config["x"]

    assert fidelity_of(automl.as_task(curve, {"x": {"float": [0, 1]}}))({"x": 0.5}) == Fidelity("stop")


def test_a_time_limit_alone_is_the_whole_budget():
    assert Settings(time_limit=60.0).with_defaults().n_trials is None
    assert Settings().with_defaults().n_trials == 25
    assert Settings(time_limit=60.0, n_trials=7).with_defaults().n_trials == 7
    result = automl.tune(lambda config: config["x"], {"x": {"float": [0, 1]}}, strategy="random", time_limit=2.0)
    assert result.stop_reason == "time limit of 2 s"
    assert len(result.trials) > 50
