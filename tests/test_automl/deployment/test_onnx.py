"""ONNX models give the same predictions as the models themselves, for every family and kind of data."""

import importlib.util
import json
import os
import re
import subprocess
import sys
from types import MappingProxyType

import numpy as np
import onnx
import onnxruntime
import pandas as pd
import pytest
import small_models
import torch
from typer.testing import CliRunner

import automl
from automl.cli.export import app, write_onnx
from automl.data.datasets.registry import load_data
from automl.data.ingest.prepare import prepare
from automl.data.ingest.request import Request
from automl.data.ingest.sequences import SequencesEncoder
from automl.data.inputs import Columns
from automl.data.targets import Classes, Number, Quantiles
from automl.deployment.onnx_files import write_several
from automl.deployment.onnx_learners import EXPORTED
from automl.deployment.onnx_model import TOLERANCE, as_onnx, largest_difference
from automl.deployment.predictor import Member, Predictor
from automl.deployment.several_targets import JointPredictor
from automl.errors import UserError
from automl.models import NETWORKS, build_for
from automl.models.learners import learner_class
from automl.models.learners.base import Rows
from automl.models.tensor_models import TrainedNetwork
from automl.models.trained import Preprocessing, TrainedLearner
from automl.tasks import images
from automl.tasks.families import suits
from automl.tasks.registry import load_task

ESTIMATORS = ("gradient_boosting", "random_forest", "linear")


def answers(file, **arrays):
    [found] = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"]).run(None, arrays)
    return found


def check(run, raw, name, said, tmp_path):
    """Writes the graph, and compares it with the model on raw examples that the encoder has made arrays of."""
    out = tmp_path / "model.onnx"
    write_onnx(run, out)
    predictor = automl.load(run)
    frame = predictor.encoder.as_frame(raw)
    x = predictor.encoder.encode(frame)[name]
    x = x.astype(np.int64 if name == "tokens" else np.float32)
    own = predictor.predict_proba(raw) if predictor.classes else predictor.predict(raw)
    assert len(own) > 20
    found = answers(out, **{name: x})
    assert found.shape == own.shape
    if predictor.classes:
        assert np.abs(found - own).max() < 1e-5
        assert np.allclose(found.sum(1), 1, atol=1e-5)
    else:
        assert np.abs(found - own).max() < 1e-5 * predictor.model.preprocessing.target.std
    model = onnx.load(out)
    facts = {prop.key: prop.value for prop in model.metadata_props}
    assert json.loads(facts["classes"]) == list(predictor.classes)
    assert facts["target"] == predictor.target
    assert [each.name for each in model.graph.input] == [name]
    assert [each.name for each in model.graph.output] == ["probabilities" if predictor.classes else "predictions"]
    assert said == float(facts["temperature"])
    return found


@pytest.mark.parametrize("classes", [True, False])
def test_models_of_tables(classes, tmp_path):
    frame = small_models.table(tmp_path / "run", classes=classes)
    for family in (*ESTIMATORS, "mlp"):
        run = small_models.trained(tmp_path / "run", family, epochs=1 if family == "linear" else 4)
        check(run, frame, "columns", small_models.TEMPERATURE, tmp_path)


def test_splits_by_category_and_more_categories_than_boosting_takes_as_such(tmp_path):
    rng = np.random.default_rng(0)
    n = 3_000
    few, many = rng.integers(0, 40, n), rng.integers(0, 300, n)
    y = np.sin(few * 7.0) + np.cos(many * 3.0) + 0.1 * rng.normal(size=n)
    y = np.where(y > 0.8, "high", np.where(y < -0.8, "low", "middle"))
    frame = pd.DataFrame({"few": [f"f{i}" for i in few], "many": [f"m{i}" for i in many], "y": y})
    frame.loc[rng.random(n) < 0.05, "few"] = None
    (tmp_path / "run").mkdir()
    frame.to_csv(tmp_path / "run" / "a.csv", index=False)
    prepare(Request(str(tmp_path / "run" / "a.csv"), "y"), tmp_path / "run" / "data")
    run = small_models.trained(tmp_path / "run", "gradient_boosting", epochs=10)
    model = automl.load(run).model
    small, large = model.preprocessing.inputs.cardinalities
    assert small < 255 < large
    assert any(each.nodes["is_categorical"].any() for row in model.estimator._predictors for each in row)
    frame.loc[:200, "few"] = "never seen"
    found = check(run, frame, "columns", small_models.TEMPERATURE, tmp_path)
    assert np.mean(np.array(["high", "low", "middle"])[found.argmax(1)] == y) > 0.7


def test_models_of_texts(tmp_path):
    frame = small_models.texts(tmp_path / "run")
    for family in ("linear", "cnn", "rnn", "transformer"):
        change = {} if family == "linear" else {"embedding": 16}
        run = small_models.trained(tmp_path / "run", family, epochs=1, **change)
        check(run, frame, "tokens", small_models.TEMPERATURE, tmp_path)


def test_a_norm_over_what_is_there_is_that_of_the_batch(tmp_path):
    frame = small_models.texts(tmp_path / "run")
    run = small_models.trained(tmp_path / "run", "cnn", epochs=1, cnn_norm="group", embedding=16)
    check(run, frame, "tokens", small_models.TEMPERATURE, tmp_path)


def test_models_of_pictures(tmp_path):
    photos = small_models.pictures(tmp_path / "run")
    for family in ("cnn", "mlp", "random_forest"):
        check(small_models.trained(tmp_path / "run", family), photos, "pixels", small_models.TEMPERATURE, tmp_path)


@pytest.mark.parametrize("ragged", [False, True])
def test_models_of_sequences(ragged, tmp_path):
    sequences = small_models.waves(tmp_path / "run", ragged=ragged)
    for family in ("cnn", "rnn", "transformer", "random_forest"):
        run = small_models.trained(tmp_path / "run", family, epochs=1)
        check(run, sequences, "steps", small_models.TEMPERATURE, tmp_path)


def test_models_of_series_and_of_molecules(tmp_path, capfd):
    frame = small_models.sales(tmp_path / "run")
    for family in ("linear", "gradient_boosting", "random_forest", "rnn", "cnn"):
        run = small_models.trained(tmp_path / "run", family, epochs=1)
        check(run, frame, "windows" if family in NETWORKS else "rows", small_models.TEMPERATURE, tmp_path)
    for family in ("linear", "random_forest", "mlp"):
        run = small_models.trained(tmp_path / "run", family, epochs=1, lags="raw")
        check(run, frame, "windows" if family in NETWORKS else "rows", small_models.TEMPERATURE, tmp_path)
    frame = small_models.molecules(tmp_path / "molecules")
    for family, name, change in (
        ("random_forest", "features", {}),
        ("transformer", "tokens", {}),
        ("transformer", "tokens", {"transformer_patch": 5}),  # which does not divide the strings
    ):
        run = small_models.trained(tmp_path / "molecules", family, epochs=1, **change)
        check(run, frame, name, small_models.TEMPERATURE, tmp_path)
    assert not capfd.readouterr().err, "onnxruntime warns of constants that no node uses"


@pytest.mark.parametrize(("family", "patch"), [*((family, 2) for family in NETWORKS), ("transformer", 3)])
def test_models_of_built_in_tasks(family, patch, tmp_path):
    task = load_task("digits-cnn")
    config = {"architecture": "mobilenet_v3_small", "side": 32, "tuned": "head"}  # what a backbone needs
    if family in ("cnn", "rnn", "transformer"):
        space = getattr(images, f"fashion_{family}").space  # the pictures themselves need not be here
        config = dict(space.get_default_configuration())
    config = {name: value.item() if hasattr(value, "item") else value for name, value in config.items()}
    config |= {"width": 16, "layers": 1, "dropout": 0.0, "patch": patch}
    splits = load_data("digits", None)
    rules = Preprocessing("digits", family, splits.inputs, splits.target)
    module = build_for(rules.inputs, family, config, rules.target)
    TrainedNetwork(module, config, rules).save(tmp_path / "model")
    small_models.card(tmp_path / "model", task)
    write_onnx(tmp_path / "model", tmp_path / "digits.onnx")
    own = automl.load(tmp_path / "model").predict_proba(splits.x_test)
    found = answers(tmp_path / "digits.onnx", examples=splits.x_test.astype(np.float32))
    assert np.abs(found - own).max() < 1e-5


def test_an_ensemble_is_one_graph(tmp_path):
    frame = small_models.molecules(tmp_path / "run")
    weights = {"random_forest": 0.5, "rnn": 0.3, "mlp": 0.2}
    models = {family: automl.load(small_models.trained(tmp_path / "run", family, 1)).model for family in weights}
    model = tmp_path / "run" / "model"
    members = []
    for family, weight in weights.items():
        models[family].save(model / "members" / family)
        members.append({"folder": f"members/{family}", "weight": weight})
    card = json.loads((model / "model.json").read_text())
    (model / "model.json").write_text(json.dumps(card | {"members": members}))
    write_onnx(tmp_path / "run", tmp_path / "model.onnx")
    predictor = automl.load(tmp_path / "run")
    assert len(predictor.members) == 3
    arrays = predictor.encoder.encode(frame)
    found = answers(
        tmp_path / "model.onnx",
        tokens=arrays["tokens"].astype(np.int64),
        fingerprints=arrays["fingerprints"].astype(np.float32),
        features=arrays["features"],
    )
    assert np.allclose(found, predictor.predict(frame), rtol=1e-5)


def test_a_graph_that_says_other_than_the_model_is_refused(tmp_path, monkeypatch):
    small_models.sales(tmp_path / "run")
    run = small_models.trained(tmp_path / "run", "linear", epochs=1)
    judge = Predictor.judge
    monkeypatch.setattr(Predictor, "judge", lambda self, raw: judge(self, raw) + 0.1)
    with pytest.raises(UserError, match=r"up to 0\.\d+ standard deviations on \d+ validation examples, 0.0001 is"):
        write_onnx(run, tmp_path / "model.onnx")
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


def test_a_translator_is_refused_with_the_way_out(tmp_path):
    small_models.pairs(tmp_path / "run")
    small_models.trained(tmp_path / "run", "rnn", epochs=1)
    with pytest.raises(UserError, match=r"a translator generates token by token.* or with automl serve"):
        write_onnx(tmp_path / "run", tmp_path / "model.onnx")


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["none", "--onnx"], "there is no folder 'none'"),
        ([".", "--onnx"], "there is no run in '.'"),
        (["."], "there is no run in '.'"),
        ([".", "--onnx", "--out", "nowhere/model.onnx"], "--out must be in an existing folder"),
    ],
)
def test_what_is_asked_wrongly_is_answered(arguments, line, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    error = CliRunner().invoke(app, arguments).exception
    assert isinstance(error, UserError)
    assert line in str(error)


def test_a_missing_extra_is_one_line(tmp_path, monkeypatch):
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "onnx" else find(name))
    error = CliRunner().invoke(app, [str(tmp_path), "--onnx", "--out", str(tmp_path / "model.onnx")]).exception
    assert re.fullmatch(
        r"ONNX needs the package onnx; install it with: pip install 'onnx>=[\d.]+' 'onnxruntime>=[\d.]+'", str(error)
    )


def test_the_command_writes_where_a_link_leads_and_says_how_near_it_is(tmp_path):
    small_models.texts(tmp_path / "run")
    small_models.trained(tmp_path / "run", "rnn", epochs=1)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(UserError, match=r"--out must be a file, got '.*pipe'"):
        write_onnx(tmp_path / "run", tmp_path / "pipe")
    (tmp_path / "link.onnx").symlink_to("reviews.onnx")
    command = [sys.executable, "-m", "automl", "export", "run", "--onnx", "--out", "link.onnx"]
    shown = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert shown.stderr == ""
    size = f"{(tmp_path / 'reviews.onnx').stat().st_size:,}"
    assert (tmp_path / "link.onnx").is_symlink()
    assert f"link.onnx: {size} bytes, reads tokens (n, 30), gives probabilities of 'verdict'" in shown.stdout
    assert "48 validation examples (0.0001 is allowed)" in shown.stdout
    assert "encoder.json" in shown.stdout
    assert torch.backends.mha.get_fastpath_enabled()


# --- learners for tables ----------------------------------------------------------------------------------------------


def learnt(family, kind, n_classes=3, with_levels=True, more=MappingProxyType({})):
    """A fitted learner on numbers with gaps, a category that decides much, and one with many levels; and new rows.

    Without levels, the codes of the categories are numbers too.
    """
    rng = np.random.default_rng(0)
    numbers, codes, levels = rng.normal(size=(700, 2)), rng.integers(0, 5, 700), rng.integers(0, 80, 700)
    signal = numbers[:, 0] + 2.0 * np.isin(codes, (1, 3)) + np.sin(levels)
    numbers[rng.random(700) < 0.2, 1] = np.nan
    x = np.column_stack([numbers, codes, levels]).astype(np.float32)
    inputs = Columns.of(x, (5, 80) if with_levels else ())
    if kind == "quantiles":
        y, target = signal.astype(np.float32), Quantiles.of(signal, (0.1, 0.5, 0.9))
    elif kind == "number":
        y, target = signal.astype(np.float32), Number.of(signal, offset=1.7e9)
    else:
        y = np.digitize(signal, np.quantile(signal, np.linspace(0, 1, n_classes + 1)[1:-1]))
        target = Classes(tuple("abcdef"[:n_classes]))
    space = learner_class(family).space(classes=kind == "classes", with_levels=with_levels)
    config = {name: entry["default"] for name, entry in space.items()}
    config |= ({"min_rows_per_level": 5} if family == "lightgbm" and with_levels else {}) | more
    learner = learner_class(family)(config, inputs, target, 0)
    valid = None if family == "catboost" else Rows(x[400:500], y[400:500])  # which would take thousands of trees
    learner.fit(Rows(x[:400], y[:400]), valid, rounds=(100,))
    model = TrainedLearner(learner, config, Preprocessing("shops", family, inputs, target))
    strange = x[500:].copy()
    strange[:20] = np.nan
    strange[:20, 2:] = 0
    return Predictor([Member(model)], None, {}), strange


@pytest.mark.parametrize("family", EXPORTED)
@pytest.mark.parametrize(("kind", "n_classes"), [("number", 0), ("classes", 2), ("classes", 3)])
def test_trees_with_categories_and_gaps_give_the_same_in_onnx(family, kind, n_classes):
    predictor, rows = learnt(family, kind, n_classes)
    assert largest_difference(predictor, as_onnx(predictor).SerializeToString(), {"examples": rows}) < TOLERANCE


@pytest.mark.parametrize("family", ["lightgbm", "catboost"])
@pytest.mark.parametrize(("kind", "n_classes"), [("number", 0), ("classes", 2), ("classes", 3), ("quantiles", 0)])
def test_boosting_of_numbers_gives_the_same_in_onnx(family, kind, n_classes):
    predictor, rows = learnt(family, kind, n_classes, with_levels=False)
    if kind == "quantiles":
        predictor = Predictor(predictor.members, None, {"shifts": [0.0, 1.5, -1.5]})  # so that some change places
    content = as_onnx(predictor).SerializeToString()
    assert largest_difference(predictor, content, {"examples": rows}) < TOLERANCE
    if kind == "quantiles":
        found = answers(content, examples=rows)
        assert found.shape == (len(rows), 3)
        assert (np.diff(found, axis=1) >= 0).all()


@pytest.mark.parametrize("family", ["lightgbm", "catboost"])
def test_tweedies_loss_gives_the_same_in_onnx(family):
    predictor, rows = learnt(family, "number", with_levels=False, more={"loss": "tweedie"})
    assert largest_difference(predictor, as_onnx(predictor).SerializeToString(), {"examples": rows}) < TOLERANCE


@pytest.mark.parametrize(("family", "quantiles"), [*((family, ()) for family in EXPORTED), ("lightgbm", (0.1, 0.9))])
def test_forecasts_of_changes_are_the_same_in_onnx(family, quantiles):
    rng = np.random.default_rng(0)
    series = 50.0 + rng.normal(size=(503, 2)).cumsum(0)
    x = np.lib.stride_tricks.sliding_window_view(series[:-1], 3, axis=0).reshape(-1, 6).astype(np.float32)
    y = series[3:, 0]
    target = Quantiles.of(y, quantiles, 1e6) if quantiles else Number.of(y, 1e6)
    config = {
        name: entry["default"] for name, entry in learner_class(family).space(classes=False, with_levels=False).items()
    }
    config |= {"lags": "relative"}
    inputs = Columns.of(x, (), 3)
    learner = learner_class(family)(config, inputs, target, 0)
    learner.fit(Rows(x[:400], y[:400]), rounds=(50,) * target.n_outputs)
    members = [Member(TrainedLearner(learner, config, Preprocessing("walk", family, inputs, target)), 0.5)] * 2
    predictor = Predictor(members, None, {"shifts": [-1.0, 1.0] if quantiles else []})
    content = as_onnx(predictor).SerializeToString()
    assert largest_difference(predictor, content, {"examples": x[400:]}) < TOLERANCE
    assert answers(content, examples=x[400:]).reshape(100, -1).mean(1) == pytest.approx(1e6 + series[403:, 0], abs=6.0)


def test_catboosts_categories_have_no_onnx_form():
    predictor, _ = learnt("catboost", "number")
    with pytest.raises(UserError, match=r"no ONNX form: catboost; a run with --model lightgbm,random_forest,extra_tr"):
        as_onnx(predictor)


def test_a_member_without_an_onnx_form_is_named():
    linear, _ = learnt("linear", "number")
    trees, _ = learnt("extra_trees", "number")
    both = Predictor([*trees.members, *linear.members], None, {})
    with pytest.raises(UserError, match=r"no ONNX form: linear; a run with --model lightgbm,random_forest"):
        as_onnx(both)
    quantiles, _ = learnt("linear", "quantiles")
    with pytest.raises(UserError, match=r"no ONNX form: linear; a run with --model lightgbm gives a model that has"):
        as_onnx(quantiles)


def test_the_families_named_instead_suit_sequences():
    linear, _ = learnt("linear", "number")
    with pytest.raises(UserError, match=r"no ONNX form: linear; a run with --model cnn,lightgbm,extra_trees ") as error:
        as_onnx(Predictor(linear.members, SequencesEncoder(1, 50, True), {}))
    assert suits("sequences", re.search(r"--model (\S+)", str(error.value))[1])


def test_targets_without_an_onnx_form_are_named_and_nothing_is_written(tmp_path):
    parts = {name: learnt(family, "number")[0] for name, family in (("price", "extra_trees"), ("rent", "linear"))}
    with pytest.raises(UserError) as error:
        write_several(JointPredictor(parts, {}), tmp_path / "run", tmp_path / "onnx")
    assert str(error.value).startswith("target 'rent': members of this model have no ONNX form: linear; a run with")
    assert str(error.value).endswith("; of price there would be one, from the folder of that model alone")
    assert list(tmp_path.iterdir()) == []
