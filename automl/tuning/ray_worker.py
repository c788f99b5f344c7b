"""The actor of a worker on a Ray cluster."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import ray

from automl.tuning.node_files import node_files
from automl.tuning.pickling import pickled, unpickled
from automl.tuning.remote import Supervisor, WorkerSettings, settle

if TYPE_CHECKING:
    from automl.tuning.jobs import Event


@dataclass(frozen=True)
class Payload:
    """What all workers of a run need, in the object store; fetched once per machine."""

    key: str  # unique to the run
    task: ray.ObjectRef[bytes]  # as `pickled` makes it
    data: ray.ObjectRef[Mapping[str, bytes]] | None  # relative path -> content, of the folder that `task.data` names

    def unpack(self, folder: Path) -> None:
        """Write the task and its data to a folder."""
        content = ray.get(self.task)
        if self.data is not None:
            for name, part in ray.get(self.data).items():
                file = folder / "data" / name
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_bytes(part)
            content = pickled(replace(unpickled(content)[0], data=str(folder / "data")))
        (folder / "task").write_bytes(content)


class RayWorker:
    """A ``Supervisor``. ``begin`` and ``wait`` are called in one thread, ``send`` and ``close`` in another."""

    def __init__(self) -> None:
        self._held = ExitStack()

    def begin(self, payload: Payload, settings: WorkerSettings) -> list[Event]:
        """Get ready. UserError if this machine cannot be used."""
        settle(settings)
        folder = self._held.enter_context(node_files(payload.key, payload.unpack))
        self._supervisor = Supervisor(folder / "task", settings, f"{socket.gethostname()}-{os.getpid()}")
        self._held.callback(self._supervisor.close)
        return []

    def send(self, message: Mapping[str, Any]) -> None:
        """See ``Supervisor.send``."""
        self._supervisor.send(message)

    def wait(self, seconds: float) -> list[Event]:
        """See ``Supervisor.wait``."""
        return self._supervisor.wait(seconds)

    def close(self) -> None:
        """Kill the running training."""
        self._held.close()
