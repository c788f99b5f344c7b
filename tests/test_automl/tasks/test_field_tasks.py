"""Contract tests of a task, over those of every field, on small files in the formats of the data sets."""

import importlib
import math
import pickle
from dataclasses import replace

import cloudpickle
import numpy as np
import pytest
from ConfigSpace import Constant
from rich.console import Console
from stand_ins import all_put

import automl
from automl.analysis.tables import final_rows
from automl.cli.terminal import _show_final
from automl.data.datasets.registry import load_data, load_parts
from automl.errors import UserError
from automl.metrics import loss_of
from automl.models.loading import load_model
from automl.models.trained_language import load_language_model
from automl.models.trained_seq2seq import load_translator
from automl.task import Task
from automl.tasks.baselines import BASELINES
from automl.tasks.language_modelling import LanguageModelling
from automl.tasks.registry import TASKS, load_task
from automl.tasks.sequence_to_sequence import Translation
from automl.tuning.final_evaluation import FinalTraining, final_summary, fit_baseline
from automl.tuning.progress import Values

FIELDS = [name for name in TASKS if name.split("-")[0] not in ("mnist1d", "digits", "fashion")]


@pytest.fixture(scope="module", autouse=True)
def small_data(tmp_path_factory):
    with all_put(tmp_path_factory.mktemp("data")):
        yield


def plain(config):
    return {name: value.item() if hasattr(value, "item") else value for name, value in dict(config).items()}


def run(task, config, epochs=1, checkpoint=None, seed=0):
    return list(task.train(plain(config), seed=seed, epochs=epochs, checkpoint=checkpoint, device="cpu"))


@pytest.fixture(params=FIELDS)
def task(request):
    return small(load_task(request.param))


def small(task):
    """With epochs of a few batches."""
    return replace(task, epoch_size=4_000, valid_size=500) if isinstance(task, LanguageModelling) else task


def test_default_trains_continues_is_scored_and_exported(task, tmp_path):
    assert isinstance(task, Task)
    config = task.space.get_default_configuration()
    straight = run(task, config, 2)
    [first] = run(task, config, 1, tmp_path / "there")
    [second] = run(task, config, 2, tmp_path / "there")
    assert [first.metrics, second.metrics] == [epoch.metrics for epoch in straight]
    assert second.loss == loss_of(task.metric, second.metrics[task.metric])
    assert all(map(math.isfinite, second.metrics.values()))
    scores = task.test(tmp_path / "there", "cpu")
    assert math.isfinite(scores[task.metric])
    task.export(tmp_path / "there", tmp_path / "model")
    files = {path.name for path in (tmp_path / "model").iterdir()}
    assert files - {"encoder.json"} == {"model.safetensors", "config.json", "preprocessing.json"}
    if task.metric in ("accuracy", "rmse", "r2"):
        load_model(tmp_path / "model")


@pytest.mark.parametrize("name", ["reuters52-cnn", "newsgroups-rnn", "chembl234-transformer"])
def test_an_exported_model_of_texts_reads_new_ones_as_in_training(name, tmp_path):
    task = small(load_task(name))
    run(task, task.space.get_default_configuration(), 1, tmp_path / "there")
    task.export(tmp_path / "there", tmp_path / "model")
    model, splits, texts = (
        automl.load(tmp_path / "model"),
        load_data(task.data, None),
        load_parts(task.data, None).test.x,
    )
    frame = model.encoder.as_frame(texts)
    assert np.array_equal(model.encoder.encode(frame)["tokens"], splits.x_test)
    assert len(model.predict([*texts, "never seen before"])) == len(texts) + 1
    assert (model.target == "value") == (name == "chembl234-transformer")


def test_any_config_of_the_space_trains(task):
    task.space.seed(1)
    [epoch] = run(task, task.space.sample_configuration())
    assert math.isfinite(epoch.loss)


def test_a_task_travels_without_its_data(task):
    sent = cloudpickle.dumps(task)
    assert len(sent) < 20_000
    assert pickle.loads(sent).name == task.name


def test_sizes_of_spaces(task):
    assert 8 <= sum(not isinstance(each, Constant) for each in task.space.values()) <= 15
    assert task.space.conditions


@pytest.mark.parametrize("name", ["g2p-rnn", "bible-transformer"])
def test_a_saved_translator_writes_what_the_trained_one_does(name, tmp_path):
    task = load_task(name)
    assert isinstance(task, Translation)
    run(task, task.space.get_default_configuration(), 1, tmp_path / "there")
    task.export(tmp_path / "there", tmp_path / "model")
    translator = load_translator(tmp_path / "model")
    said = translator(["bad", "deaf"], beam=1)
    assert said == translator(["bad", "deaf"], beam=1)
    assert all(isinstance(text, str) for text in said)
    assert translator.write(task.pairs().test_source, beam=4) != [""] * len(task.pairs().test_source)


def test_words_are_learnt(tmp_path):
    task = load_task("g2p-rnn")
    epochs = run(task, plain(task.space.get_default_configuration()) | {"batch_size": 32, "lr": 0.01}, 10, tmp_path)
    assert epochs[-1].metrics["error_rate"] < 0.6 * epochs[0].metrics["error_rate"]
    assert task.test(tmp_path, "cpu")["error_rate"] < 0.6


def test_every_character_is_foretold_from_the_ones_before(tmp_path):
    task = small(load_task("kjv-transformer"))
    config = plain(task.space.get_default_configuration()) | {"context": 32}
    run(task, config, 1, tmp_path / "there")
    task.export(tmp_path / "there", tmp_path / "model")
    model = load_language_model(tmp_path / "model")
    characters = model.characters
    for n in (1, 15, 16, 17, 49):
        text = characters.encode("And he said 12 12 times.\nAnd he said 12 13 times.")[:n]
        told = model.log2_probabilities(as_tensor(text))
        assert len(told) == n
        assert (told < 0).all()
    whole = model.log2_probabilities(as_tensor(text))
    changed = model.log2_probabilities(as_tensor([*text[:40], *reversed(text[40:])]))
    assert whole[:40] == pytest.approx(changed[:40], abs=1e-4)
    assert whole[40:] != pytest.approx(changed[40:], abs=1e-2)


def test_a_text_shorter_than_the_context_is_refused():
    with pytest.raises(UserError, match="needs 1,000 characters or more to train on, got 50"):
        load_task("kjv-transformer", train_size=50)


def as_tensor(numbers):
    import torch

    return torch.tensor(numbers)


# --- what a practitioner would have -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["vowels-rnn", "sp500-rnn", "kjv-transformer"])
def test_the_baseline_has_the_metric_of_the_task(name):
    task = load_task(name)
    baseline = fit_baseline(task)
    assert baseline["name"] == BASELINES[task.data].description
    assert math.isfinite(baseline["score"])
    assert baseline["seconds"] > 0
    assert fit_baseline(load_task("digits-cnn").with_metric("log_loss")) is None  # which it does not score


def test_on_a_part_of_the_examples_the_baseline_has_those_of_the_networks():
    for data in ("vowels", "letter", "newsgroups"):
        taken = load_parts(data, 60).train
        splits = load_data(data, 60)
        assert [splits.classes[label] for label in splits.y_train] == taken.y
    numbers = np.array(load_parts("chembl234-bits", 30).train.y)
    assert load_data("chembl234-bits", 30).y_train == pytest.approx(numbers)
    assert load_parts("kjv", 2_000).train == load_parts("kjv", None).train[:2_000]
    assert math.isfinite(load_task("vowels-rnn", train_size=60).baseline()["score"])


def test_a_part_of_a_series_has_no_baseline_and_says_why():
    assert "series" in fit_baseline(load_task("sp500-rnn", train_size=100))["error"]


@pytest.mark.parametrize("name", TASKS)
def test_every_task_has_one_of_its_metric(name):
    module, attribute = TASKS[name][1].split(":")
    task = getattr(importlib.import_module(module), attribute)  # its data may not be here
    assert task.metric in BASELINES[task.data].metrics


def test_what_a_baseline_lacks_is_told_instead(monkeypatch):
    def lacking(data, train_size):
        raise UserError("pip install it")

    monkeypatch.setattr("automl.tasks.baselines.run_baseline", lacking)
    assert fit_baseline(load_task("vowels-rnn")) == {"error": "pip install it"}


@pytest.mark.parametrize(
    ("baseline", "said"),
    [
        ({"name": "forest", "score": 0.91234, "seconds": 1.2}, "baseline, forest: accuracy 0.9123 (1.2 s)"),
        ({"error": "pip install it"}, "no baseline: pip install it"),
        (None, None),
    ],
)
def test_the_final_shows_the_baseline(baseline, said, tmp_path, capsys):
    trainings = [FinalTraining(role, 1, 0.9, 0.8, None, 1.0, tmp_path) for role in ("chosen", "default")]
    final = final_summary(trainings, "accuracy", "chosen", baseline)
    _show_final(Console(width=100), final, Values())
    shown = capsys.readouterr().out
    assert "chosen" in shown
    assert said in shown if said else "baseline" not in shown
    in_report = final_rows({"final": final, "maximize": True})["baseline"]
    assert (in_report is not None) == (baseline is not None and "score" in baseline)
    assert in_report is None or in_report.endswith(", forest.")
