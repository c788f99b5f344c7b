"""Users' sentence pairs: a small language in which each word has its translation."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

from automl.data.datasets.registry import load_pairs
from automl.data.ingest.prepare import Facts, prepare
from automl.data.ingest.request import Request
from automl.data.pairs import read_pairs
from automl.data.tokens import BEGIN, END
from automl.data.vocabularies import Subwords, vocabulary_from_json
from automl.deployment.predictor import load_predictor
from automl.errors import UserError
from automl.metrics import measure
from automl.models.trained_seq2seq import Translator
from automl.tasks.user_data import own_task

WORDS = {
    "the": "el",
    "dog": "perro",
    "cat": "gato",
    "sees": "ve",
    "a": "un",
    "man": "hombre",
    "house": "casa",
    "big": "gran",
}


@pytest.fixture(scope="module")
def pairs():
    rng = np.random.default_rng(0)
    found = {}
    while len(found) < 700:
        words = [str(word) for word in rng.choice(list(WORDS), rng.integers(2, 6))]
        found[" ".join(words)] = " ".join(WORDS[word] for word in words)
    return pd.DataFrame({"en": list(found), "es": list(found.values())})


@pytest.fixture(scope="module")
def data(pairs, tmp_path_factory):
    folder = tmp_path_factory.mktemp("pairs")
    pd.concat([pairs, pd.DataFrame({"en": ["alone", None], "es": [None, "solo"]})]).to_csv(
        folder / "pairs.tsv", sep="\t", index=False
    )
    report = prepare(Request(str(folder / "pairs.tsv"), source="en", into="es"), folder / "data")
    assert report.facts["kind"] == "pairs, translation into 'es'"
    assert "2 pairs with an empty side are left out" in report.notes
    return folder / "data"


def default(task, family, **change):
    config = {
        name: value.item() if hasattr(value, "item") else value
        for name, value in dict(task.space.get_default_configuration()).items()
    }
    assert config["model"] == family
    return config | change


@pytest.mark.parametrize(("family", "epochs"), [("rnn", 10), ("transformer", 18)])
def test_a_small_language_is_learnt_and_new_sentences_are_translated(family, epochs, data, pairs, tmp_path):
    task = own_task(data, family, None)
    assert (task.metric, task.maximize) == ("chrf", True)
    small = {f"{family}_width": 64, f"{family}_layers": 1}
    config = default(task, family, lr=0.01, batch_size=32, dropout=0.0, **small)
    told = list(task.train(config, seed=0, epochs=epochs, checkpoint=tmp_path / "training", device="cpu"))
    assert told[-1].loss == 100 - told[-1].metrics["chrf"] < told[0].loss
    scores = task.test(tmp_path / "training", "cpu")
    assert scores.keys() == {"bleu", "chrf", "error_rate"}
    assert scores["chrf"] > 80
    assert scores["error_rate"] < 0.3
    task.export(tmp_path / "training", tmp_path / "model")
    predictor = load_predictor(tmp_path / "model")
    some = pairs[:100]  # how many are right to the word differs between processors
    assert (predictor.predict(some["en"].tolist()) == some["es"]).mean() > 0.5
    with pytest.warns(UserWarning, match="1 of 2 texts are longer than 6 tokens and translated up to there"):
        assert len(predictor.predict(["", "the " * 300])) == 2
    with pytest.raises(UserError, match="beam must be at least 1, got 0"):
        predictor.model(["the dog"], beam=0)
    assert predictor.predict([]).shape == (0,)
    new = pd.DataFrame({"en": ["the house", None], "es": ["", ""]})
    assert "casa" in predictor.predict(new)[0]
    with pytest.raises(UserError, match="only classifiers have probabilities"):
        predictor.predict_proba(["a"])
    with pytest.raises(UserError, match="column 'en' is missing"):
        predictor.predict(pd.DataFrame({"de": ["der"]}))
    assert isinstance(predictor.model, Translator)
    pairs = read_pairs(data)
    assert measure("chrf", pairs.test_references, predictor.model.write(pairs.test_source, beam=4)) == scores["chrf"]


def test_training_goes_on_where_it_paused(data, tmp_path):
    task = own_task(data, "transformer", "bleu")
    config = default(task, "transformer", transformer_width=32, batch_size=128)
    whole = list(task.train(config, seed=0, epochs=2, checkpoint=None, device="cpu"))
    for epochs in (1, 2):
        paused = list(task.train(config, seed=0, epochs=epochs, checkpoint=tmp_path / "paused", device="cpu"))
    assert paused[-1].metrics == whole[-1].metrics
    assert whole[-1].loss == 100 - whole[-1].metrics["bleu"]


def test_a_part_of_the_validation_set_is_drawn_from_all_of_it(data, monkeypatch):
    given = []

    def right(translator, source, *, beam):
        given.append(source)
        texts = [translator.source.decode(row) for row in source.tolist()]
        return [" ".join(WORDS[word] for word in text.split()) for text in texts]

    monkeypatch.setattr(Translator, "write", right)
    task = replace(own_task(data, "transformer", None), valid_size=20)
    training = task.begin(default(task, "transformer"), 0, torch.device("cpu"))
    assert training.validate() == training.validate() == {"chrf": 100}
    every = read_pairs(data).valid_source.tolist()
    places = [every.index(row) for row in given[0].tolist()]
    assert len(places) == 20 < len(every)
    assert places == sorted(places)
    assert places[-1] > 40
    assert np.array_equal(*given)


def test_pairs_come_back_from_their_folder(data, pairs):
    found = load_pairs(str(data), 0, 0, None)
    assert (found.train_target[:, 0] == BEGIN).all()
    assert (found.train_target == END).sum(1).tolist() == [1] * len(found.train_target)
    known = dict(pairs.itertuples(index=False))
    given = [found.source.decode(row) for row in found.test_source.tolist()]
    assert [(known[text],) for text in given] == found.test_references
    train = {found.source.decode(row) for row in found.train_source.tolist()}
    assert not train & set(given)
    assert len(train) + len(given) + len(found.valid_references) == 700


def test_the_spellings_of_special_tokens_are_text():
    text = "a tag [end] of a [begin] and [unknown] dog"
    vocabulary = Subwords.fitted([text] * 3, 400)
    for each in (vocabulary, vocabulary_from_json(json.loads(json.dumps(vocabulary.to_json())))):
        assert each.decode(each.encode(text)) == text


def test_part_of_the_pairs(data):
    task = own_task(data, None, None).prepared(60)
    assert len(task.pairs().train_source) == 60
    with pytest.raises(UserError, match="number of training examples must be between 2"):
        task.prepared(10_000)


def test_all_pairs_of_a_group_are_in_one_part(pairs, tmp_path):
    frame = pairs.assign(text=np.arange(len(pairs)) // 50)
    frame.loc[3, "es"] = None
    frame.to_csv(tmp_path / "pairs.csv", index=False)
    report = prepare(Request(str(tmp_path / "pairs.csv"), source="en", into="es", group="text"), tmp_path / "data")
    assert "rows of a group stay in one set" in report.facts["split"]
    group = dict(zip(frame["en"], frame["text"], strict=True))
    found = read_pairs(tmp_path / "data")
    groups = [
        {group[found.source.decode(row)] for row in rows.tolist()}
        for rows in (found.train_source, found.valid_source, found.test_source)
    ]
    assert sum(map(len, groups)) == len(set.union(*groups)) == 14


def test_what_is_missing_is_named(pairs, tmp_path):
    file = tmp_path / "pairs.csv"
    pairs.to_csv(file, index=False)
    with pytest.raises(UserError, match="--into 'ess' is not a column of the file; did you mean 'es'"):
        prepare(Request(str(file), source="en", into="ess"), tmp_path / "out")
    with pytest.raises(UserError, match="pairs need --source COLUMN and --into COLUMN; the file has: en, es"):
        prepare(Request(str(file), source="en"), tmp_path / "out")
    with pytest.raises(UserError, match="--source and --into must be two columns, got 'en' for both"):
        prepare(Request(str(file), source="en", into="en"), tmp_path / "out")


def test_the_facts_are_those_of_pairs(data):
    facts = Facts.read(data)
    assert (facts.kind, facts.target_kind, facts.name) == ("pairs", "sentences", "pairs-es")
    space = own_task(data, None, None).space
    assert {"rnn_width", "transformer_heads", "label_smoothing"} <= set(space)
    assert not any(name.startswith("rnn_") for name in own_task(data, "transformer", None).space)
