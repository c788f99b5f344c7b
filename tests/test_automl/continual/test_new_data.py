"""New examples: which of them are trained on, and which judge."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from delays import delays
from planned_runs import Request
from processes import invoke

from automl.continual.new_data import n_old, read_new, request_for, unite
from automl.data.ingest.kinds import load_encoder
from automl.data.ingest.prepare import group_hashes, groups_of, prepare
from automl.data.memory_map import read_prepared
from automl.errors import UserError


def test_a_run_that_is_not_on_own_data_is_not_updated(tmp_path):
    with pytest.raises(UserError, match="only runs on your own data"):
        request_for(None, tmp_path)
    with pytest.raises(UserError, match="there is no run in"):
        invoke("update", tmp_path)


def test_a_target_without_any_class_of_the_model_is_named(tmp_path):
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"x": rng.normal(size=100), "y": np.tile(["up", "down"], 50)})
    frame.to_csv(tmp_path / "old.csv", index=False)
    frame.assign(y=rng.normal(size=100).round(3)).to_csv(tmp_path / "new.csv", index=False)
    request = Request(str(tmp_path / "old.csv"), "y")
    prepare(request, tmp_path / "data")
    encoder, _ = load_encoder(tmp_path / "data" / "encoder")
    target = read_prepared(tmp_path / "data" / "columns").target
    with pytest.raises(UserError, match="'y' has none of the classes of the model, down, up, and no other with 5 rows"):
        read_new(encoder, replace(request, data=str(tmp_path / "new.csv")), target, tmp_path / "data")


def test_copies_and_rows_of_groups_that_judge_are_not_trained_on(tmp_path):
    def visits(customers, seed):
        rng = np.random.default_rng(seed)
        x = rng.normal(size=len(customers))
        return pd.DataFrame({"customer": customers, "x": x, "y": x + rng.normal(0, 0.1, len(customers))})

    visits(np.repeat(np.arange(60), 4), 0).to_csv(tmp_path / "old.csv", index=False)
    request = Request(str(tmp_path / "old.csv"), "y", group="customer", kind="regression")
    prepare(request, tmp_path / "data")
    encoder, _ = load_encoder(tmp_path / "data" / "encoder")
    target = read_prepared(tmp_path / "data" / "columns").target

    known = visits(np.repeat(np.arange(60), 2), 1)
    news = visits(np.repeat(np.arange(60, 120), 2), 2)
    pd.concat([known, news, news]).to_csv(tmp_path / "new.csv", index=False)
    new = read_new(encoder, replace(request, data=str(tmp_path / "new.csv")), target, tmp_path / "data")
    held_out = groups_of(tmp_path / "data", "valid", "test")
    assert len(set(held_out)) > 10
    assert not np.isin(new.groups[new.parts.train], held_out).any()
    assert any("of groups in the run's validation or test set are not trained on" in note for note in new.notes)
    learned = groups_of(tmp_path / "data", "train")
    judging = np.concatenate([new.parts.valid, new.parts.test])
    assert not np.isin(new.groups[judging], learned).any(), "the model in use knows these groups"
    assert np.isin(new.groups[new.parts.train], learned).any()

    unite(tmp_path / "data", new, tmp_path / "united")
    for part in ("train", "valid", "test"):
        united = read_prepared(tmp_path / "united" / "columns")
        assert len(groups_of(tmp_path / "united", part)) == len(getattr(united, f"y_{part}"))
    assert not np.isin(groups_of(tmp_path / "united", "train"), held_out).any()

    judges = groups_of(tmp_path / "data", "test")
    all_but_test = read_new(
        encoder, replace(request, data=str(tmp_path / "new.csv")), target, tmp_path / "data", ("test",)
    )
    trained_on = all_but_test.groups[all_but_test.parts.train]
    assert not np.isin(trained_on, judges).any()
    assert np.isin(trained_on, held_out).any(), (
        "a model that was fitted to the validation set is judged by the test set"
    )
    unite(tmp_path / "data", all_but_test, tmp_path / "fitted", fits_valid=True)
    assert np.isin(groups_of(tmp_path / "data", "valid"), groups_of(tmp_path / "fitted", "train")).all()

    judging = known[np.isin(group_hashes(known["customer"].to_numpy()), held_out)]
    pd.concat([judging] * 3).assign(x=lambda f: np.arange(len(f))).to_csv(tmp_path / "judging.csv", index=False)
    with pytest.raises(UserError, match="all groups of the new training examples are in the run's validation or test"):
        read_new(encoder, replace(request, data=str(tmp_path / "judging.csv")), target, tmp_path / "data")


@pytest.mark.parametrize(("fits_valid", "n"), [(False, 10), (True, 240)])
def test_only_a_model_that_is_fitted_to_all_rows_is_trained_on_all_old_ones(fits_valid, n, tmp_path, monkeypatch):
    monkeypatch.setattr("automl.continual.new_data.MAX_REPLAYED", 10)
    frame = delays(300, 0).drop(columns="counts")
    frame.to_csv(tmp_path / "old.csv", index=False)
    request = Request(str(tmp_path / "old.csv"), "delay", kind="table")
    prepare(request, tmp_path / "data")
    encoder, _ = load_encoder(tmp_path / "data" / "encoder")
    delays(100, 1).drop(columns="counts").to_csv(tmp_path / "new.csv", index=False)
    target = read_prepared(tmp_path / "data" / "columns").target
    new = read_new(encoder, replace(request, data=str(tmp_path / "new.csv")), target, tmp_path / "data")
    unite(tmp_path / "data", new, tmp_path / "united", fits_valid=fits_valid)
    assert n_old(tmp_path / "united")["train"] == n

    rows = [pd.read_csv(tmp_path / name) for name in ("old.csv", "new.csv")]
    pd.concat([*rows, delays(50, 2).drop(columns="counts")]).to_csv(tmp_path / "grown.csv", index=False)
    grown = replace(request, data=str(tmp_path / "grown.csv"))
    later = read_new(encoder, grown, target, tmp_path / "united", older=[tmp_path / "data"])
    assert len(later.y) == 50, "rows that were not kept are known all the same"


def test_copies_of_a_new_row_are_on_one_side(tmp_path):
    frame = delays(300, 0).drop(columns="counts")
    frame.to_csv(tmp_path / "old.csv", index=False)
    request = Request(str(tmp_path / "old.csv"), "delay", kind="table")
    prepare(request, tmp_path / "data")
    encoder, _ = load_encoder(tmp_path / "data" / "encoder")
    news = delays(100, 1).drop(columns="counts")
    pd.concat([news, news.head(60)]).to_csv(tmp_path / "new.csv", index=False)
    target = read_prepared(tmp_path / "data" / "columns").target
    new = read_new(encoder, replace(request, data=str(tmp_path / "new.csv")), target, tmp_path / "data")
    train, valid, test = (set(new.arrays["columns"][part].ravel().tolist()) for part in new.parts)
    assert not train & valid
    assert not (train | valid) & test
    assert sum(map(len, new.parts)) == 160
