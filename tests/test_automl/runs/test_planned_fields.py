"""Texts, images, molecules and sequences by the default plan, from files to a model and what follows."""

import json
import shutil
from collections import Counter

import numpy as np
import pandas as pd
import pytest
import small_models
from planned_runs import Request, planned_run

import automl
from automl.cli.export import write_onnx
from automl.continual.update import update
from automl.data.datasets.registry import load_data
from automl.data.ingest.prepare import Facts, prepare
from automl.deployment.json_predictions import JsonPredictions
from automl.errors import UserError
from automl.runs.latency import milliseconds_per_row
from automl.runs.member_candidates import MemberCandidate
from automl.runs.members import fitted_models
from automl.study.run_folder import RunFolder
from automl.study.trial import Trial
from automl.task import TrainingFailed
from automl.tasks import field_plans
from automl.tasks.cross_validated import cross_validated, described_plan
from automl.tasks.families import families_of, presets, suits
from automl.tasks.time_limit import n_folds_within, seconds_of_the_first
from automl.training.fold_files import RECORD
from automl.tuning.executor import SerialExecutor


@pytest.fixture(scope="module")
def texts(tmp_path_factory):
    place = tmp_path_factory.mktemp("texts")
    frame = small_models.texts(place / "given")
    run, card = planned_run(
        Request(str(place / "given/reviews.csv"), "verdict", text="body"), place, folds=2, n_trials=3
    )
    return place, frame, run, card


def test_a_model_of_texts_predicts_from_files_and_requests(texts, tmp_path):
    _, frame, run, card = texts
    assert card["test"]["accuracy"] > 0.9
    assert {member["family"] for member in card["members"]} <= set(field_plans.FAMILIES["text"])
    model = automl.load(run)
    frame.head(30).to_csv(tmp_path / "new.csv", index=False)
    (predicted,) = model.stream(tmp_path / "new.csv", Counter())
    assert (predicted["verdict"] == frame["verdict"].head(30)).mean() > 0.9
    answer = JsonPredictions(model).response(["a superb scene", {"body": "an awful plot"}])
    assert answer["predictions"] == ["good", "bad"]


def test_no_file_of_a_model_of_texts_is_pickled(texts):
    *_, run, _ = texts
    files = {file.suffix for file in (run / "model").rglob("*") if file.is_file()}
    assert files <= {".json", ".npz", ".txt", ".md"}
    for file in (run / "model").rglob("*.npz"):
        with np.load(file, allow_pickle=False) as content:
            assert all(content[name].dtype.kind in "fi" for name in content.files)


def test_a_model_of_texts_has_no_onnx_form_and_the_message_says_which_would(texts, tmp_path):
    *_, run, _ = texts
    with pytest.raises(UserError, match=r"no ONNX form: tfidf.*--model cnn,rnn,transformer gives"):
        write_onnx(run, tmp_path / "model.onnx")


def test_a_model_of_texts_is_updated(texts, tmp_path):
    _, frame, run, _ = texts
    shutil.copytree(run, tmp_path / "copy")
    more = frame.assign(body=frame["body"] + " by the sea").sample(120, random_state=0)
    more.to_csv(tmp_path / "more.csv", index=False)
    facts = update(RunFolder(tmp_path / "copy"), tmp_path / "more.csv")
    assert facts["candidates"][0]["what"] == "retrained"
    assert {each["name"] for each in facts["drift"]} == {"words", "characters"}
    assert automl.load(tmp_path / "copy").predict(["superb"]).tolist() == ["good"]


def test_texts_with_numbers_to_predict(tmp_path):
    small_models.texts(tmp_path / "given")
    frame = pd.read_csv(tmp_path / "given/reviews.csv")
    rng = np.random.default_rng(0)
    frame["stars"] = np.where(frame["verdict"] == "good", 4.0, 1.0) + rng.normal(0, 0.2, len(frame)).round(3)
    frame.to_csv(tmp_path / "stars.csv", index=False)
    request = Request(str(tmp_path / "stars.csv"), "stars", text="body", no_test=True)
    run, card = planned_run(request, tmp_path, folds=2, n_trials=1)
    assert card["validation"] < 0.7 * frame["stars"].std()
    assert card["test"] == {}
    assert card["data"]["test"] == 0
    assert automl.load(run).predict(["superb film"])[0] > 3


def test_a_network_of_images_is_refitted_to_all_of_them_or_kept_for_each_fold(tmp_path):
    small_models.pictures(tmp_path / "given")
    photos = Request(str(tmp_path / "given/photos"))
    run, card = planned_run(photos, tmp_path / "one", folds=1, n_trials=2, model="cnn,linear")
    assert card["test"]["accuracy"] > 0.9
    folders = [member["folder"] for member in card["members"]]
    assert all("-" not in folder for folder in folders), "one model each, of all rows"
    names = {"zero", "one", "seven"}
    assert set(automl.load(run).predict(tmp_path / "given/photos")) <= names
    if {member["family"] for member in card["members"]} == {"cnn"}:
        write_onnx(run, tmp_path / "model.onnx")
    run, card = planned_run(photos, tmp_path / "two", folds=2, n_trials=1, model="cnn")
    assert [member["folder"] for member in card["members"]] == ["members/0-0", "members/0-1"]
    write_onnx(run, tmp_path / "model.onnx")
    assert (tmp_path / "model.onnx").stat().st_size > 1_000


def test_molecules_and_what_they_are_updated_with(tmp_path):
    frame = small_models.molecules(tmp_path / "given")
    request = Request(str(tmp_path / "given/compounds.csv"), "pIC50")
    run, card = planned_run(request, tmp_path, folds=1, n_trials=2)
    assert card["test"]["r2"] > 0.5
    known = automl.load(run).predict(frame)
    assert np.corrcoef(known, frame["pIC50"])[0, 1] > 0.9
    frame.assign(smiles="N" + frame["smiles"]).to_csv(tmp_path / "more.csv", index=False)
    facts = update(RunFolder(run), tmp_path / "more.csv")
    assert facts["candidates"][0]["what"] == "retrained"


@pytest.mark.parametrize("ragged", [False, True])
def test_sequences(ragged, tmp_path):
    sequences = small_models.waves(tmp_path / "given", ragged=ragged)
    run, card = planned_run(Request(str(tmp_path / "given/waves.ts")), tmp_path, folds=2, n_trials=3)
    assert card["test"]["accuracy"] > 0.9
    assert set(automl.load(run).predict(sequences)) == {"slow", "fast"}


def test_trees_on_sequences_have_an_onnx_form(tmp_path):
    small_models.waves(tmp_path / "given", ragged=False)
    run, _ = planned_run(Request(str(tmp_path / "given/waves.ts")), tmp_path, folds=2, n_trials=1, model="extra_trees")
    write_onnx(run, tmp_path / "model.onnx")
    assert (tmp_path / "model.onnx").stat().st_size > 1_000


def test_the_plan_follows_the_time_and_the_examples(texts):
    place, *_ = texts
    data = place / "run/data"
    assert n_folds_within(data, 600, 1) == 8
    assert n_folds_within(data, 1e-3, 1) == 1
    small, large = (np.zeros((n, 1, 64, 64), np.uint8) for n in (100, 20_000))
    assert field_plans.epochs_within(small, 600.0) == (60, True)
    assert field_plans.epochs_within(large, 60.0) == (5, False)
    assert "transformer" not in field_plans.families("text", 1_000, 1e4)
    assert "transformer" in field_plans.families("text", 50_000, 1e4)


@pytest.mark.parametrize("kind", list(field_plans.FAMILIES))
def test_every_family_has_a_preset(kind):
    assert {preset["model"] for preset in field_plans.PRESETS[kind]} == set(field_plans.FAMILIES[kind])


def test_presets_of_texts_lie_in_their_space(texts):
    place, *_ = texts
    task = cross_validated(place / "run/data", 2, None, None)
    found = presets(task.space, "text")
    assert len(found) == sum(preset["model"] in ("tfidf", "lsa_lightgbm") for preset in field_plans.PRESETS["text"])
    assert Facts.read(place / "run/data").views.of("tfidf") == "texts"
    assert suits("text", "tfidf,cnn")
    assert not suits("text", "linear")


def test_networks_read_their_own_arrays_though_the_families_depend_on_the_workers(texts, monkeypatch):
    """A run builds its task again without the number of workers, with the space that it has."""
    monkeypatch.setattr(field_plans, "MANY_EXAMPLES", 10)
    data = texts[0] / "run/data"
    new = cross_validated(data, 2, None, None, time_limit=300.0, n_workers=4)
    again = cross_validated(data, 2, None, None, time_limit=300.0)
    assert "cnn" in families_of(new.space)
    assert "cnn" not in families_of(again.space)
    assert again.data_of("cnn") == new.data_of("cnn") != again.data_of("tfidf")


def test_the_folds_suit_the_families_that_were_asked_for(texts, monkeypatch):
    data = texts[0] / "run/data"
    monkeypatch.setattr(field_plans, "slowness", lambda: 1.0)
    monkeypatch.setattr(field_plans, "SECONDS_PER_TOKEN", 0.01)
    assert n_folds_within(data, 300, 1) == n_folds_within(data, 300, 1, "tfidf") == 8
    assert n_folds_within(data, 300, 1, "cnn") == 1
    assert seconds_of_the_first(data, 300, 1, "cnn") > 10 * seconds_of_the_first(data, 300, 1)


def test_networks_never_share_a_process_with_other_families(texts):
    place, *_ = texts
    task = cross_validated(place / "run/data", 2, "tfidf,lsa_lightgbm,cnn", "f1")
    assert {family: task.runtime({"model": family}) for family in ("tfidf", "lsa_lightgbm", "cnn")} == {
        "tfidf": "", "lsa_lightgbm": "", "cnn": "torch",
    }  # fmt: skip
    assert task.runtimes == {"", "torch"}


def test_a_short_run_on_texts_begins_with_words_and_says_what_it_needs(texts):
    place, *_ = texts
    data = place / "run/data"
    short, long = (cross_validated(data, 1, None, None, time_limit=seconds) for seconds in (8.0, 600.0))
    ngrams = [task.space.get_default_configuration()["tfidf_ngrams"] for task in (short, long)]
    assert ngrams == ["words", "characters"]
    said = described_plan(short, 8.0, has_test=True, spent=4.0)
    assert said.startswith(
        "plan: one model, tfidf, scored by the validation set; 8 seconds will be exceeded: at least 1"
    )
    assert said.endswith("are needed; starting and reading have already taken 4")
    assert described_plan(long, 600.0, has_test=True, spent=4.0).endswith("all within 600 seconds")


def test_without_time_for_fits_to_all_rows_the_models_are_those_that_were_scored(texts, tmp_path):
    place, *_ = texts
    task = cross_validated(place / "run/data", 1, "tfidf", None)
    config = presets(task.space, "text")[0]
    list(task.train(config, seed=0, epochs=1, checkpoint=tmp_path / "0000", device="cpu"))
    member = MemberCandidate(Trial(0, config), tmp_path / "0000", "tfidf", np.zeros(1), 9.0)
    options = {"watch": print, "say": print, "log": lambda event, **facts: None}
    (scored,) = fitted_models(task, {0: member}, SerialExecutor(task), "cpu", 0.0, as_scored={0}, **options)[0]
    assert not (tmp_path / "0000/model").exists()
    (fitted,) = fitted_models(task, {0: member}, SerialExecutor(task), "cpu", 60.0, **options)[0]
    assert (tmp_path / "0000/model").exists()
    x = load_data(task.data_of("tfidf"), None).x_test
    np.testing.assert_array_equal(scored.predict(x).argmax(1), fitted.predict(x).argmax(1))
    assert (scored.predict(x) != fitted.predict(x)).any()


def test_a_forest_scored_out_of_bag_can_be_kept_without_a_further_fit(tmp_path):
    small_models.pictures(tmp_path / "given")
    task = cross_validated(tmp_path / "given/data", 1, "extra_trees", None)
    assert task.uses_out_of_bag("extra_trees")
    config, place = presets(task.space, "images")[0], tmp_path / "0000"
    list(task.train(config, seed=0, epochs=1, checkpoint=place, device="cpu"))
    member = MemberCandidate(Trial(0, config), place, "extra_trees", np.zeros(1), 9.0)
    options = {"watch": print, "say": print, "log": lambda event, **facts: None}
    (scored,) = fitted_models(task, {0: member}, SerialExecutor(task), "cpu", 0.0, as_scored={0}, **options)[0]
    splits = load_data(task.data_of("extra_trees"), None)
    assert (scored.predict(splits.x_test).argmax(1) == splits.y_test).mean() > 0.8


def test_folds_and_epochs_of_images_leave_a_configuration_time_to_end_on_its_worker(tmp_path, monkeypatch):
    monkeypatch.setattr(field_plans, "slowness", lambda: 1.0)
    small_models.pictures(tmp_path / "given")
    data = tmp_path / "given/data"
    n_numbers = load_data(cross_validated(data, 1, "cnn", None).data_of("cnn"), None).x_train.size
    monkeypatch.setattr(field_plans, "SECONDS_PER_STEP", 1.0 / n_numbers)  # a second an epoch
    for limit, n_workers in [(30, 1), (30, 2), (30, 8), (60, 2), (60, 8)]:
        n_folds = n_folds_within(data, limit, n_workers)
        task = cross_validated(data, n_folds, "cnn", None, time_limit=limit, n_workers=n_workers)
        default = task.space.get_default_configuration()
        share = 1.0 if default["cnn_width"] == 32 else 0.25  # a narrow network takes a quarter
        assert n_folds * default["cnn_epochs"] * share <= 0.5 * limit, (limit, n_workers)


def test_a_network_that_cannot_end_in_time_gives_up_early(tmp_path):
    small_models.pictures(tmp_path / "given")
    task = cross_validated(tmp_path / "given/data", 1, "cnn,linear", None)
    config = next(config for config in presets(task.space, "images") if config["model"] == "cnn")
    place = tmp_path / "trial"
    with pytest.raises(TrainingFailed, match=r"too slow: \d+ epochs would take .* s, longer than the 0\.1 s left"):
        list(task.within(0.1).train(config, seed=0, epochs=1, checkpoint=place, device="cpu"))
    assert not (place / RECORD).exists()
    list(task.within(600.0).train(config, seed=0, epochs=1, checkpoint=place, device="cpu"))
    assert (place / RECORD).exists()
    alone = cross_validated(tmp_path / "given/data", 1, "cnn", None)
    assert not alone.within(0.1).aborts_if_late, "there is no other family"


def test_boosting_that_cannot_end_in_time_gives_up_early(tmp_path, monkeypatch):
    monkeypatch.setattr("automl.models.learners.fit_watch.MIN_SECONDS", 0.0)  # the whole fit takes less
    small_models.pictures(tmp_path / "given")
    task = cross_validated(tmp_path / "given/data", 1, "lightgbm,linear", None)
    config = next(config for config in presets(task.space, "images") if config["model"] == "lightgbm")
    with pytest.raises(TrainingFailed, match=r"too slow: \d+ rounds would take .* s, longer than the 0\.003 s left"):
        list(task.within(0.01).train(config, seed=0, epochs=1, checkpoint=tmp_path / "trial", device="cpu"))


def test_the_latency_of_a_member_includes_reading_its_texts(texts):
    place, _, run, _ = texts
    members = [member.model for member in automl.load(run).members]
    assert milliseconds_per_row(cross_validated(place / "run/data", 2, None, None), members) > 1e-3


def test_a_series_and_pairs_have_a_test_set(tmp_path):
    small_models.sales(tmp_path / "given")
    request = Request(str(tmp_path / "given/sales.csv"), "volume", time="date", horizon=2, no_test=True)
    with pytest.raises(UserError, match="--no-test does not apply to data of kind series: leave it out"):
        prepare(request, tmp_path / "data")


def test_the_record_of_a_model_says_how_it_was_made(texts):
    *_, run, card = texts
    stored = json.loads((run / "model/model.json").read_text())
    assert stored == card
    assert stored["folds"] == 2
    assert stored["milliseconds_per_row"] > 0
