"""Numbers and counts in words."""

import math

import numpy as np
import pytest

from automl.analysis.formatting import setting, show_deviation
from automl.analysis.tables import _difference
from automl.cli.terminal import _n_decimals, short_config
from automl.wording import counted, significant


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (13421.3, "13,420"), (-13421.3, "-13,420"), (999_900.0, "999,900"), (np.float64(2026.0), "2026"),
        (9999.9, "10,000"), (123.456, "123.5"), (0.25, "0.25"), (0.000123456, "0.0001235"), (0.0, "0"), (9.99996, "10"),
        (1e6, "1e+06"), (2_345_678.0, "2.346e+06"), (1.3e-5, "1.3e-05"), (math.inf, "inf"),
    ],
)  # fmt: skip
def test_only_very_small_and_very_large_numbers_have_an_exponent(value, shown):
    assert significant(value) == shown
    assert setting(value) == shown
    assert short_config({"x": value}) == f"x={shown}"


def test_deviations_and_differences_of_large_scores_have_no_exponent():
    assert show_deviation([10_000.0, 13_000.0]) == "2100"
    assert [_n_decimals(shown) for shown in ("13,096", "21,743.10", "-0.5", "failed")] == [0, 2, 1, 4]
    assert (_difference(13_000.0, 10_000.0), _difference(10_000.0, 13_000.0)) == ("+3000", "-3000")


@pytest.mark.parametrize(("n", "words"), [(0, "0 trials"), (1, "1 trial"), (1200, "1,200 trials")])
def test_a_count_is_singular_or_plural(n, words):
    assert counted(n, "trial") == words
