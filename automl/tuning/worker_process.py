"""A worker on this machine, as the executor that started it sees it."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from automl.errors import MAX_CHARACTERS
from automl.tuning.worker import Job


@dataclass
class WorkerProcess:
    """The process, and the job that it has."""

    process: subprocess.Popen[str]
    job: Job | None = None
    card: int | None = None
    runtime: str | None = None  # of its trainings; None before the first
    started: float = 0.0  # when its job was submitted
    deadline: float | None = None
    has_started: bool = False  # a job: it could load the task
    mark: str = ""
    log: Path | None = None
    n_oom_kills: int | None = None  # on this machine when its job was submitted
    reader: threading.Thread | None = field(default=None, repr=False)

    def send(self, message: Mapping[str, object]) -> None:
        assert self.process.stdin is not None
        # A worker that has just died is noticed by its reader.
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.write(json.dumps(message) + "\n")
            self.process.stdin.flush()

    def kill(self) -> None:
        """With all that it has started, but for what has left its group."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        assert self.process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.close()


def n_oom_kills() -> int | None:
    """Processes that the kernel has killed for want of memory since the machine started; None where it does not say."""
    try:
        lines = Path("/proc/vmstat").read_text(encoding="utf-8").splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) for line in lines if line.startswith("oom_kill ")), None)


def last_lines(log: Path | None, n_lines: int = 20) -> str:
    if log is None or not log.exists():
        return ""
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - MAX_CHARACTERS))
        return "\n".join(file.read().decode(errors="replace").splitlines()[-n_lines:])
