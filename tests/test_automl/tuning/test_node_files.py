"""Files that the processes of one machine share."""

import fcntl
import threading
import time
from collections import defaultdict

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
    assert not unpacked[0].exists()


def test_a_lock_is_given_back_before_one_of_another_kind_is_taken(monkeypatch):
    """On gVisor, two that hold a shared lock and want an exclusive one would wait for each other; Linux forgives it."""

    def flock(handle, kind):
        if not kind & fcntl.LOCK_NB:
            kinds[handle].append(kind)
        real(handle, kind)

    real, kinds = fcntl.flock, defaultdict(list)
    monkeypatch.setattr(fcntl, "flock", flock)
    with node_files("key", lambda folder: (folder / "file").touch()):
        pass
    [of_the_key] = kinds.values()
    shared, exclusive, unlocked = fcntl.LOCK_SH, fcntl.LOCK_EX, fcntl.LOCK_UN
    assert of_the_key == [shared, unlocked, exclusive, unlocked, shared]
