"""Texts in a column of a table, as features of its models."""

import json

import numpy as np
import pandas as pd
import pytest

from automl.data.ingest.kinds import load_encoder
from automl.data.ingest.prepare import prepare
from automl.data.ingest.request import Request
from automl.data.ingest.text_features import TextFeatures
from automl.data.memory_map import read_prepared

GOOD, BAD = (
    ("lovely warm and cosy place", "great view from the window"),
    ("dirty and loud at night", "rude staff, never again"),
)


def reviews(n, seed=0):
    """Rooms, whose prices follow from their size and from what a guest wrote; a number makes each text unique."""
    rng = np.random.default_rng(seed)
    good = rng.random(n) < 0.5
    words = [(GOOD if one else BAD)[rng.integers(2)] for one in good]
    frame = pd.DataFrame(
        {"size": rng.normal(20, 5, n), "review": [f"{text}, room {i}" for i, text in enumerate(words)]}
    )
    frame.loc[frame.index % 17 == 0, "review"] = None
    return frame.assign(price=50 + frame["size"] + 30 * good + rng.normal(0, 1, n))


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    place = tmp_path_factory.mktemp("reviews")
    reviews(200).to_csv(place / "rooms.csv", index=False)
    report = prepare(Request(str(place / "rooms.csv"), target="price"), place / "data")
    return place / "data", report


def test_a_column_of_sentences_becomes_numbers_that_say_what_they_say(data):
    folder, report = data
    assert report.facts["columns"] == "2 used: numbers 1, texts 1"
    splits = read_prepared(folder / "columns")
    assert splits.inputs.cardinalities == ()
    with_text = np.abs(splits.x_train[:, 1:]).sum(1) > 0
    assert 0.9 < with_text.mean() < 1, "zeros where there is no text"
    x = np.column_stack([splits.x_train, np.ones(len(splits.x_train))])[with_text]
    y = splits.y_train[with_text]
    left = y - x @ np.linalg.lstsq(x, y, rcond=None)[0]
    assert left.std() < 3, "the review explains what the size does not"


def test_the_encoder_is_the_same_after_it_was_saved_and_takes_records(data):
    folder, _ = data
    encoder, content = load_encoder(folder / "encoder")
    new = reviews(30, 1)
    again = type(encoder).from_json(json.loads(json.dumps(encoder.to_json())))
    assert (again.encode(new)["columns"] == encoder.encode(new)["columns"]).all()
    assert [column["role"] for column in content["columns"]] == ["number", "text"]
    frame = encoder.from_records([{"size": 20, "review": GOOD[0]}, {"size": 20, "review": None}])
    encoded = encoder.encode(frame)["columns"]
    assert np.abs(encoded[0, 1:]).max() > 0.1
    assert (encoded[1, 1:] == 0).all()
    assert encoder.features[1].name == "review (component 1)"
    assert encoder.record_schema()["properties"]["review"] == {"type": ["string", "null"]}


def test_features_are_those_of_scikit_learn():
    from sklearn.decomposition import TruncatedSVD
    from sklearn.feature_extraction.text import TfidfVectorizer

    texts = reviews(100)["review"].fillna("").tolist()
    features = TextFeatures.fit(texts)
    found = TfidfVectorizer(sublinear_tf=True, min_df=2).fit_transform(texts)
    expected = TruncatedSVD(features.n_outputs, random_state=0).fit(found).transform(found)
    assert features(texts) == pytest.approx(expected, abs=1e-4)
    assert features([]).shape == (0, features.n_outputs), "as of a test set that is not wanted"
    assert TextFeatures.fit(["alpha", "beta", ""]) is None, "no word is in two texts"
    with pytest.raises(ValueError, match="have different sizes"):
        TextFeatures.from_json(features.to_json() | {"frequencies": [1.0]})
