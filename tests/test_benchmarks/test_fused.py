"""A short comparison of lanes and single trainings; the measured speeds are not checked."""

import pandas as pd
import pytest
import torch

from automl.training.lanes import can_share
from benchmarks.experiments.fused import ALONE, MODELS, begun, main


def test_a_short_comparison_writes_both_tables(tmp_path):
    main(
        models="image-cnn-8", lanes="1,2", processes="2", repeats=1, seeds=1, train_size=100, device="cpu",
        out=tmp_path / "f.csv", page=None,
    )  # fmt: skip
    table = pd.read_csv(tmp_path / "f.csv")
    assert table["model"].tolist() == ["image-cnn-8"] * 4
    assert table["lanes"].tolist() == [ALONE, 1, 2, ALONE]
    assert table["processes"].tolist() == [1, 1, 1, 2]
    assert table["times_alone"].iloc[0] == 1
    assert (table["trainings_an_hour"] > 0).all()
    *lanes, processes = table["peak_mb"]
    assert all(100 < peak < 2_000 for peak in lanes)  # torch alone takes 100 or more
    assert processes > 1.5 * max(lanes)
    seeds = pd.read_csv(tmp_path / "f-seeds.csv")
    assert list(seeds) == ["seed", "alone", "lane"]
    assert (seeds["alone"] - seeds["lane"]).abs().max() < 0.05


@pytest.mark.parametrize("name", MODELS)
def test_every_model_has_lanes(name):
    assert can_share(begun(name, 0, 100, torch.device("cpu")))
