"""A short comparison of lanes and single trainings; the measured speeds are not checked."""

import pandas as pd

from benchmarks.experiments.fused import ALONE, main


def test_a_short_comparison_writes_both_tables(tmp_path):
    main(models="cnn-8,mlp-32", lanes="1,2", repeats=1, seeds=1, train_size=100, device="cpu", out=tmp_path / "f.csv")
    table = pd.read_csv(tmp_path / "f.csv")
    assert table["model"].tolist() == ["cnn-8"] * 3 + ["mlp-32"] * 3
    assert table["lanes"].tolist() == [ALONE, 1, 2] * 2
    assert (table.loc[table["lanes"] == ALONE, "times_alone"] == 1).all()
    assert (table["trainings_an_hour"] > 0).all()
    seeds = pd.read_csv(tmp_path / "f-seeds.csv")
    assert list(seeds) == ["seed", "alone", "lane"]
    assert (seeds["alone"] - seeds["lane"]).abs().max() < 0.05
