"""Metrics of generated sequences, by hand."""

import pytest

from automl.sequence_metrics import bleu_and_chrf, edit_distance, error_rate


@pytest.mark.parametrize(
    ("a", "b", "distance"), [("", "", 0), ("abc", "abc", 0), ("abc", "", 3), ("kitten", "sitting", 3), ("ab", "ba", 2)]
)
def test_edit_distance(a, b, distance):
    assert edit_distance(a, b) == edit_distance(b, a) == distance


def test_the_nearest_reference_counts():
    assert error_rate([["K", "AE", "T"], ["D"]], [[["K", "AH"], ["K", "AE", "T", "S"]], [["D"]]]) == 1 / 5
    assert error_rate([[]], [[["A", "B"]]]) == 1


def test_perfect_and_useless_translations():
    references = ["Y dijo Dios: Sea la luz.", "En el principio crió Dios los cielos."]
    assert bleu_and_chrf(references, references) == pytest.approx({"bleu": 100, "chrf": 100})
    assert bleu_and_chrf(["x", "x"], references)["bleu"] < 1
