"""Functions as objectives of ``tune``: what they are given, what they may return, and wrong arguments."""

import pytest
import torch

import automl
from automl.analysis.formatting import too_short
from automl.errors import UserError
from strategies.base import Strategy

SPACE = {"x": {"float": [0, 1]}}


def tuned(objective, space=SPACE, **options):
    return automl.tune(objective, space, **{"strategy": "random", "n_trials": 3, "progress": False} | options)


def bowl(config):
    return (config["x"] - 0.3) ** 2


def test_the_device_has_a_name_for_torch():
    given = []

    def objective(config, device=None):
        given.append(device)
        return config["x"]

    tuned(objective, device="auto")
    assert {*given} <= {"cpu", "cuda"}
    tuned(objective, device="cpu")
    assert given[-1] == "cpu"


@pytest.mark.parametrize(
    ("objective", "options", "line"),
    [
        (
            lambda config: next(iter([])),
            {},
            r"StopIteration: next\(\) was called on an iterator that has no more items",
        ),
        (lambda config: float("inf"), {"maximize": True}, "the value is inf at epoch 1"),
        (lambda config: float("nan"), {}, "the loss is nan at epoch 1"),
    ],
)
def test_why_no_trial_succeeded_is_told(objective, options, line):
    with pytest.warns(UserWarning, match=line):
        tuned(objective, **options)


def test_without_a_seed_one_is_drawn_and_a_resumed_run_keeps_it(tmp_path):
    drawn = [tuned(bowl, seed=None).trials[2].config["x"] for _ in range(3)]
    assert len({*drawn}) == 3
    before = tuned(bowl, seed=None, study=tmp_path / "run")
    after = tuned(bowl, seed=None, study=tmp_path / "run", resume=True, n_trials=5)
    assert [trial.config for trial in after.trials[:3]] == [trial.config for trial in before.trials]


def test_a_resumed_run_keeps_the_configs_it_started_from(tmp_path):
    tuned(bowl, study=tmp_path / "run", start=[{"x": 0.25}])
    tuned(bowl, study=tmp_path / "run", resume=True, n_trials=4, start=[{"x": 0.25}])
    with pytest.raises(UserError, match="the run started from 1 given configuration, not from those of start"):
        tuned(bowl, study=tmp_path / "run", resume=True, n_trials=5, start=[{"x": 0.75}])


class Unfinished(Strategy):
    """Without its abstract methods."""


class WithoutSpace:
    name, space, max_epochs, resumable, metric, maximize = "mine", None, 1, False, "loss", False

    def train(self, config, *, seed, epochs, checkpoint, device):
        yield automl.Epoch(1, 0.0, {}, 0.0)

    def test(self, checkpoint, device):
        return {}


@pytest.mark.parametrize(
    ("options", "line"),
    [
        ({"maximize": "no"}, "maximize must be True or False, got 'no'"),
        ({"reproducible": "x"}, "reproducible must be True or False, got 'x'"),
        ({"n_trials": True}, "n_trials must be a whole number, got True"),
        ({"device": 0}, "device must be a string such as 'cpu' or 'cuda:0', got 0"),
        ({"study": 3}, "study must be the path of a folder, got 3"),
        ({"strategy": int}, "strategy must be a name, such as 'bo', or a subclass of Strategy, got <class 'int'>"),
        ({"strategy": Unfinished}, "the strategy Unfinished is abstract; implement ask, exhausted, restore"),
        (
            {"objective": WithoutSpace(), "space": None},
            "the space of the task 'mine' must be a ConfigurationSpace",
        ),
    ],
)
def test_a_wrong_argument_is_one_line(options, line):
    with pytest.raises(UserError) as error:
        tuned(**{"objective": bowl} | options)
    assert str(error.value).startswith(line)
    assert "\n" not in str(error.value)


def test_a_generator_is_closed_after_max_epochs():
    def curve(config, epochs=5):
        yield from [config["x"]] * 8

    assert {len(trial.losses) for trial in tuned(curve).trials} == {5}


def test_a_generator_that_ends_on_its_own_is_complete_with_the_epochs_that_it_trained():
    def curve(config, epochs=5):
        yield from [config["x"]] * (3 if config["x"] < 0.5 else 5)

    with pytest.warns(
        UserWarning,
        match=r"^. trials? reported fewer losses than epochs \(3 instead of 5 in trial \d\); (it|each) counts as "
        "complete, with its last loss; lower max_epochs if all trainings are that short$",
    ):
        result = tuned(curve, n_trials=8)
    frame = result.to_frame()
    assert list(frame["state"]) == ["complete"] * 8
    assert {*frame["epochs"]} == {3, 5}
    assert list(frame["epochs"]) == [len(trial.losses) for trial in result.trials]
    assert result.best_loss == frame["loss"].min()  # a shorter one is not worse for being shorter
    summary = result.summary()
    assert summary["epochs_trained"] == frame["epochs"].sum() < 40
    assert (summary["best"]["epochs"], summary["default"]["epochs"]) == (3, 5)
    assert too_short(summary) is None


def test_a_single_loss_stands_for_all_epochs():
    assert {*tuned(lambda config: config["x"], max_epochs=5).to_frame()["epochs"]} == {5}


def test_a_loss_may_be_a_tensor_with_a_gradient():
    assert tuned(lambda config: {"loss": torch.tensor(config["x"], requires_grad=True) * 2}).best_loss <= 2


def test_a_resumed_run_keeps_its_strategy(tmp_path):
    tuned(bowl, strategy="bo", study=tmp_path / "run")
    assert tuned(bowl, strategy=None, study=tmp_path / "run", resume=True, n_trials=5).strategy == "bo"
    assert tuned(bowl, strategy=None).strategy == "auto"
