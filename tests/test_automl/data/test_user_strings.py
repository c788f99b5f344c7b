"""Users' texts and molecules: encoding, splitting, predicting."""

import json
import sys
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from sklearn.feature_extraction.text import TfidfVectorizer
from user_models import trained

from automl.data import molecules
from automl.data.datasets.registry import load_data
from automl.data.ingest.kinds import load_encoder
from automl.data.ingest.prepare import Facts, prepare
from automl.data.ingest.request import Request
from automl.data.ingest.text import TextEncoder
from automl.data.ingest.tokenizers import known_tokenizer, smiles_tokenizer, text_tokenizer, token_ids
from automl.errors import UserError
from automl.tasks.user_data import own_task

GOOD = ["great", "lovely", "superb", "wonderful", "a delight"]
BAD = ["awful", "dreadful", "boring", "a waste of time", "poor"]
RINGS = [
    "c1ccccc1",
    "c1ccncc1",
    "C1CCCCC1",
    "c1ccoc1",
    "c1ccsc1",
    "C1CCNCC1",
    "c1ccc2ccccc2c1",
    "C1CCOC1",
    "c1cc[nH]c1",
]


@pytest.fixture(scope="module")
def reviews():
    rng = np.random.default_rng(0)
    fill = ["the", "film", "was", "plot", "actors", "it", "scene", "music", "Café", "I", "saw", "in", "town"]
    rows = []
    for i in range(300):
        words = list(rng.choice(fill, rng.integers(5, 30)))
        words.insert(int(rng.integers(len(words))), str(rng.choice((BAD, GOOD)[i % 2])))
        rows.append((" ".join(words), ("bad", "good")[i % 2]))
    return pd.DataFrame(rows, columns=["body", "verdict"])


@pytest.fixture(scope="module")
def compounds():
    rng = np.random.default_rng(0)
    rows = []
    for i in range(180):
        chain = "C" * int(rng.integers(1, 7))
        tail = str(rng.choice(["", "O", "N", "Cl", "Br"]))
        rows.append((RINGS[i % len(RINGS)] + chain + tail, len(chain) + 2 * (tail == "O") + 0.1 * rng.normal()))
    return pd.DataFrame(rows, columns=["smiles", "pIC50"])


def test_tokenizers_know_what_training_has_and_nothing_else():
    texts = ["A dog, a Dog and a dog again", "the dog barks"]
    tokenizer = text_tokenizer(texts)
    ids = token_ids(tokenizer, ["dog DOG dog", "", "\N{SNOWMAN}", "dog " * 50], 6)
    assert ids.shape == (4, 6)
    assert ids[0].tolist() == [ids[0, 0]] * 3 + [0] * 3
    assert ids[1].tolist() == [0] * 6
    assert ids[2, 0] == 1
    assert ids[3].tolist() == [ids[0, 0]] * 6
    tokenizer = smiles_tokenizer(["CC(=O)Nc1ccc(Cl)cc1", "[Na+].BrC%10"])
    assert tokenizer.encode("ClCc1[Na+]%10").tokens == ["Cl", "C", "c", "1", "[Na+]", "%10"]


def test_the_spellings_of_special_tokens_are_text():
    texts = ["read [PAD] and [UNK] here", "[PAD] [UNK] read here"]
    encoder = TextEncoder("text", text_tokenizer(texts), 20)
    for each in (encoder, TextEncoder.from_json(json.loads(json.dumps(encoder.to_json())))):
        [ids] = each.ids(["read [PAD] and [UNK] here"])
        tokens = each.tokenizer.encode("read [PAD] and [UNK] here").tokens
        assert "".join(tokens) == "read[pad]and[unk]here"
        assert (ids[: len(tokens)] > 1).all()
    known = TextEncoder("text", known_tokenizer({"read": 2}), 3)
    assert known.n_ids == 3
    assert known.ids(["read [PAD] read"]).tolist() == [[2, 1, 2]]


def test_texts_are_found_prepared_learnt_and_judged(reviews, tmp_path):
    reviews.to_csv(tmp_path / "reviews.csv", index=False)
    report = prepare(Request(str(tmp_path / "reviews.csv"), "verdict"), tmp_path / "data")  # the text column is found
    facts = Facts.read(tmp_path / "data")
    assert (facts.kind, facts.target_kind) == ("text", "classes")
    assert report.facts["kind"] == "text, classification of 'verdict'"
    splits = load_data(str(tmp_path / "data" / "tokens"), None)
    assert splits.x_train.dtype == np.int32
    assert splits.x_train.max() < splits.inputs.n_tokens
    last, predictor = trained(tmp_path / "data", "linear", tmp_path, 1)
    assert last.metrics["accuracy"] > 0.85
    assert predictor.predict(["what a superb film", "an awful plot in town"]).tolist() == ["good", "bad"]
    assert (predictor.predict(tmp_path / "reviews.csv") == reviews["verdict"]).mean() > 0.95
    for family in ("cnn", "rnn", "transformer"):
        last, predictor = trained(tmp_path / "data", family, tmp_path, 10, lr=0.01, embedding=16, batch_size=32)
        assert last.metrics["accuracy"] > 0.8
        one, many = predictor.predict_proba(["a lovely scene"]), predictor.predict_proba(["a lovely scene", "x " * 90])
        assert np.allclose(one[0], many[0], atol=1e-5)


def test_the_tokens_of_the_linear_model_are_weighted_by_tfidf(reviews, tmp_path):
    reviews.to_csv(tmp_path / "reviews.csv", index=False)
    prepare(Request(str(tmp_path / "reviews.csv"), "verdict", text="body"), tmp_path / "data")
    _, predictor = trained(tmp_path / "data", "linear", tmp_path, 1)
    assert isinstance(predictor.model.estimator.steps[0][1], TfidfVectorizer)


def test_missing_texts_are_told_and_wrong_columns_answered(reviews, tmp_path):
    frame = reviews.copy()
    frame.loc[3, "body"] = None
    frame.to_csv(tmp_path / "reviews.csv", index=False)
    report = prepare(Request(str(tmp_path / "reviews.csv"), "verdict", text="body"), tmp_path / "data")
    assert "1 row without text is left out" in report.notes
    frame.loc[:39, "body"] = ""  # no copies of each other
    frame.to_csv(tmp_path / "gaps.csv", index=False)
    report = prepare(Request(str(tmp_path / "gaps.csv"), "verdict", text="body"), tmp_path / "others")
    assert "40 rows without text are left out" in report.notes
    assert not any("different label" in note for note in report.notes)
    assert report.facts["rows"].startswith(f"{len(frame) - 40:,}, usable ")
    with pytest.raises(UserError, match="--text 'boddy' is not a column of the file; did you mean 'body'"):
        prepare(Request(str(tmp_path / "reviews.csv"), "verdict", text="boddy"), tmp_path / "out")


def test_molecules_are_split_by_scaffold_and_read_in_two_ways(compounds, tmp_path):
    frame = compounds.copy()
    frame.loc[7, "smiles"] = "C1CC(("
    frame.to_csv(tmp_path / "compounds.csv", index=False)
    report = prepare(Request(str(tmp_path / "compounds.csv"), "pIC50"), tmp_path / "data")
    assert report.facts["kind"] == "molecules, regression of 'pIC50'"
    assert "by scaffold" in report.facts["split"]
    assert any(
        "1 row without a valid SMILES in 'smiles' is left out, the first is row 8, 'C1CC(('" in n for n in report.notes
    )
    facts = Facts.read(tmp_path / "data")
    assert facts.views.of("random_forest") == "features"
    assert facts.views.of("mlp") == "fingerprints"
    assert facts.views.of("rnn") == "tokens"
    bits, tokens = (load_data(str(tmp_path / "data" / view), None) for view in ("fingerprints", "tokens"))
    assert set(np.unique(bits.x_train)) == {0, 1}
    assert np.array_equal(bits.y_test, tokens.y_test)
    for family, epochs in (("random_forest", 4), ("rnn", 1)):
        last, predictor = trained(tmp_path / "data", family, tmp_path, epochs)
        assert np.isfinite(last.loss)
        one, same, other = predictor.predict(["OCCc1ccccc1", "c1ccc(CCO)cc1", "CCCCCCc1ccccc1"])
        assert one == pytest.approx(same)
        assert one != other
        with pytest.raises(UserError, match="row 2 is not valid SMILES: 'hello'"):
            predictor.predict(["CC", "hello"])
        for rows in (["CC", "hello", "CCO"], ["hello"]):
            pd.DataFrame({"smiles": rows}).to_csv(tmp_path / "new.csv", index=False)
            [told] = predictor.stream(tmp_path / "new.csv")
            assert told["row"].tolist() == list(range(1, len(rows) + 1))
            assert told["pIC50"].isna().tolist() == [smiles == "hello" for smiles in rows]
    space = own_task(tmp_path / "data", None, None).space
    assert space["model"].default_value == "random_forest"
    assert json.loads((tmp_path / "data" / "encoder" / "encoder.json").read_text())["smiles"] == "smiles"


def test_scaffolds_do_not_cross_the_parts(compounds):
    found = [molecules.molecule_of(text) for text in compounds["smiles"]]
    groups = molecules.scaffolds(found, np.array(compounds["smiles"]))
    assert set(groups) == {molecules.canonical_smiles(molecules.molecule_of(ring)) for ring in RINGS}


def test_without_rdkit_the_extra_is_named(compounds, tmp_path, monkeypatch):
    compounds.to_csv(tmp_path / "compounds.csv", index=False)
    monkeypatch.setitem(sys.modules, "rdkit", None)
    monkeypatch.setitem(sys.modules, "rdkit.Chem", None)
    with pytest.raises(UserError, match="molecules need the package rdkit; install it with: pip install 'rdkit>="):
        prepare(Request(str(tmp_path / "compounds.csv"), "pIC50"), tmp_path / "data")


@pytest.mark.parametrize("kind", ["text", "molecules"])
def test_later_examples_are_read_by_the_column_that_was_found(kind, reviews, compounds, tmp_path):
    """No option named it, and an update has none."""
    frame, column, target = {"text": (reviews, "body", "verdict"), "molecules": (compounds, "smiles", "pIC50")}[kind]
    frame.to_csv(tmp_path / "first.csv", index=False)
    request = Request(str(tmp_path / "first.csv"), target)
    prepare(request, tmp_path / "data")
    encoder, _ = load_encoder(tmp_path / "data" / "encoder")
    frame.assign(remark="none").to_csv(tmp_path / "later.csv", index=False)
    rows = encoder.labelled(replace(request, data=str(tmp_path / "later.csv")))
    assert list(rows.frame) == [column]
    assert len(rows.labels) == len(frame)
    with pytest.raises(UserError, match=f"the frame has two columns named '{column}'; rename one of them"):
        encoder.encode(encoder.as_frame(pd.concat([frame, frame[column]], axis=1)))
