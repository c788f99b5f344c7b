"""What learners read of texts and images: counts of n-grams, gradients and colours."""

import numpy as np
import pytest
from scipy.sparse import hstack
from sklearn.feature_extraction.text import CountVectorizer

from automl.data.inputs import Columns, Texts, inputs_from_json, inputs_to_json, text_array
from automl.data.memory_map import read_prepared, write_prepared
from automl.data.ngrams import WORD_COLUMNS, count_ngrams
from automl.data.rows import as_rows, image_features
from automl.data.splits import Splits
from automl.data.targets import Classes
from automl.data.words import WORD
from automl.errors import Blocked

TEXTS = ["The cat saw the cat", "a dog saw a cat!", "Ça va\tbien :)", "", "x", "👍👍 दिन है", "👎 दान C++"]


def test_ngrams_are_those_of_scikit_learn():
    """The same inner products of texts, whatever the columns are called."""
    counts = count_ngrams(text_array(TEXTS))
    words = CountVectorizer(token_pattern=WORD.pattern, ngram_range=(1, 2)).fit_transform(TEXTS)
    characters = CountVectorizer(analyzer="char_wb", ngram_range=(2, 5)).fit_transform(TEXTS)
    theirs = hstack([words, characters])
    assert (counts @ counts.T).toarray().tolist() == (theirs @ theirs.T).toarray().tolist()
    assert counts[:, :WORD_COLUMNS].sum() == words.sum()
    assert count_ngrams([]).shape == (0, counts.shape[1])


def test_texts_that_differ_in_signs_alone_have_different_ngrams():
    for one, other in [("दिन", "दान"), ("है", "हो"), ("so 👍", "so 👎"), ("C++ dev", "C# dev"), ("Really?", "Really!")]:
        first, second = count_ngrams([one, other])
        assert (first - second).nnz > 0, (one, other)
    assert WORD.findall("अच्छी किताब, C'est ça") == ["अच्छी", "किताब", "C", "est", "ça"]


def test_texts_that_cannot_be_encoded_are_counted_all_the_same():
    assert count_ngrams(["\ud800 lone", "lone"]).sum(1).min() > 0


def test_prepared_texts_are_read_as_they_were_written(tmp_path):
    x = text_array([*TEXTS, "日本"])
    y = np.zeros(len(x), np.int64)
    write_prepared(Splits(x, y, x[:2], y[:2], x[:0], y[:0], Texts(), Classes(("a", "b"))), tmp_path)
    found = read_prepared(tmp_path)
    assert found.x_train.tolist() == x.tolist()
    assert found.x_valid.tolist() == TEXTS[:2]
    assert len(found.x_test) == 0
    assert found.inputs == Texts()


@pytest.mark.parametrize("name", ["x_train.npy", "x_train.ends.npy", "y_test.npy", "rules.json"])
def test_damaged_prepared_data_are_named_in_one_line(tmp_path, name):
    x, y = text_array([*TEXTS, "日本"]), np.zeros(len(TEXTS) + 1, np.int64)
    write_prepared(Splits(x, y, x, y, x, y, Texts(), Classes(("a", "b"))), tmp_path)
    whole = (tmp_path / name).read_bytes()
    for content in (b"", whole[: len(whole) - 9], b"garbage", b"[1]"):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(
            Blocked, match=rf"^'{tmp_path / name}' is damaged \(.+\); copy it back, or start a new run$"
        ):
            read_prepared(tmp_path)
    if "ends" not in name:  # without it, they are no texts
        (tmp_path / name).unlink()
        with pytest.raises(Blocked, match=rf"^'{tmp_path / name}' is missing; copy it back, or start a new run$"):
            read_prepared(tmp_path)


def test_only_gaps_that_training_rows_do_not_have_are_filled():
    x = np.array([[1.0, np.nan, 1], [3.0, 2.0, 0]], np.float32)
    inputs = Columns.of(x, (2,))
    new = np.array([[np.nan, np.nan, 0]], np.float32)
    assert np.array_equal(inputs.filled(new), [[2.0, np.nan, 0]], equal_nan=True)
    assert np.isnan(new[0, 0]), "the rows themselves are not changed"
    assert inputs_from_json(inputs_to_json(inputs)) == inputs


def test_rows_of_a_table_stay_as_they_are():
    table = np.arange(6, dtype=np.float32).reshape(3, 2)
    assert (as_rows(table) == table).all()
    assert as_rows(table[:, None]).shape == (3, 2)


def test_gradients_and_colours_tell_images_apart():
    stripes = np.zeros((16, 16), np.uint8)
    stripes[::4] = stripes[1::4] = 200
    red, green = np.zeros((2, 3, 16, 16), np.uint8)
    red[0], green[1] = 255, 255
    lying, standing = image_features(np.stack([stripes, stripes.T])[:, None])
    assert np.abs(lying - standing).max() > 0.5
    one, other = image_features(np.stack([red, green]))
    assert np.abs(one - other).max() == 255
    flat = image_features(np.full((1, 1, 16, 16), 7, np.uint8))
    assert (flat[0, : 9 * (16 + 4)] == 0).all(), "an even image has no gradients"
    assert as_rows(np.zeros((0, 3, 16, 16), np.uint8)).shape == (0, len(one))
