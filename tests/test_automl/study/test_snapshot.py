"""Runs whose files are damaged: one line for those who read or resume them."""

import shutil
import sqlite3

import pytest

import automl
from automl.errors import UserError
from automl.study.run_folder import RunFolder
from automl.study.snapshot import look, read_run

SPACE = {"x": {"float": [0, 1]}}


@pytest.fixture(scope="module")
def ended(tmp_path_factory):
    folder = tmp_path_factory.mktemp("ended") / "run"
    automl.tune(lambda config: config["x"], SPACE, strategy="random", n_trials=30, study=folder)
    return folder


def cut(file):
    file.write_bytes(file.read_bytes()[:20_000])


def overwrite_pages(file):
    content = bytearray(file.read_bytes())
    content[4096 * 4 : 4096 * 20] = b"\xa5" * 4096 * 16
    file.write_bytes(content)


def sql(statement):
    def change(file):
        with sqlite3.connect(file) as connection:
            connection.execute(statement)
        connection.close()

    return change


DAMAGES = {
    "cut": cut,
    "pages": overwrite_pages,
    "empty": lambda file: file.write_bytes(b""),
    "no JSON": sql("UPDATE trial_user_attributes SET value_json = '{\"config\"' WHERE key LIKE 'ask:%'"),
    "other fields": sql("UPDATE trial_user_attributes SET value_json = '[1]' WHERE key LIKE 'tell:%'"),
    "no settings": sql("DELETE FROM study_user_attributes"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_study_is_one_line(ended, tmp_path, damage):
    folder = shutil.copytree(ended, tmp_path / "run")
    DAMAGES[damage](folder / "study.db")
    (folder / "summary.json").write_text('{"task": "t"}')
    for read in (
        lambda: look(RunFolder(folder)),
        lambda: read_run(folder),
        lambda: automl.tune(lambda config: 0.0, SPACE, strategy="random", n_trials=31, study=folder, resume=True),
    ):
        with pytest.raises(UserError) as error:
            read()
        assert "\n" not in str(error.value)


@pytest.mark.parametrize("content", [b"", b'{"task": ', b"[1]", b"{}", b"\xff\xfe", b"[" * 100_000])
def test_a_damaged_summary_is_one_line(ended, tmp_path, content):
    folder = shutil.copytree(ended, tmp_path / "run")
    (folder / "summary.json").write_bytes(content)
    with pytest.raises(UserError, match=r"summary\.json' is damaged \(.*\); write it again with --resume"):
        read_run(folder)
    assert len(look(RunFolder(folder)).study.trials) == 30
    (folder / "versions").mkdir()  # an updated run is not resumed
    with pytest.raises(UserError, match=r"summary\.json' is damaged \(.*\); delete it, since"):
        read_run(folder)
    (folder / "summary.json").unlink()
    assert read_run(folder)[1]["n_trials"] == 30
