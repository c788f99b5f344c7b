"""The processes of a run, which are killed and restarted: the searching one, those that share the run through
PostgreSQL, and workers over TCP or on a Ray cluster."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import psutil

from automl.study.run_folder import RunFolder
from benchmarks.experiments.postgres_server import free_port, postgres_server

MAX_SECONDS = 1200.0  # after so long without a kill, a run counts as hanging
SECONDS_TO_LEAVE = 60.0  # for workers to end after their run
PATIENCE = 40  # seconds for which a worker tries to connect: more than the restart of a search takes
ALL_AT_ONCE = 0.2  # the share of kills that hit every process of a run
ENDED = ("has ended; extend it with --resume", "no run at ")  # said by a process that is restarted as the run ends
RAY_NODE: dict[str, Any] = {
    "num_cpus": 3,
    "include_dashboard": False,
    "log_to_driver": False,
    "object_store_memory": 100 * 2**20,
}


@dataclass(frozen=True)
class RunKind:
    """A kind of run."""

    arguments: tuple[str, ...]
    time_limit: float | None = None  # in seconds; trials then differ between runs
    least_kills: int = 0  # per run, all but the first soon after a resume
    predicts: str | None = None  # data that the model must predict in the end
    sharing: int = 0  # processes that share the run through PostgreSQL; 0: its study is in its folder
    workers: Literal["local", "tcp", "ray"] = "local"
    n_workers: int = 0  # processes of `automl worker`, over TCP


class Services(ExitStack):
    """What runs need besides their own processes, started when first needed."""

    @cached_property
    def postgres(self) -> str:
        """The URL of a database; puts its password into the environment."""
        server = self.enter_context(postgres_server())
        os.environ["PGPASSWORD"] = server.password
        return server.new_database()

    @cached_property
    def ray(self) -> str:
        """The address of a Ray cluster."""
        import ray

        os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
        ray.init("local", **RAY_NODE)
        self.callback(ray.shutdown)
        address: str = ray.get_runtime_context().gcs_address
        return address


@dataclass(eq=False)
class CrewMember:
    """A process of a run."""

    again: list[str]  # arguments for a restart
    errors: Path
    process: subprocess.Popen[bytes]

    @property
    def is_there(self) -> bool:
        return self.process.poll() is None

    @property
    def error(self) -> str | None:
        """Why it ended unexpectedly; None if all is well."""
        last = last_line(self.errors)
        if self.process.returncode == 0 or any(words in last for words in ENDED):
            return None
        return f"exit code {self.process.returncode}: {last}"


class Crew:
    """All processes of a run."""

    def __init__(self, kind: RunKind, out: Path, services: Services) -> None:
        """Start them. ``out``: the run's folder, next to the inputs named in the arguments."""
        self._kind, self._out, self._n_started = kind, out, 0
        self._place = self._arguments(services)
        searches = ["run", *kind.arguments, *self._place, "--no-learn", "--prior", "none", "--out", str(out)]
        if kind.time_limit is None and kind.sharing < 2:  # a reproducible run trains no more at a time than one process
            searches.append("--reproducible")
        self._searching = [self._started(searches) for _ in range(kind.sharing or 1)]
        self._workers = [self._started(self._worker) for _ in range(kind.n_workers)]

    def _arguments(self, services: Services) -> list[str]:
        """The arguments for where the study is and what trains."""
        place = ["--storage", services.postgres] if self._kind.sharing else []
        if self._kind.workers == "ray":
            return [*place, "--executor", "ray", "--address", services.ray]
        if self._kind.workers == "local":
            return place
        address = f"127.0.0.1:{free_port()}"
        self._worker = ["worker", "--connect", address, "--token-file", "token", "--workers", "1"]
        self._worker += ["--patience", str(PATIENCE)]
        return [*place, "--executor", "tcp", "--listen", address, "--token-file", "token"]

    def _started(self, arguments: list[str]) -> CrewMember:
        errors = self._out.with_name(f"{self._out.name}-{self._n_started}.errors")
        self._n_started += 1
        return CrewMember(arguments, errors, started(arguments, self._out.parent, errors))

    def has_ended(self, seconds: float) -> bool:
        """Whether the searching processes have ended by themselves, after waiting for at most so long."""
        until = time.monotonic() + seconds
        for member in self._searching:
            with suppress(subprocess.TimeoutExpired):
                member.process.wait(max(0.0, until - time.monotonic()))
        return not any(member.is_there for member in self._searching)

    def kill(self, rng: random.Random) -> list[CrewMember]:
        """Kill one process, or all of them; returns those that ``start_again`` must bring back."""
        running = [member for member in (*self._searching, *self._workers) if member.is_there]
        if rng.random() < ALL_AT_ONCE:
            killed = running
        else:
            actors = self._actors() if self._kind.workers == "ray" else []
            targets: list[CrewMember | psutil.Process] = [*running, *actors]
            chosen = rng.choice(targets)
            if isinstance(chosen, psutil.Process):
                with suppress(psutil.NoSuchProcess):
                    chosen.kill()
                return []
            killed = [chosen]
        for member in killed:
            os.kill(member.process.pid, signal.SIGKILL)
            member.process.wait()
        return killed

    def _actors(self) -> list[psutil.Process]:
        """The workers on this script's Ray cluster; they restart by themselves."""
        found = psutil.Process().children(recursive=True)
        return [process for process in found if _title(process).startswith("ray::RayWorker")]

    def start_again(self, killed: list[CrewMember]) -> None:
        """Restart them; a run of a single process is resumed if it had begun."""
        folder = RunFolder(self._out)
        for member in killed:
            again = member.again
            if member in self._searching and self._kind.sharing < 2 and folder.has_run and not folder.starting.exists():
                again = ["run", "--resume", "--out", str(self._out)]
            group = self._searching if member in self._searching else self._workers
            group[group.index(member)] = replace(self._started(again), again=member.again)

    def end(self) -> list[str]:
        """Wait for the workers, kill what does not end, and return what went wrong."""
        wrong = []
        for member in (*self._searching, *self._workers):
            try:
                member.process.wait(0 if member in self._searching else SECONDS_TO_LEAVE)
            except subprocess.TimeoutExpired:
                member.process.kill()
                member.process.wait()
                wrong.append(f"{' '.join(member.again[:1])} did not end")
            else:
                wrong += [] if member.error is None else [member.error]
        return wrong


def started(arguments: list[str], folder: Path, errors: Path) -> subprocess.Popen[bytes]:
    """Start a command in a folder, with standard error in a file."""
    with errors.open("wb") as file:
        return subprocess.Popen(
            [sys.executable, "-m", "automl", *arguments], cwd=folder, stdout=subprocess.DEVNULL, stderr=file,
            start_new_session=True,
        )  # fmt: skip


def last_line(errors: Path) -> str:
    """The last line that a process wrote to standard error."""
    return (errors.read_text(encoding="utf-8").strip().splitlines() or [""])[-1]


def _title(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""
