"""The versions of a model, and what a kill between any two steps leaves of them."""

import errno
import json
import shutil

import pytest
from processes import invoke

import automl
from automl.cli.update import _despite_the_test
from automl.continual.versions import Versions
from automl.deployment.model_card import CARD
from automl.errors import UserError
from automl.study.run_folder import RunFolder


def test_a_kill_between_the_two_steps_of_the_first_change_loses_nothing(tmp_path):
    folder = RunFolder(tmp_path)
    folder.model_before.mkdir()
    (folder.model_before / "config.json").write_text("{}")
    Versions(folder).recover()
    assert (folder.model / "config.json").exists()
    assert not folder.model_before.exists()


def test_a_kill_after_the_first_change_leaves_no_copy_of_the_model_behind(tmp_path):
    folder = RunFolder(tmp_path)
    for place in (folder.model_before, folder.path / "versions" / "2" / "model"):
        place.mkdir(parents=True)
    folder.model.symlink_to("versions/2/model")
    Versions(folder).recover()
    assert folder.model.is_symlink()
    assert not folder.model_before.exists()


def test_after_that_kill_every_version_can_be_used(tmp_path):
    folder, versions = RunFolder(tmp_path), Versions(RunFolder(tmp_path))
    for place in (folder.model_before, versions.place(1) / "model", versions.place(2) / "model"):
        place.mkdir(parents=True)
    (tmp_path / ".model.1").symlink_to("versions/2/model")
    versions.use(2)
    assert versions.current == 2
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model", "versions"]


@pytest.mark.parametrize("target", ["", "price"])
def test_a_copy_without_links_has_the_same_version_in_use(target, tmp_path):
    """As from a ZIP archive, or by shutil.copytree."""
    run, copy = tmp_path / "run", tmp_path / "copy"
    for number in (1, 2):
        model = Versions(RunFolder(run)).place(number) / "model" / target
        model.mkdir(parents=True)
        (model / "model.json").write_text(json.dumps({"version": number} if number > 1 else {}))
    (run / "model").symlink_to("versions/2/model")
    shutil.copytree(run, copy)
    versions = Versions(RunFolder(copy))
    assert not versions.folder.model.is_symlink()
    assert versions.current == 2
    versions.use(1)
    assert versions.current == 1
    shutil.copytree(run, tmp_path / "small", ignore=shutil.ignore_patterns("versions"))
    assert Versions(RunFolder(tmp_path / "small")).current == 1  # none but the model that is there


def test_a_first_version_that_was_deleted_is_not_replaced_by_another(tmp_path):
    versions = Versions(RunFolder(tmp_path))
    for number in (2, 3):
        (versions.place(number) / "model").mkdir(parents=True)
    versions.folder.model.symlink_to("versions/3/model")
    versions.use(2)
    assert sorted(versions.models) == [2, 3]


def test_it_is_said_that_validation_data_refused_what_is_better_on_test(tmp_path):
    versions = Versions(RunFolder(tmp_path))
    test = {"new": {"in_use": 45.5, "candidate": 43.0}}
    facts = {"metric": "rmse", "promoted": False, "gain_on_new": -0.1, "test": test}
    versions.finish(versions.begin(), facts)
    assert list(_despite_the_test(versions)) == [
        "version 2 is better on the new test set, but validation data decide, and it was not better there"
    ]
    versions.finish(versions.begin(), facts | {"gain_on_new": 0.1})  # refused for its loss on old data
    assert list(_despite_the_test(versions)) == []
    test["new"]["candidate"] = 46.0
    versions.finish(versions.begin(), facts)
    assert list(_despite_the_test(versions)) == []


def test_a_version_that_is_not_there_changes_nothing(tmp_path):
    folder = RunFolder(tmp_path)
    folder.model.mkdir()
    with pytest.raises(UserError, match="version 5 has no model; choose one of: 1"):
        Versions(folder).use(5)
    assert not folder.versions.exists()


def prepared_version(folder: RunFolder):
    folder.model.mkdir()
    (folder.model / CARD).write_text("{}")
    writing = Versions(folder).begin()
    (writing / "model").mkdir()
    return writing


def test_an_update_killed_before_its_switch_is_completed_by_the_next(tmp_path, monkeypatch):
    folder = RunFolder(tmp_path)
    writing = prepared_version(folder)
    with monkeypatch.context() as patch:
        patch.setattr(Versions, "use", lambda self, number: None)  # as if killed here
        Versions(folder).finish(writing, {"promoted": True})
    assert Versions(folder).current == 1
    Versions(folder).recover()
    assert Versions(folder).current == 2
    Versions(folder).use(1)
    Versions(folder).recover()
    assert Versions(folder).current == 1  # a rollback is not undone


def test_without_room_for_a_copy_of_the_first_version_there_is_no_second(tmp_path, monkeypatch):
    folder = RunFolder(tmp_path)
    writing = prepared_version(folder)

    def full(*args, **kwargs):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(shutil, "copytree", full)
        with pytest.raises(OSError, match="No space"):
            Versions(folder).finish(writing, {"promoted": True})
    assert Versions(folder).numbers == [1]


def test_an_update_starts_from_the_versions_that_the_one_in_use_was_built_on(tmp_path):
    """Version 2 was promoted, 3 refused, 4 promoted and rolled back; 5 starts from 2 again."""
    folder, options = RunFolder(tmp_path), {"tolerance": 0.01}
    versions = Versions(folder)
    folder.model.mkdir()
    (folder.model / CARD).write_text("{}")
    assert (versions.numbers, versions.current, versions.history()) == ([1], 1, [])
    for built_on, is_promoted in ((1, True), (2, False), (2, True)):
        writing = versions.begin()
        if is_promoted:
            (writing / "model").mkdir()
        versions.finish(writing, {"promoted": is_promoted, "built_on": built_on, "options": options})
    assert (versions.numbers, versions.current, list(versions.models)) == ([1, 2, 3, 4], 4, [1, 2, 4])
    versions.use(2)
    assert [(each["number"], each["in_use"]) for each in versions.history()] == [
        (1, False), (2, True), (3, False), (4, False)
    ]  # fmt: skip
    lineage = versions.lineage(options)
    assert (list(lineage.models), lineage.current, lineage.coming) == ([1, 2], 2, 5)
    assert lineage.data == versions.data(2)
    assert lineage.tried == [versions.data(3), versions.data(4)]
    assert versions.lineage({"tolerance": 0.5}).tried == []


def test_a_run_without_a_model_has_no_version(tmp_path):
    run = tmp_path / "run"
    automl.tune(lambda config: config["x"], {"x": {"float": [0, 1]}}, strategy="random", n_trials=1, study=run)
    for options in ([], ["--rollback", 1]):
        with pytest.raises(UserError, match="has no model: an interrupted run gets it when it is continued"):
            invoke("update", run, *options)


@pytest.mark.parametrize("content", ["", "[1, 2]", '{"promoted": tr', None])
def test_a_version_whose_facts_are_damaged_is_one_line_and_another_can_be_used(content, tmp_path):
    run = tmp_path / "run"
    automl.tune(lambda config: config["x"], {"x": {"float": [0, 1]}}, strategy="random", n_trials=1, study=run)
    versions = Versions(RunFolder(run))
    versions.finish(prepared_version(RunFolder(run)), {"promoted": True})
    file = run / "versions" / "2" / "update.json"
    file.unlink() if content is None else file.write_text(content)
    line = rf"'{file}' is damaged \(.*\); copy it back, or use an earlier version with --rollback and delete '{run}/"
    for name in ("update", "report"):
        with pytest.raises(UserError, match=line):
            invoke(name, run)
    assert versions.current == 2
    said = invoke("update", run, "--rollback", 1)
    assert said.startswith("version 1 is now in use\nthe versions cannot be listed: ")
    assert versions.current == 1
    shutil.rmtree(file.parent)
    assert "version 1" in invoke("update", run)
