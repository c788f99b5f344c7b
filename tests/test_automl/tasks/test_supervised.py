"""Training for every kind of input, target and model family, on small data with a known pattern."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from ConfigSpace.util import deactivate_inactive_hyperparameters

from automl.data.datasets.registry import load_data
from automl.data.inputs import Columns, Dense, Padded, Tokens, Windows, inputs_from_json, inputs_to_json
from automl.data.memory_map import write_prepared
from automl.data.splits import Splits
from automl.data.targets import Classes, Number
from automl.metrics import METRICS, check_metric, measure
from automl.models import build_for
from automl.models.loading import load_model
from automl.space.parse import load_space
from automl.tasks.user_data import OwnData, choose_families, space_of_families
from automl.training.base import trained_model
from automl.training.checkpoint import read_checkpoint

N = 240
FAMILIES = {  # by kind of inputs
    "dense": ("cnn", "rnn", "transformer", "mlp", "random_forest", "gradient_boosting", "linear"),
    "padded": ("cnn", "rnn", "transformer", "gradient_boosting", "random_forest"),
    "tokens": ("cnn", "rnn", "transformer", "linear"),
    "columns": ("mlp", "gradient_boosting", "random_forest", "linear"),
    "windows": ("linear", "gradient_boosting", "random_forest", "mlp", "cnn", "rnn", "transformer"),
}


def examples(kind):
    """Arrays of 2 N examples, and a number that they tell."""
    rng = np.random.default_rng(0)
    if kind == "columns":
        x = np.c_[rng.normal(size=(2 * N, 3)), rng.integers(0, 4, 2 * N)].astype(np.float32)
        value = x[:, 0] + (x[:, 3] == 2)
        x[rng.random(2 * N) < 0.1, 1] = np.nan
        return x, value, Columns.of(x[:N], (4,))
    if kind == "tokens":
        x = rng.integers(2, 12, (2 * N, 16))
        x[np.arange(16) >= rng.integers(4, 17, 2 * N)[:, None]] = 0
        return x.astype(np.int32), (x == 5).sum(1) - (x == 7).sum(1), Tokens(16, 12)
    x = rng.normal(size=(2 * N, 2, 12)).astype(np.float32)
    x[:, 0] += rng.normal(size=(2 * N, 1)).astype(np.float32)
    value = x[:, 0].mean(1)
    if kind == "windows":  # every test level is beyond those of training
        x += np.sort(rng.uniform(0, 200, 2 * N)).astype(np.float32)[:, None, None]
        return x, 2 * x[:, 0].mean(1) - x[:, 0, -1], Windows.of_series(x[:N], 3)
    if kind == "padded":
        x[np.broadcast_to(np.arange(12) >= rng.integers(6, 13, 2 * N)[:, None, None], x.shape)] = np.nan
        return x, value, Padded.of(x[:N])
    return x, value, Dense.of(x[:N])


@pytest.fixture(scope="module")
def make(tmp_path_factory):
    """A task on one kind of examples, with classes or numbers as its target."""

    def made(kind, target, metric=None):
        folder = tmp_path_factory.getbasetemp() / f"{kind}-{target}"
        x, value, inputs = examples(kind)
        y = (value > np.median(value)).astype(np.int64) if target == "classes" else value.astype(np.float32)
        goal = Classes(("no", "yes")) if target == "classes" else Number.of(y[:N])
        if not folder.exists():
            splits = Splits(x[:N], y[:N], x[N:-99], y[N:-99], x[-99:], y[-99:], inputs, goal)
            write_prepared(splits, folder)
            (folder / "encoder").mkdir()
        families = FAMILIES[kind]
        tokens = families if kind == "tokens" else ()
        form = space_of_families(
            families,
            classes=target == "classes",
            tokens=tokens,
            length=16,
            imbalanced=True,
            of_series=kind == "windows",
        )
        metric = metric or ("accuracy" if target == "classes" else "rmse")
        return OwnData("mine", str(folder), None, load_space(form), 8, metric)

    return made


def config_of(task, family):
    """The default config, of this family."""
    space = task.space
    config = {name: space[name].default_value for name in space}
    config["model"] = family
    changed = deactivate_inactive_hyperparameters(config, space)
    return {name: value.item() if hasattr(value, "item") else value for name, value in dict(changed).items()}


def run(task, config, epochs=8, checkpoint=None, seed=0):
    return list(task.train(config, seed=seed, epochs=epochs, checkpoint=checkpoint, device="cpu"))


CASES = [
    (kind, target, family)
    for kind in FAMILIES
    for target in ("classes", "number")
    for family in FAMILIES[kind]
    if (kind, target) != ("windows", "classes")
]


@pytest.mark.parametrize(("kind", "target", "family"), CASES)
def test_every_family_learns_from_every_kind_and_is_there_again_from_its_files(kind, target, family, make, tmp_path):
    task = make(kind, target)
    config = config_of(task, family)
    config |= {"lr": 0.01, "batch_size": 32} if "lr" in config else {}
    *_, last = run(task, config, checkpoint=tmp_path / "training")
    splits = load_data(task.data, None)
    if target == "classes":
        assert last.loss == 1 - last.metrics["accuracy"]
        assert last.metrics["accuracy"] > 0.6
    else:
        assert last.loss == last.metrics["rmse"]
        assert last.metrics["r2"] == pytest.approx(1 - (last.loss / splits.y_valid.std()) ** 2, abs=1e-4)
        assert last.metrics["r2"] > 0.15
    scores = task.test(tmp_path / "training", "cpu")
    assert scores.keys() >= {name for name, metric in METRICS.items() if metric.kind == target}

    task.export(tmp_path / "training", tmp_path / "model")
    model = load_model(tmp_path / "model")
    x = torch.from_numpy(splits.x_test)
    assert torch.equal(model(x), trained_model(tmp_path / "training")(x))
    predictions = model.preprocessing.target.predictions(model(x))
    if target == "classes":
        assert (predictions.argmax(1) == splits.y_test).mean() == scores["accuracy"]
    else:
        assert np.abs(predictions - splits.y_test).mean() == pytest.approx(scores["mae"])


@pytest.mark.parametrize("family", ["mlp", "gradient_boosting"])
def test_continued_in_another_process_equals_uninterrupted(family, make, tmp_path):
    task = make("columns", "classes")
    config = config_of(task, family)
    whole = run(task, config, 4, tmp_path / "whole")
    run(task, config, 2, tmp_path / "paused")
    code = f"""
import json
from pathlib import Path
from automl.tasks.user_data import OwnData
from automl.space.parse import load_space
task = OwnData("mine", {task.data!r}, None, load_space({{"x": {{"int": [1, 2]}}}}), 8, "accuracy")
epochs = task.train({config!r}, seed=0, epochs=4, checkpoint=Path({str(tmp_path / "paused")!r}), device="cpu")
print(json.dumps([[epoch.epoch, epoch.loss, epoch.metrics] for epoch in epochs]))
"""
    shown = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=Path(__file__).parents[3]
    )
    assert json.loads(shown.stdout) == [[e.epoch, e.loss, e.metrics] for e in whole[2:]]
    (one, one_record), (other, other_record) = (read_checkpoint(tmp_path / name) for name in ("whole", "paused"))
    assert one_record == other_record
    if family == "mlp":
        assert all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize("family", ["cnn", "rnn", "transformer"])
@pytest.mark.parametrize("inputs", [Padded((2, 12), (0.0, 0.0), (1.0, 1.0)), Tokens(12, 9)])
def test_what_lies_behind_the_end_of_an_example_does_not_count(family, inputs):
    config = {
        "embedding": 8, "width": 16, "layers": 2, "kernel_size": 3, "norm": "none", "pooling": "max", "dropout": 0.0,
        "cell": "gru", "bidirectional": True, "summary": "last", "heads": 2,
    }  # fmt: skip
    torch.manual_seed(0)
    model = build_for(inputs, family, config, Classes(("a", "b", "c"))).eval()
    x = torch.randint(1, 9, (2, 12)) if inputs.kind == "tokens" else torch.randn(2, 2, 12)
    x[0, ..., 7:] = 0 if inputs.kind == "tokens" else torch.nan
    together = model(inputs(x), inputs.mask(x))[:1]
    alone = model(inputs(x[:1, ..., :7]), inputs.mask(x[:1, ..., :7]))
    assert torch.allclose(together, alone, atol=1e-5)
    nothing = torch.full_like(x[:1], 0 if inputs.kind == "tokens" else torch.nan)
    assert model(inputs(nothing), inputs.mask(nothing)).isfinite().all()


@pytest.mark.parametrize("family", FAMILIES["windows"])
def test_models_of_changes_follow_a_series_to_levels_they_have_not_seen(family, make, tmp_path):
    task = make("windows", "number")
    splits = load_data(task.data, None)
    naive = measure("rmse", splits.y_test, splits.x_test[:, 0, -1])
    rmse = {}
    for lags in ("relative", "raw"):
        config = config_of(task, family) | {"lags": lags}
        config |= {"lr": 0.01, "batch_size": 16} if "lr" in config else {}
        run(task, config, 8, tmp_path / lags)
        rmse[lags] = task.test(tmp_path / lags, "cpu")["rmse"]
    assert rmse["relative"] < 0.8 * naive
    assert rmse["relative"] < 0.7 * rmse["raw"]


def series_task(x, y, horizon, folder, families=("mlp",)):
    """A task on windows (n, steps), the last third for validation."""
    x, n = np.asarray(x, np.float32)[:, None], 2 * len(x) // 3
    parts = [x[:n], y[:n], x[n:], y[n:], x[n:], y[n:]]
    write_prepared(Splits(*parts, Windows.of_series(x[:n], horizon), Number.of(y[:n])), folder)
    space = load_space(space_of_families(families, classes=False, of_series=True))
    return OwnData("mine", str(folder), None, space, 15, "rmse")


@pytest.mark.parametrize("level", [0.0, 1e5])
def test_networks_learn_changes_that_are_far_smaller_than_the_levels(level, tmp_path):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(600, 12))
    y = x.mean(1) + level * (levels := rng.random(600))
    x += level * levels[:, None]
    task = series_task(x, y, 1, tmp_path)
    *_, last = run(task, config_of(task, "mlp") | {"lr": 0.01, "batch_size": 16}, 15)
    assert last.loss < 0.5 * measure("rmse", y[400:], x[400:, -1])


@pytest.mark.parametrize("unit", [0.0, 1e-3])
def test_networks_predict_no_change_where_there_was_none(unit, tmp_path):
    periodic = unit * np.tile(np.random.default_rng(0).normal(size=12), 50)
    x = np.lib.stride_tricks.sliding_window_view(periodic[:-12], 13)
    task = series_task(x, periodic[24:], 12, tmp_path)
    *_, last = run(task, config_of(task, "mlp") | {"lr": 0.01}, 15)
    assert last.loss < 0.5 * unit + 1e-9


@pytest.mark.parametrize("lags", ["raw", "relative"])
def test_collinear_steps_are_fitted_without_a_warning(lags, tmp_path):
    smooth = 1_000.0 + np.cumsum(np.cumsum(np.random.default_rng(0).normal(size=700))) * 1e-3
    x = np.lib.stride_tricks.sliding_window_view(smooth[:-1], 64)
    task = replace(series_task(x, smooth[64:], 1, tmp_path, ("linear",)), max_epochs=1)
    [epoch] = run(task, {"model": "linear", "linear_c": 1e3, "lags": lags}, 1)
    assert epoch.loss < 0.5 * measure("rmse", smooth[-213:], smooth[-214:-1])


def test_class_weights_move_a_model_towards_the_rare_class(make):
    task = make("columns", "classes", "balanced_accuracy")
    splits = load_data(task.data, None)
    rare = Classes(("no", "yes")).weights(np.array([0, 0, 0, 1]), 1.0)
    assert rare.tolist() == pytest.approx([2 / 3, 2.0])
    assert splits.target.weights(splits.y_train, 0.0).tolist() == [1, 1]
    for family in ("mlp", "random_forest"):
        config = config_of(task, family)
        plain, weighted = (run(task, config | {"class_weight": w}, 1)[0] for w in (0.0, 1.0))
        assert plain.loss == 1 - plain.metrics["balanced_accuracy"]
        assert weighted.metrics.keys() == plain.metrics.keys()


def test_a_metric_that_does_not_fit_is_answered_with_those_that_do():
    assert check_metric("auc", "classes") == "auc"
    with pytest.raises(ValueError, match=r"'rmse' is not a metric for classification; choose one of: acc"):
        check_metric("rmse", "classes")
    with pytest.raises(ValueError, match="did you mean 'rmse'"):
        check_metric("rsme", "number")


def test_families_are_narrowed_and_what_belongs_to_others_is_gone():
    assert choose_families("table", "auto")[0] == "gradient_boosting"
    with pytest.raises(ValueError, match="--model 'cnn' does not suit table; choose auto or some of: gradient"):
        choose_families("table", "mlp,cnn")
    space = load_space(space_of_families(choose_families("table", "random_forest, mlp"), classes=True))
    assert not [name for name in space if "boosting" in name]
    default = dict(space.get_default_configuration())
    assert default["model"] == "random_forest"
    assert not {"lr", "mlp_width"} & default.keys()


@pytest.mark.parametrize("kind", FAMILIES)
def test_inputs_are_the_same_after_json(kind):
    inputs = examples(kind)[2]
    assert inputs_from_json(json.loads(json.dumps(inputs_to_json(inputs)))) == inputs
