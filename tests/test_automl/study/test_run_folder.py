"""The folders of trials: one for each attempt, and what is left by processes that were killed."""

import errno
import os
from pathlib import Path

import pytest
from small_files import files_of_at_most

import automl
from automl.errors import UserError
from automl.study.run_folder import RunFolder, TrialFolders, replace_folder, write_atomic


@pytest.fixture
def folders(tmp_path):
    return TrialFolders(tmp_path)


def trained(folders, text, *, continues=False):
    folder = folders.begin(7, continues=continues)
    (folder / "checkpoint").write_text(text)
    return folder


def test_an_attempt_that_was_given_up_writes_nothing_into_the_next_one(folders, tmp_path):
    trained(folders, "first step")
    folders.commit(7)
    lost = trained(folders, "second step, lost", continues=True)
    again = folders.begin(7, continues=True)
    assert (again / "checkpoint").read_text() == "first step"
    lost.mkdir(exist_ok=True)
    (lost / "checkpoint").write_text("of a machine that was only cut off")
    (again / "checkpoint").write_text("second step")
    folders.commit(7)
    assert (tmp_path / "0007" / "checkpoint").read_text() == "second step"


def test_a_step_that_is_not_recorded_leaves_the_state_before_it(folders, tmp_path):
    assert not folders.has(7)
    trained(folders, "first step")
    assert not folders.has(7)
    folders.commit(7)
    trained(folders, "interrupted", continues=True)
    resumed = TrialFolders(tmp_path)
    assert resumed.has(7)
    assert (resumed.begin(7, continues=True) / "checkpoint").read_text() == "first step"
    assert len(list(tmp_path.iterdir())) == 3  # the trial's, the attempt's, and which it is


def test_a_copy_that_has_no_space_is_an_error_and_leaves_nothing(folders, tmp_path):
    (trained(folders, "first step") / "large").write_bytes(b"x" * 100_000)
    folders.commit(7)
    too_large = pytest.raises(UserError, match=r"cannot write the folder of trial 7 \(File too large\)")
    with too_large, files_of_at_most(50_000):
        folders.begin(7, continues=True)
    assert [path.name for path in tmp_path.iterdir()] == ["0007"]


@pytest.mark.parametrize("killed", ["before", "between", "after"])
def test_a_step_whose_commit_was_interrupted_is_committed_again(folders, tmp_path, killed):
    attempt = trained(folders, "first step")
    folders.commit(7)
    attempt = trained(folders, "second step", continues=True)
    if killed == "between":
        (tmp_path / "0007" / "checkpoint").unlink()
        (tmp_path / "0007").rmdir()
    if killed == "after":
        replace_folder(tmp_path / "0007", attempt)
    for _ in range(2):
        TrialFolders(tmp_path).commit(7)
        assert (tmp_path / "0007" / "checkpoint").read_text() == "second step"
    assert [path.name for path in tmp_path.iterdir()] == ["0007"]


@pytest.mark.parametrize("content", ["", "..", "0006", "\0" * 13])
def test_a_damaged_marker_costs_no_other_trial_its_folder(folders, tmp_path, content):
    trained(folders, "first step")
    folders.commit(7)
    (tmp_path / "0006").mkdir()
    (tmp_path / "0007.attempt").write_text(content)
    folders.commit(7)
    again = folders.begin(7, continues=True)
    assert (again / "checkpoint").read_text() == "first step"
    assert (tmp_path / "0006").is_dir()
    folders.commit(7)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["0006", "0007"]


def test_the_error_of_a_folder_without_a_run_names_the_latest_runs_near_it(tmp_path):
    assert str(RunFolder(tmp_path / "x").no_run()).endswith("give the folder that `automl run` printed last")
    for i, name in enumerate(("b", "a", "d", "c")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "study.db").touch()
        os.utime(tmp_path / name, (i, i))
    assert str(RunFolder(tmp_path / "x").no_run()).endswith(f"the latest in {str(tmp_path)!r}: c, d, a")


def test_a_folder_that_was_being_replaced_when_all_ended_is_not_lost(tmp_path):
    (tmp_path / "0003.before").mkdir()
    (tmp_path / "0003.before" / "checkpoint").touch()
    (tmp_path / "0004.before").mkdir()
    (tmp_path / "0004").mkdir()
    folders = TrialFolders(tmp_path)
    assert folders.has(3)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["0003", "0004"]


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path):
    (tmp_path / "trials").write_text("a file where the folder should be")
    with pytest.raises(UserError, match=r"cannot write the folder of trial 7 .*continue with --resume"):
        TrialFolders(tmp_path / "trials").begin(7, continues=False)


def test_a_folder_of_a_run_that_cannot_be_written_is_one_line(tmp_path, monkeypatch):
    def refuse(path, **_):
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr(Path, "touch", refuse)  # rights do not stop the user that tests may run as
    message = rf"^cannot write in the folder '{tmp_path}': Permission denied$"
    with pytest.raises(UserError, match=message):
        automl.tune(lambda config: config["x"], {"x": {"float": [0, 1]}}, strategy="random", study=tmp_path)


def test_a_folder_needs_a_name_in_utf_8(tmp_path):
    with pytest.raises(UserError, match=r"the name of the folder '.*\\udce9' is not UTF-8; choose another with --out"):
        RunFolder(tmp_path / os.fsdecode(b"\xe9")).check_is_free()


def test_a_folder_is_replaced_as_a_whole_even_if_the_last_attempt_was_killed_in_between(tmp_path):
    place, before, new = tmp_path / "model", RunFolder(tmp_path).model_before, tmp_path / "new"
    for folder in (before, new):  # as a kill between the two steps leaves them
        folder.mkdir()
        (folder / "name").write_text(folder.name)
    replace_folder(place, new)
    assert (place / "name").read_text() == "new"
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_a_new_folder_that_was_removed_leaves_the_old_one(tmp_path):
    (tmp_path / "model").mkdir()
    with pytest.raises(UserError, match="was removed or renamed while the run was going on"):
        replace_folder(tmp_path / "model", tmp_path / "new")
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_a_file_that_cannot_be_written_leaves_no_part_behind(tmp_path):
    with pytest.raises(UnicodeEncodeError):
        write_atomic(tmp_path / "summary.json", "x" * 100_000 + "\udce9")
    assert list(tmp_path.iterdir()) == []
