"""Data that arrive in parts: the four methods on a small stream, and the summary of their table."""

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_diabetes

from automl.errors import UserError
from benchmarks.experiments import arrivals, streams


def tables(folder):
    """Two parts of a table, and the rest as the test set."""
    folder.mkdir(parents=True)
    frame = load_diabetes(as_frame=True).frame
    parts = [folder / "0.csv", folder / "1.csv"]
    for file, rows in zip(parts, (frame[:150], frame[150:300]), strict=True):
        rows.to_csv(file, index=False)
    tests = [
        arrivals.Test(rows.drop(columns="target"), rows["target"].to_numpy()) for rows in (frame[300:370], frame[370:])
    ]
    return arrivals.Arrivals(parts, tests, ["--target", "target", "--model", "mlp"], 2, "r2")


@pytest.mark.experiment
def test_every_method_has_a_row_per_part_and_full_searches_can_be_kept(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(streams, "STREAMS", {"small": tables})
    out = tmp_path / "streams.csv"
    full = {
        "stream": "small",
        "seed": 0,
        "trials": 1,
        "method": "full search",
        "all": 0.5,
        "said": "",
        "commit": "before",
    }
    others = [{**full, "part": 0, "seed": 1}, {**full, "part": 0, "trials": 2}]
    pd.DataFrame([{**full, "part": 0}, {**full, "part": 1}, *others]).to_csv(out, index=False)
    streams.main(["small"], 0, 1, True, out)
    table = pd.read_csv(out)
    assert (table["seed"] == 1).sum() == 1  # of another seed: it stays
    table = table[table["seed"] == 0]
    assert [(row.part, row.method) for row in table.itertuples()] == [(p, m) for p in (0, 1) for m in streams.METHODS]
    assert set(table[table["commit"] == "before"]["method"]) == {"full search"}
    ours = table[table["method"] != "full search"]
    assert np.isfinite(ours["all"]).all()
    assert ours[ours["part"] == 0]["all"].nunique() == 1  # all from the same first run
    assert "full search" in out.with_suffix(".md").read_text()


def test_the_goal_is_one_point_with_a_fifth_of_the_epochs():
    def row(part, method, score, epochs, said=""):
        return {"stream": "s", "part": part, "method": method, "metric": "r2", "new": score, "old": score, "all": score,
                "epochs": epochs, "seconds": 2.0 * epochs, "said": said}  # fmt: skip

    rows = [row(0, method, 0.1, 100) for method in streams.METHODS]
    rows += [row(1, "never", 0.5, 0), row(1, "update", 0.795, 20, "promoted: it is better"),
             row(1, "new part alone", 0.6, 1), row(1, "full search", 0.8, 100)]  # fmt: skip
    text = streams.summary(pd.DataFrame(rows))
    assert "| s | r2 | update | 0.7950 | 0.7950 | 0.7950 | 20.0 | 1 of 1 |" in text
    assert streams.gaps(pd.DataFrame(rows))["time"].tolist() == [0.2]
    assert "s: the updates are 0.5 points behind the full search, with 20% of its epochs: the goal is reached" in text


def test_only_the_newest_part_counts_if_later_parts_contain_earlier_test_rows():
    rows = [
        {"stream": "sp500", "part": 1, "method": method, "metric": "r2", "new": new, "old": 0.9, "all": 0.9,
         "epochs": 10, "seconds": 1.0, "said": ""}
        for method, new in zip(streams.METHODS, (0.1, 0.2, 0.1, 0.25), strict=True)
    ]  # fmt: skip
    text = streams.summary(pd.DataFrame(rows))
    assert "| sp500 | r2 | update | 0.2000 |  |  | 10.0 |" in text
    assert "sp500: the updates are 5.0 points behind" in text


def test_an_unknown_stream_is_rejected(tmp_path):
    with pytest.raises(UserError, match="unknown stream 'river'; choose one of:"):
        streams.main(["river"], out=tmp_path / "streams.csv")
    assert not list(tmp_path.iterdir())
