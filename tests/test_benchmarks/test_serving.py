"""A short load test with a real server and two clients; the measured values are not checked."""

import pandas as pd
import pytest

from benchmarks.experiments.serving import COLUMNS, main


@pytest.mark.experiment
def test_every_request_of_a_short_load_test_succeeds(tmp_path):
    main(out=tmp_path / "serving.csv", models="linear", concurrency="1,2", rows="3", seconds=0.3)
    table = pd.read_csv(tmp_path / "serving.csv")
    assert list(table) == COLUMNS.split(",")
    assert table[["model", "rows", "concurrency"]].to_numpy().tolist() == [["linear", 3, 1], ["linear", 3, 2]]
    assert table["errors"].tolist() == [0, 0]
    assert (table["requests"] > 0).all()
    assert (table["p50_ms"] <= table["p99_ms"]).all()
