"""Pairs of sentences of one's own: a small language of which every word has its translation, in another order."""

import numpy as np
import pandas as pd
import pytest
import torch

from automl.data import load_data
from automl.data.inputs import Tokens
from automl.data.sentences import BEGIN, END, Sentences
from automl.errors import UserError
from automl.metrics import measure
from automl.models.seq2seq import NETWORKS
from automl.own.predictor import load_predictor
from automl.own.preparation import Facts, prepare
from automl.own.request import Request
from automl.own.tokens import sentence_tokenizer
from automl.tasks.own import own_task

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
    assert "2 pairs without one of their sides are left out" in report.notes
    return folder / "data"


def default(task, family, **change):
    config = {
        name: value.item() if hasattr(value, "item") else value
        for name, value in dict(task.space.get_default_configuration()).items()
    }
    assert config["model"] == family
    return config | change


@pytest.mark.parametrize("family", ["rnn", "transformer"])
def test_a_small_language_is_learnt_and_new_sentences_are_translated(family, data, tmp_path):
    task = own_task(data, family, None)
    assert (task.metric, task.maximize) == ("chrf", True)
    splits = load_data(str(data / "tokens"), None)
    assert splits.target.kind == "sentences"
    assert (splits.y_train == END).sum(1).tolist() == [1] * len(splits.y_train)
    small = {f"{family}_width": 32, f"{family}_layers": 1}
    config = default(task, family, lr=0.01, batch_size=32, dropout=0.0, label_smoothing=0.0, **small)
    first, *_, last = task.train(config, seed=0, epochs=14, checkpoint=tmp_path / "training", device="cpu")
    assert last.loss == 100 - last.metrics["chrf"] < first.loss
    assert last.metrics["cross_entropy"] < first.metrics["cross_entropy"]
    scores = task.test(tmp_path / "training", "cpu")
    assert scores["chrf"] > 80
    assert scores["error_rate"] < 0.3
    assert scores.keys() >= {"bleu", "chrf", "error_rate", "cross_entropy", "perplexity"}
    task.export(tmp_path / "training", tmp_path / "model")
    predictor = load_predictor(tmp_path / "model")
    found = predictor.predict(["the dog sees a cat", "a big man", ""])
    assert found.tolist()[:2] == ["el perro ve un gato", "un gran hombre"]
    own = splits.target.texts(splits.y_test)
    translated = predictor.model.preprocessing.target.predictions(predictor.model(torch.from_numpy(splits.x_test)))
    assert measure("chrf", own, list(translated)) == pytest.approx(scores["chrf"])


def test_training_goes_on_where_it_paused(data, tmp_path):
    task = own_task(data, "transformer", "bleu")
    config = default(task, "transformer", transformer_width=32, batch_size=128)
    whole = list(task.train(config, seed=0, epochs=2, checkpoint=None, device="cpu"))
    for epochs in (1, 2):
        paused = list(task.train(config, seed=0, epochs=epochs, checkpoint=tmp_path / "paused", device="cpu"))
    assert paused[-1].metrics == whole[-1].metrics
    assert whole[-1].loss == 100 - whole[-1].metrics["bleu"]


@pytest.mark.parametrize("family", NETWORKS)
def test_the_next_token_follows_from_those_before_it_and_the_source_alone(family):
    torch.manual_seed(0)
    config = {"width": 16, "layers": 2, "heads": 2, "dropout": 0.0}
    model = NETWORKS[family](config, Tokens(7, 20), Sentences("", 6, 15)).eval()
    x = torch.randint(4, 20, (2, 7))
    x[0, 5:] = 0
    so_far = torch.cat([torch.full((2, 1), BEGIN), torch.randint(4, 15, (2, 4))], 1)
    logits = model(x, x != 0, so_far)
    other = so_far.clone()
    other[:, 3:] = 5
    assert torch.allclose(model(x, x != 0, other)[:, :3], logits[:, :3], atol=1e-5)
    assert torch.allclose(model(x[:1, :5], x[:1, :5] != 0, so_far[:1]), logits[:1], atol=1e-5)
    assert not torch.allclose(model(x.flip(0), (x != 0).flip(0), so_far)[:, 2], logits[:, 2], atol=1e-3)


def test_a_wider_beam_finds_likelier_sentences():
    torch.manual_seed(1)
    model = NETWORKS["rnn"]({"width": 8, "layers": 1, "dropout": 0.0}, Tokens(4, 9), Sentences("", 5, 9)).eval()
    with torch.no_grad():
        model.target.weight *= 8
    x = torch.randint(4, 9, (30, 4))

    def likelihood(ids):
        so_far = torch.cat([torch.full((30, 1), BEGIN), ids[:, :-1]], 1)
        chosen = model(x, x != 0, so_far).log_softmax(-1).gather(2, ids[:, :, None])[:, :, 0]
        return ((chosen * (ids != 0)).sum(1) / (ids != 0).sum(1)).mean()

    greedy, wide = (model.translate(x, x != 0, beam).clone() for beam in (1, 16))
    assert likelihood(wide) > likelihood(greedy)
    ends = (wide == END).int().cumsum(1)
    assert (wide[ends > 1] == 0).all()


def test_sentences_come_back_from_their_tokens():
    texts = ["¿Qué hora es?", "Él dijo: «no»."] * 3
    tokenizer = sentence_tokenizer(texts)
    assert tokenizer.decode_batch([e.ids for e in tokenizer.encode_batch(texts)]) == texts


def test_error_rate_counts_changed_missing_and_additional_words():
    assert measure("error_rate", ["a b c d"], ["a x c"]) == 0.5
    assert measure("error_rate", ["a"], ["a b c"]) == 2.0


def test_what_is_missing_is_named(pairs, tmp_path):
    pairs.to_csv(tmp_path / "pairs.csv", index=False)
    with pytest.raises(UserError, match="--into 'ess' is no column of the file; did you mean 'es'"):
        prepare(Request(str(tmp_path / "pairs.csv"), source="en", into="ess"), tmp_path / "out")
    with pytest.raises(UserError, match="pairs need --source COLUMN and --into COLUMN; the file has: en, es"):
        prepare(Request(str(tmp_path / "pairs.csv"), source="en"), tmp_path / "out")


def test_the_facts_are_those_of_pairs(data):
    facts = Facts.read(data)
    assert (facts.kind, facts.target_kind, facts.name) == ("pairs", "sentences", "pairs-es")
    space = own_task(data, None, None).space
    assert {"rnn_width", "transformer_heads", "label_smoothing"} <= set(space)
