"""A worker on this machine, as the executor that started it sees it."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Self, TypeAlias

from automl.devices import only
from automl.errors import MAX_CHARACTERS
from automl.tuning.jobs import Event, Job, event_from_json
from automl.tuning.worker import MARK

MAX_LOG_BYTES = 10_000_000  # of a worker's output; older output is dropped
Inbox: TypeAlias = "queue.Queue[tuple[WorkerProcess, Event | None]]"
"""Events of an executor's processes, and None for one that has died."""


@dataclass
class WorkerProcess:
    """A worker process and its job."""

    process: subprocess.Popen[str]
    job: Job | None = None
    card: int | None = None
    runtime: str | None = None  # of its trainings; None before the first
    started: float = 0.0  # when its job was submitted
    deadline: float | None = None
    has_started: bool = False  # a job, so it could load the task
    mark: str = ""
    log: Path | None = None
    n_oom_kills: int | None = None  # on this machine when its job was submitted
    reader: threading.Thread | None = field(default=None, repr=False)

    @classmethod
    def start(
        cls,
        hello: Mapping[str, object],
        environment: Mapping[str, str],
        inbox: Inbox,
        *,
        mark: str,
        card: int | None,
        log: Path | None,
    ) -> Self:
        """Start a process and send it ``hello``. Its events go into ``inbox``, and None when it has died.

        ``mark``: identifies the processes that it starts. ``card``: the only one that it sees. ``log``: for its output.
        """
        output: IO[str] | None = None
        if log is not None:
            log.parent.mkdir(parents=True, exist_ok=True)
            output = log.open("a", encoding="utf-8")
        process = subprocess.Popen(
            [sys.executable, "-m", "automl.tuning.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=output,
            env={**environment, MARK: mark, **({} if card is None else only(card))},
            text=True,
            encoding="utf-8",
            start_new_session=True,  # Ctrl-C reaches only the tuner, which decides; the whole group can be killed
        )
        if output is not None:
            output.close()
        worker = cls(process, card=card, mark=mark, log=log)
        worker.send(hello)
        worker.reader = threading.Thread(target=worker._read, args=(inbox,), daemon=True)
        worker.reader.start()
        threading.Thread(target=worker._await_death, args=(inbox,), daemon=True).start()
        return worker

    def _read(self, inbox: Inbox) -> None:
        assert self.process.stdout is not None
        with self.process.stdout as answers:
            for line in answers:
                inbox.put((self, event_from_json(line)))

    def _await_death(self, inbox: Inbox) -> None:
        # The end of its output is no sign: a process forked by the training may keep it open.
        self.process.wait()
        assert self.reader is not None
        self.reader.join(timeout=1.0)
        inbox.put((self, None))

    def send(self, message: Mapping[str, object]) -> None:
        assert self.process.stdin is not None
        # A worker that has just died is noticed by its reader.
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.write(json.dumps(message) + "\n")
            self.process.stdin.flush()

    def trim_log(self) -> None:
        """Drop older output if there is too much. The process may be appending, so this appends too."""
        if self.log is None or not self.log.exists() or self.log.stat().st_size <= MAX_LOG_BYTES:
            return
        with contextlib.suppress(OSError), self.log.open("a+b") as file:  # not worth ending a run
            file.seek(-(MAX_LOG_BYTES // 2), os.SEEK_END)
            end = file.read(MAX_LOG_BYTES)
            file.truncate(0)
            file.write(b"(older output was dropped)\n" + end)

    def kill(self) -> None:
        """Kill the process and all that it has started, except what has left its process group."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        assert self.process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.close()


def n_oom_kills() -> int | None:
    """How many processes the kernel has killed for lack of memory since boot; None if unknown."""
    try:
        lines = Path("/proc/vmstat").read_text(encoding="utf-8").splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) for line in lines if line.startswith("oom_kill ")), None)


def last_lines(log: Path | None, n_lines: int = 20) -> str:
    """The end of a worker's output, of at most MAX_CHARACTERS bytes."""
    if log is None or not log.exists():
        return ""
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - MAX_CHARACTERS))
        return "\n".join(file.read().decode(errors="replace").splitlines()[-n_lines:])
