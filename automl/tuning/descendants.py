"""Killing all descendants of a process, including those that left its session or lost their parent.

They are recognised by an environment variable, which children inherit.
"""

from __future__ import annotations

import os
import uuid
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import psutil

PASSES = 10  # scans of all processes: one that is about to be killed may start another


def new_mark() -> str:
    """A unique value."""
    return uuid.uuid4().hex


def kill_marked(variable: str, mark: str) -> None:
    """Kill all other processes in whose environment the variable starts with the mark."""
    import psutil

    for _ in range(PASSES):
        found = [process for process in psutil.process_iter() if _has_variable(process, variable, mark)]
        if not found:
            return
        for process in found:
            try:
                process.kill()
            except psutil.NoSuchProcess:
                continue
        psutil.wait_procs(found, timeout=1)


def _has_variable(process: psutil.Process, variable: str, mark: str) -> bool:
    import psutil

    try:
        if process.pid == os.getpid() or process.status() == psutil.STATUS_ZOMBIE:
            return False
        return process.environ().get(variable, "").startswith(mark)
    except (psutil.Error, OSError):
        return False  # has ended, or belongs to another user
