"""Baselines on small synthetic data: what they must find there, and the command."""

import math

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from automl.cli import run_command
from automl.cli.baseline import app
from automl.data.datasets.registry import SOURCES, load_data
from automl.data.examples import Examples, Parts
from automl.data.molecules import descriptors, fingerprints, parsed
from automl.errors import UserError
from automl.tasks.baselines import (
    BASELINES,
    arrays,
    finance,
    language,
    molecules,
    pronunciation,
    tabular,
    text,
    timeseries,
    translation,
)


def three(x, y):
    """Every fifth example is for validation and every fifth for test."""
    examples = Examples(list(x), list(y))
    places = range(len(examples))
    return Parts(*(examples.take([i for i in places if i % 5 in rest]) for rest in ((0, 1, 2), (3,), (4,))))


def test_there_is_a_baseline_for_each_data_set():
    assert list(BASELINES) == list(SOURCES)


def test_texts_are_told_apart_by_their_words():
    texts = [f"{'goal match' if i % 2 else 'vote law'} word{i % 7} word{i % 3}" for i in range(60)]
    assert text.tfidf_logistic_regression(three(texts, "ab" * 30)) == {"accuracy": 1.0}


def test_rows_are_told_apart():
    rng = np.random.default_rng(0)
    rows = rng.integers(0, 16, (200, 4))
    labels = np.where(rows[:, 0] > 7, "a", "b")
    parts = three(map(tuple, rows.tolist()), labels.tolist())
    assert tabular.forest_or_boosting(parts)["accuracy"] > 0.9


def test_pictures_are_told_apart_by_their_pixels(monkeypatch):
    splits = load_data("digits", 300)
    assert arrays.machine_or_forest(splits)["accuracy"] > 0.93
    monkeypatch.setattr(arrays, "MAX_SVM_EXAMPLES", 100)
    assert 0.9 < arrays.machine_or_forest(splits)["accuracy"] < 0.97  # the forest alone


def test_series_of_different_lengths_are_filled_up():
    series = [np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]], np.float32), np.array([[7.0], [8.0]], np.float32)]
    assert timeseries.vectors(series, 2).tolist() == [[1, 2, 4, 5], [7, 0, 8, 0]]
    rng = np.random.default_rng(0)
    series = [rng.normal(i % 2 * 3, 1, (1, 5 + i % 3)).astype(np.float32) for i in range(60)]
    assert timeseries.regression_or_trees(three(series, "ab" * 30))["accuracy"] > 0.9


def test_har_sees_only_the_past():
    rng = np.random.default_rng(0)
    ranges = np.zeros(600)
    for day in range(1, 600):
        ranges[day] = 0.8 * ranges[day - 1] + rng.normal(0, 0.1)
    days = pd.DataFrame({"High": np.exp(np.exp(ranges) / 100), "Low": 1.0})
    x, y = finance.averages(finance.log_range(days))
    assert x[0] == pytest.approx([ranges[21], ranges[17:22].mean(), ranges[:22].mean()])
    assert y[0] == pytest.approx(ranges[22])
    whole = Parts(days[:400], days[400:500], days[500:])
    assert 0.4 < finance.har(whole)["r2"] < 0.8
    assert len(finance.averages(ranges[500 - 22 :])[1]) == 100


# --- language ---------------------------------------------------------------------------------------------------------


def test_bigrams_with_witten_and_bells_smoothing_by_hand():
    # Training aab: a, b and what was never seen are 3 symbols; n(a) = 2, n(b) = 1, 2 different of 3 characters.
    # After a came a and b: n = 2, t = 2.
    p_a, p_b = (2 + 2 / 3) / 5, (1 + 2 / 3) / 5
    p_b_after_a = (1 + 2 * p_b) / 4
    expected = [math.log2(p_a), math.log2(p_b_after_a)]
    assert language.surprises("aab", "ab", order=2) == pytest.approx(expected)


def test_probabilities_of_the_next_character_sum_to_one():
    train, context = "abracadabra abraham", "abra"
    p = [2 ** language.surprises(train, context + c, 4)[-1] for c in [*sorted(set(train)), "?"]]
    assert sum(p) == pytest.approx(1)


def test_longer_contexts_help():
    parts = Parts("the cat and the hat " * 20, "", "the hat and the cat")
    told = [language.surprises(parts.train, parts.test, order).mean() for order in (1, 2, 3)]
    assert told == sorted(told)
    assert language.five_grams(parts)["bits_per_character"] < 1


# --- translation ------------------------------------------------------------------------------------------------------

ENGLISH = ["the king", "the house", "a king", "a house and bread", "bread", "the bread and a king"]
SPANISH = ["el rey", "la casa", "un rey", "una casa y pan", "pan", "el pan y un rey"]


def test_words_become_those_they_come_with():
    dictionary = translation.dice_dictionary(Examples(ENGLISH, SPANISH))
    assert {word: dictionary[word] for word in ("king", "house", "bread", "and")} == {
        "king": "rey", "house": "casa", "bread": "pan", "and": "y",
    }  # fmt: skip
    assert translation.word_by_word(Examples(ENGLISH, SPANISH), ["King, bread and fish."]) == ["Rey, pan y fish."]


def test_marks_are_joined_to_the_words_they_enclose():
    given = "¿el rey (o la casa)? ¡pan!"
    assert translation.tidy(" ".join(translation.words(given))) == given


def test_the_most_similar_sentence_is_remembered():
    assert translation.from_memory(Examples(ENGLISH, SPANISH), ["bread and a king!"]) == ["el pan y un rey"]


def test_the_better_way_on_validation_is_scored():
    pairs = Examples(ENGLISH, SPANISH)
    scores = translation.dictionary_or_memory(Parts(pairs, pairs, pairs))
    assert scores["bleu"] == pytest.approx(100)
    assert set(scores) == {"bleu", "chrf"}


# --- pronunciation ----------------------------------------------------------------------------------------------------

SOUNDS = {"a": "AE", "b": "B", "x": "K S", "e": "", "t": "T"}
WORDS = ["abxe", "bat", "taxe", "tab", "baxt", "abe", "xa", "tax", "ebat", "axbe"] * 5


def spoken(word):
    return " ".join(filter(None, (SOUNDS[letter] for letter in word)))


def test_letters_are_aligned_with_no_one_or_two_phones():
    costs = pronunciation.alignment_costs([(word, tuple(spoken(word).split())) for word in WORDS])
    assert pronunciation.align("taxe", ("T", "AE", "K", "S"), costs) == [("T",), ("AE",), ("K", "S"), ()]
    assert pronunciation.align("a", ("T", "AE", "K"), costs) == []


def test_rules_speak_unknown_words():
    parts = Parts(
        *(Examples(words, [(spoken(w), "T T T T") for w in words]) for words in (WORDS, [], ["bext", "tatab"]))
    )
    assert pronunciation.letter_rules(parts) == {"error_rate": 0.0}


def test_the_widest_known_context_decides():
    rules = pronunciation.Rules([("ab", [("X",), ("B",)]), ("ac", [("Y",), ()]), ("ac", [("Y",), ()]), ("a", [("Y",)])])
    assert rules("ab") == ["X", "B"]
    assert rules("ad") == ["Y"]  # d was never seen and stays silent


# --- molecules --------------------------------------------------------------------------------------------------------


def test_molecules_as_vectors():
    bits = fingerprints(parsed(["CCO", "OCC", "c1ccccc1"]))
    assert bits.shape == (3, 2048)
    assert np.array_equal(bits[0], bits[1])
    assert descriptors(parsed(["CCO"]))[0].tolist() == pytest.approx([46.07, 0.0, 20.23, 1, 1, 0, 0], abs=0.01)
    with pytest.raises(UserError, match="row 2 is not valid SMILES: 'C1C'"):
        parsed(["CC", "C1C"])


def test_a_forest_learns_the_size_of_molecules(monkeypatch):
    smiles = ["C" * n + "O" * (n % 2) for n in range(1, 31)]
    scores = molecules.random_forest(three(smiles, map(float, range(1, 31))))
    assert scores["rmse"] < 3


# --- the command ------------------------------------------------------------------------------------------------------


def test_unknown_names_and_missing_data_end_in_one_line(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("AUTOML_DATA", str(tmp_path))
    for name, said in (
        ("mnist", "choose one of: mnist1d, digits"),
        ("cmudict", "automl data fetch cmudict"),
    ):
        with pytest.raises(SystemExit, match="2"):
            run_command("baseline", [name])
        error = capsys.readouterr().err
        assert said in error
        assert error.count("\n") == 1


def test_the_table_has_scores_and_seconds(monkeypatch):
    monkeypatch.setattr("automl.cli.baseline.run_baseline", lambda name: ({"bleu": 12.345, "chrf": 30.0}, 1.234))
    shown = CliRunner().invoke(app, ["bible"], env={"COLUMNS": "120"})
    for part in ("bible", "translation memory", "bleu", "12.3", "chrf", "30", "1.2"):
        assert part in shown.output
