"""Ending all processes that one has started, also those that left its session or whose parent has ended.

They are known by a variable in their environment, which children inherit.
"""

from __future__ import annotations

import os
import uuid
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import psutil

PASSES = 10  # over all processes: one that is about to be killed may start another


def new_mark() -> str:
    """A value that no other process has."""
    return uuid.uuid4().hex


def kill_marked(variable: str, mark: str) -> None:
    """Kill all processes, but this one, in whose environment the variable starts with the mark."""
    import psutil

    for _ in range(PASSES):
        found = [process for process in psutil.process_iter() if _has(process, variable, mark)]
        if not found:
            return
        for process in found:
            try:
                process.kill()
            except psutil.NoSuchProcess:
                continue
        psutil.wait_procs(found, timeout=1)


def _has(process: psutil.Process, variable: str, mark: str) -> bool:
    import psutil

    try:
        if process.pid == os.getpid() or process.status() == psutil.STATUS_ZOMBIE:
            return False
        return process.environ().get(variable, "").startswith(mark)
    except (psutil.Error, OSError):
        return False  # ended meanwhile, or of another user
