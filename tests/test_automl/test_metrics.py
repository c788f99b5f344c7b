"""Metrics of sequences, against hand-computed values."""

import numpy as np
import pytest

from automl.metrics import edit_distance, loss_of, measure


@pytest.mark.parametrize(
    ("a", "b", "distance"), [("", "", 0), ("abc", "abc", 0), ("abc", "", 3), ("kitten", "sitting", 3), ("ab", "ba", 2)]
)
def test_edit_distance(a, b, distance):
    assert edit_distance(a, b) == edit_distance(b, a) == distance


def test_the_nearest_reference_counts():
    assert measure("error_rate", [("K AH", "K AE T S"), ("D",)], ["K AE T", "D"]) == 1 / 5
    assert measure("error_rate", [("A B",)], [""]) == 1
    assert measure("error_rate", ["a b", "c d"], ["a b", "c e"]) == 1 / 4


def test_perfect_and_useless_translations():
    wanted = ["Y dijo Dios: Sea la luz.", "En el principio cri\u00f3 Dios los cielos."]
    references = [(text,) for text in wanted]
    assert measure("bleu", references, wanted) == pytest.approx(100)
    assert measure("chrf", references, wanted) == pytest.approx(100)
    assert measure("bleu", references, ["x", "x"]) < 1
    assert loss_of("bleu", 30.0) == 70


def test_bits_are_the_mean_surprise():
    assert measure("bits_per_character", "abcd", np.log2([0.5, 0.25, 1.0, 0.5])) == 1
    assert loss_of("bits_per_character", 1.5) == 1.5
