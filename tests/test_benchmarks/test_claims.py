"""The README's table of what was measured."""

from pathlib import Path

import pytest

from benchmarks.experiments import claims

ROOT = Path(__file__).parents[2]


def test_the_readme_has_the_numbers_of_the_results(monkeypatch):
    monkeypatch.chdir(ROOT)
    lines = "\n".join(claims.table(Path("results")))
    assert lines in (ROOT / "README.md").read_text(encoding="utf-8"), "run python -m benchmarks.experiments.claims"


@pytest.mark.parametrize(
    ("low", "high", "found"),
    [(-0.2, -0.1, "yes"), (-0.1, 0.1, "no difference is shown"), (0.1, 0.2, "no, the opposite")],
)
def test_a_claim_holds_where_its_interval_excludes_equality(low, high, found):
    assert claims._found(low, high, 0) == found
