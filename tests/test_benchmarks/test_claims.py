"""The numbers of README and docs."""

import shutil
from pathlib import Path

import pytest

from benchmarks.experiments import claims

ROOT = Path(__file__).parents[2]


def test_the_pages_have_the_numbers_of_the_results(tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT)
    names = ["README.md", "docs/how-to/tables.md", "docs/strategies/bo.md", "docs/strategies/auto.md"]
    pages = [Path(name) for name in names]
    copies = [Path(shutil.copy(page, tmp_path)) for page in pages]
    claims.main(Path("results"), *copies)
    for page, copy in zip(pages, copies, strict=True):
        assert copy.read_text() == page.read_text(), "run python -m benchmarks.experiments.claims"


@pytest.mark.parametrize(
    ("low", "high", "found"),
    [(-0.2, -0.1, "yes"), (-0.1, 0.1, "inconclusive"), (0.1, 0.2, "no")],
)
def test_a_claim_holds_where_its_interval_excludes_equality(low, high, found):
    assert claims._found(low, high, 0) == found
