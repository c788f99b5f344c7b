"""Folders that take long to make, for tests in several processes."""

import fcntl
import os
import shutil


def made_once(name, make, tmp_path_factory):
    """A copy of the folder that ``make(folder)`` fills, which the first process does for all."""
    own = tmp_path_factory.mktemp(name)
    if "PYTEST_XDIST_WORKER" not in os.environ:
        make(own)
        return own
    whole = tmp_path_factory.getbasetemp().parent / f"made-{name}"  # of this run of pytest
    with whole.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not whole.exists():
            made = whole.with_suffix(".part")
            made.mkdir(exist_ok=True)
            make(made)
            made.rename(whole)
    return shutil.copytree(whole, own, dirs_exist_ok=True)
