"""Corrections for several tests."""

import pytest

from automl.analysis.multiple_testing import holm


def test_holm_against_a_worked_example():
    # Sorted: .005 x 4, .01 x 3, .03 x 2, .04 x 1, and none below the one before.
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert list(holm([0.5, 0.6])) == [1.0, 1.0]
