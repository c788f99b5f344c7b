"""The measurement of reading a large file, with a small one."""

import pandas as pd
import pytest

from benchmarks.experiments.large_csv import main, write_file


@pytest.mark.experiment
def test_both_ways_are_measured(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    main(1, tmp_path / "large.csv")
    table = pd.read_csv(tmp_path / "large.csv")
    assert table["what"].tolist() == ["prepare", "pandas.read_csv"]
    assert (table["peak_megabytes"] > table["megabytes"]).all()  # the packages alone are more
    assert [each.name for each in tmp_path.iterdir()] == ["large.csv"]


def test_the_file_has_the_requested_size(tmp_path):
    n = write_file(tmp_path / "large.csv", 1_000)
    assert len(pd.read_csv(tmp_path / "large.csv")) == n
