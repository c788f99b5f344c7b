"""Simulations of intervals and verdicts, small."""

import pandas as pd
import pytest

from benchmarks.experiments import coverage


def test_shares_of_right_intervals_and_verdicts_are_written_to_the_table_and_the_page(tmp_path, monkeypatch):
    monkeypatch.setattr(coverage, "UNITS", (5, 12))
    page, out = tmp_path / "page.md", tmp_path / "coverage.csv"
    page.write_text("before\n<!-- coverage -->\n<!-- /coverage -->\nafter\n")
    coverage.main(samples=2_000, comparisons=3, out=out, page=page)
    table = pd.read_csv(out)
    covered, named = table[table["regrets"].notna()], table[table["n_better"].notna()]
    assert (len(covered), len(named)) == (4, 6)
    assert covered["covered95"].between(0.85, 0.97).all()
    assert (covered["covered80"] < covered["covered95"]).all()
    text = page.read_text()
    share = covered.set_index(["regrets", "n_units"]).loc[("exponential", 12), "covered80"]
    row = next(line for line in text.splitlines() if line.startswith("| exponential | 80% |"))
    assert row.endswith(f"| {share:.0%} |")
    assert text.startswith("before\n")
    assert text.endswith("after\n")


@pytest.mark.parametrize(("n_better", "wrong", "named"), [(1, 0.0, 0.9), (2, 0.1, 0.9)])
def test_strategies_that_are_twice_as_good_are_named(n_better, wrong, named):
    found = coverage.verdicts(n_better, 17, 10)
    assert found["wrong"] <= wrong
    assert found["one"] + found["several"] >= named
