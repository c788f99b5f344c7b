"""Files that change between the start of a run and its continuation."""

import os

import pandas as pd
import pytest
from processes import invoke

from automl.runs.settings import Settings
from automl.runs.sources import about_changes, source_of

FEW = ("--strategy", "random", "--no-learn", "--workers", 1, "--final-seeds", 0)
NOTE = "has changed since the run was started"


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text("def train(config):\n    return config['x'] ** 2\n")
    (tmp_path / "space.yaml").write_text("x: {float: [-1, 1]}\n")
    pd.DataFrame({"x": [i * i % 11 / 4 for i in range(60)], "y": [i % 7 + i / 9 for i in range(60)]}).to_csv(
        tmp_path / "a.csv", index=False
    )
    return tmp_path


def resumed(trials):
    return invoke("run", "--resume", "--out", "run", "--trials", trials)


def test_a_changed_task_is_told_on_resume(place):
    invoke("run", "--task", "mine.py:train", "--space", "space.yaml", "--trials", 2, "--out", "run", *FEW)
    os.utime(place / "mine.py", (0, 0))  # touched, or checked out again
    assert NOTE not in resumed(3)
    with (place / "mine.py").open("a") as file:
        file.write("# changed\n")
    said = resumed(4)
    assert f"'mine.py' {NOTE}: further trainings use the new version" in said
    again = ("--task", "mine.py:train", "--space", "space.yaml", "--trials", 4, "--out", "run", *FEW)
    said = invoke("run", *again, "--resume-if-exists")
    assert NOTE in said
    assert "is complete" in said


def test_changed_data_are_told_on_resume_and_not_read(place):
    invoke("run", "--data", "a.csv", "--target", "y", "--model", "linear", "--trials", 1, "--out", "run", *FEW)
    assert NOTE not in resumed(2)
    with (place / "a.csv").open("a") as file:
        file.write("0.5,1.5\n")
    assert f"'{place / 'a.csv'}' {NOTE}: the run keeps the data that it read; start a new run" in resumed(3)
    (place / "a.csv").unlink()
    assert NOTE not in resumed(4)


def test_a_folder_has_changed_if_its_files_have(place):
    (place / "photos" / "cat").mkdir(parents=True)
    (place / "photos" / "cat" / "a.png").write_bytes(b"a")
    settings = Settings(data={"data": str(place / "photos")})
    begun = Settings(data=settings.data, source=source_of(settings))
    assert about_changes(begun) is None
    (place / "photos" / "cat" / "b.png").write_bytes(b"b")
    assert NOTE in about_changes(begun)


@pytest.mark.parametrize("what", [{"task": "digits-cnn"}, {"data": {"data": "digits-cnn"}}, {"command": "echo 1"}])
def test_built_in_tasks_and_commands_have_no_file(what):
    assert source_of(Settings(**what)) is None
