"""Files that the processes of one machine share."""

import fcntl
import os
import threading
import time

import pytest

from automl.tuning import node_files as module
from automl.tuning.node_files import node_files


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(monkeypatch, tmp_path):
    monkeypatch.setattr(module.tempfile, "gettempdir", lambda: str(tmp_path))


def test_files_are_unpacked_once_and_removed_after_the_last(tmp_path):
    def unpack(folder):
        unpacked.append(folder)
        time.sleep(0.1)
        (folder / "file").write_text("content")

    def use():
        with node_files("key", unpack) as folder:
            read.append((folder / "file").read_text())
            there.wait()

    unpacked, read, there = [], [], threading.Barrier(8)
    threads = [threading.Thread(target=use) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(unpacked), read) == (1, ["content"] * 8)
    assert not list(unpacked[0].parent.iterdir()), "lock files included"


def test_two_that_begin_at_the_same_time_do_not_wait_for_each_other(tmp_path):
    """As another process that has just begun, and has unpacked nothing yet."""

    def use():
        with node_files("key", lambda folder: (folder / "file").touch()) as folder:
            found.append((folder / "file").exists())

    found, thread = [], threading.Thread(target=use, daemon=True)
    (tmp_path / f"automl-{os.getuid()}").mkdir()
    with (tmp_path / f"automl-{os.getuid()}" / "key.lock").open("w") as other:
        fcntl.flock(other, fcntl.LOCK_SH)
        thread.start()
        thread.join(20)
        assert found == [True]
        assert (tmp_path / f"automl-{os.getuid()}" / "key" / "file").exists()  # the other one may use it
    with node_files("another", lambda folder: None):
        pass
    assert not (tmp_path / f"automl-{os.getuid()}" / "key").exists()


def test_what_a_killed_process_has_left_behind_is_removed_before_the_next_one_begins(tmp_path):
    root = tmp_path / f"automl-{os.getuid()}"
    (root / "killed").mkdir(parents=True)
    (root / "killed" / "task").write_text("a secret")
    (root / "killed.lock").touch()
    with node_files("key", lambda folder: None):
        assert not list(root.glob("killed*"))


def test_files_stay_while_others_begin_and_end_at_any_time(tmp_path):
    """Removing a lock file must not split those who use its folder."""

    def use():
        for _ in range(60):
            with node_files("key", lambda folder: (folder / "file").touch()) as folder:
                lost.extend([None] * (not (folder / "file").exists()))
                time.sleep(0.001)
                lost.extend([None] * (not (folder / "file").exists()))

    lost, threads = [], [threading.Thread(target=use) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not lost
    assert not list((tmp_path / f"automl-{os.getuid()}").iterdir())


def test_a_link_in_place_of_the_folder_is_not_followed(tmp_path):
    project = tmp_path / "project"
    (project / "poetry").mkdir(parents=True)
    (project / "poetry.lock").touch()
    (tmp_path / f"automl-{os.getuid()}").symlink_to(project)
    with pytest.raises(PermissionError, match="must be a folder of yours"), node_files("key", lambda folder: None):
        pass
    assert (project / "poetry").is_dir()
