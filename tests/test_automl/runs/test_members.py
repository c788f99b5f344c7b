"""Members whose files are damaged between their fit and the ensemble: fitted again, or left out with one line."""

import shutil

import numpy as np
import pytest
from planned_runs import Request, planned_run
from sklearn.datasets import load_breast_cancer, load_wine

import automl
from automl.data.ingest.prepare import prepare
from automl.runs.member_candidates import MemberCandidate, with_current_damage
from automl.runs.members import fitted_models
from automl.study.run_folder import new_attempt
from automl.study.trial import Trial
from automl.tasks.cross_validated import cross_validated
from automl.tasks.families import presets
from automl.training.fold_files import CHECKSUMS, check_model
from automl.tuning.executor import SerialExecutor


def cut(file):
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


def changed_bit(file):
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


DAMAGES = {
    "cut": cut,
    "a changed bit": changed_bit,
    "a missing file": lambda file: file.unlink(),
    "a missing folder": lambda file: shutil.rmtree(file.parent),
    "missing checksums": lambda file: (file.parent / CHECKSUMS).unlink(),
}
FILES = {  # of a model, by the family
    "lightgbm": "model/model.txt", "random_forest": "model/model.skops", "realmlp": "fold-1/model.safetensors",
}  # fmt: skip


@pytest.fixture(scope="module")
def task(tmp_path_factory):
    place = tmp_path_factory.mktemp("wine")
    load_wine(as_frame=True).frame.to_csv(place / "wine.csv", index=False)
    prepare(Request(str(place / "wine.csv"), "target").checked(), place / "data")
    return cross_validated(place / "data", 2, None, None)


@pytest.fixture(scope="module")
def complete(task, tmp_path_factory):
    """A candidate of each family, which has predicted both folds and is fitted to all rows."""
    found = {}
    for number, family in enumerate(FILES):
        config = next(config for config in presets(task.space) if config["model"] == family)
        config |= {"realmlp_epochs": 64, "realmlp_width": 64} if family == "realmlp" else {}
        place = tmp_path_factory.mktemp(family) / "0000"
        losses = [epoch.loss for epoch in task.train(config, seed=3, epochs=3, checkpoint=place, device="cpu")]
        trial = Trial(number, config, losses=losses[:2], state="complete")
        found[family] = with_current_damage(task, MemberCandidate(trial, place, family, np.zeros(1), 0.0))
    return found


@pytest.fixture
def member(complete, tmp_path, request):
    whole = complete[request.param]
    place = shutil.copytree(whole.folder, tmp_path / "0000")
    return MemberCandidate(whole.trial, place, whole.family, whole.predictions, 0.0)


def fitted(task, member, said, watch=lambda line: None, left=300.0):
    number = member.trial.number
    models = fitted_models(
        task, {number: member}, SerialExecutor(task), "cpu", left, watch=watch, say=said.append,
        log=lambda event, **facts: None,
    )  # fmt: skip
    return models.get(number)


@pytest.mark.parametrize("member", FILES, indirect=True)
@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_model_is_fitted_again_and_predicts_as_before(task, complete, member, damage):
    x = task.rows(member.family).x_train[:20]
    expected = [model.predict(x) for model in fitted(task, complete[member.family], [])]
    file, said = member.folder / FILES[member.family], []
    DAMAGES[damage](file)
    found = with_current_damage(task, member)
    assert found.refit_seconds > 0
    again = [model.predict(x) for model in fitted(task, found, said)]
    np.testing.assert_array_equal(again, expected)
    if (damage, member.family) in [("a missing folder", "lightgbm"), ("a missing folder", "random_forest")]:
        assert said == [], "not fitted to all rows before, as far as is known"
    else:
        (line,) = said
        assert line.startswith(f"ensemble: trial {member.trial.number} is damaged and fitted again: ")
        assert str(file.parent) in line
        assert ("missing" if "missing" in damage else "checksum") in line
    check_model(file.parent)


@pytest.mark.parametrize("member", FILES, indirect=True)
@pytest.mark.parametrize("damage", [cut, lambda file: file.unlink(missing_ok=True)], ids=["cut", "deleted"])
def test_a_model_that_is_damaged_whenever_it_is_fitted_is_left_out(task, member, damage):
    file, said = member.folder / FILES[member.family], []
    damage(file)
    assert fitted(task, with_current_damage(task, member), said, watch=lambda line: damage(file)) is None
    assert len(said) == 3, "damaged before the fit, after it, and after the last one"
    assert said[-1].startswith(f"ensemble: trial {member.trial.number} is left out, since its fit to all rows failed: ")
    assert all(str(file.parent) in line for line in said)


def test_a_run_with_a_damaged_member_ends_with_a_model_of_the_others(tmp_path):
    load_breast_cancer(as_frame=True).frame.to_csv(tmp_path / "table.csv", index=False)
    said = []

    def damage(folder):
        for file in folder.trials.glob("*/model/model.skops"):
            cut(file)

    run, card = planned_run(
        Request(str(tmp_path / "table.csv"), "target", no_test=True), tmp_path, folds=2, n_trials=2,
        model="lightgbm,linear", watch=damage, say=said.append,
    )  # fmt: skip
    assert {member["family"] for member in card["members"]} == {"lightgbm"}
    assert card["said"].startswith("a single lightgbm")
    assert any("is left out" in line and "model.skops" in line for line in said)
    assert len(automl.load(run).predict(tmp_path / "table.csv")) == 569


def test_a_folder_is_copied_without_what_cannot_be_read(tmp_path):
    (tmp_path / "0000").mkdir()
    (tmp_path / "0000/whole").write_text("here")
    (tmp_path / "0000/lost").symlink_to(tmp_path / "nowhere")
    copy = new_attempt(tmp_path / "0000", continues=True)
    assert [file.name for file in copy.iterdir()] == ["whole"]
