"""Trainings on a Ray cluster: one actor per worker, on nodes that may come and go."""

from __future__ import annotations

import logging
import math
import os
import socket
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import ray
from ray.exceptions import ActorDiedError, OutOfMemoryError, RayError, RayTaskError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from automl.errors import UserError
from automl.tuning.pickling import pickled
from automl.tuning.ray_worker import Payload, RayWorker
from automl.tuning.remote import RemoteExecutor, RemoteWorker, WorkerSettings, host_and_port, of_this_process, unsigned

if TYPE_CHECKING:
    from automl.task import Task
    from automl.tuning.jobs import Event

CHECK_SECONDS = 1.0  # between checks of the nodes
POLL_SECONDS = 20.0  # that a call for events waits
EVENTS, MESSAGES = {"concurrency_group": "events"}, {"concurrency_group": "messages"}  # a thread each, calls in order
ACTOR = ray.remote(concurrency_groups={"events": 1, "messages": 1})(RayWorker)
MAX_WORKER_FAILURES = 3  # after which a node is left out
N_SPARE_WORKERS = 1  # workers beyond the limit, ready to replace a lost one, if the cluster has room
CONNECT_SECONDS = 10.0
SECONDS_TO_CLOSE = 20.0
TOKEN = Path(".ray") / "auth_token"  # in the user's home: whoever has it can run code on the cluster


@dataclass(eq=False)
class _Actor(RemoteWorker):
    node: str = ""
    handle: Any = None
    call: Any = field(default=None, repr=False)  # pending, for its next events

    def send(self, message: Mapping[str, Any]) -> None:
        self.handle.send.options(**MESSAGES).remote(message)


def connect(address: str | None) -> None:
    """Connect to the Ray cluster at an address; by default to that of this machine, which is started if necessary.
    UserError if there is none at the address, or if this process is connected to another one."""
    if ray.is_initialized():
        connected = ray.get_runtime_context().gcs_address
        if address is not None and not _may_be_same(address, connected):
            raise UserError(
                f"this process is connected to the Ray cluster at {connected}, not at {address}; "
                "call ray.shutdown() before, or leave the address out"
            )
        return
    named = address or os.environ.get("RAY_ADDRESS")
    found = named or ray._private.utils.read_ray_address()
    if named is None and (found is None or _connection_error(found)):
        found = "local"  # also if this machine's cluster has died
    reason = _connection_error(found)
    if reason is not None:
        raise UserError(f"cannot connect to a Ray cluster at {found}: {reason}")
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    ray._private.worker.print_to_stdstream = _log  # standard output belongs to the run, and may be JSON
    try:
        with _on_loopback() if found == "local" else nullcontext():
            ray.init(found, log_to_driver=False, logging_level=logging.ERROR)
    except (ConnectionError, ValueError, RuntimeError) as error:
        reason = str(error).strip().splitlines()[0]
        raise UserError(f"cannot connect to a Ray cluster at {found}: {reason}") from None
    if found == "local":
        with suppress(OSError):  # Ray wrote no token, or it is not this user's
            (Path.home() / TOKEN).chmod(0o600)  # Ray lets all users of the machine read it


@contextmanager
def _on_loopback() -> Iterator[None]:
    """Make the processes of a cluster that is started here listen on 127.0.0.1 alone, as Ray does on macOS and Windows.

    On Linux, Ray 2.60 has no argument for this: it replaces 127.0.0.1 by an address that other machines can reach.
    """
    constants = ray._private.ray_constants
    enabled, before = constants.ENABLE_RAY_CLUSTER, os.environ.get(constants.ENABLE_RAY_CLUSTERS_ENV_VAR)
    constants.ENABLE_RAY_CLUSTER = False  # in this process; in those that it starts, by the variable
    os.environ[constants.ENABLE_RAY_CLUSTERS_ENV_VAR] = "0"
    try:
        yield
    finally:
        constants.ENABLE_RAY_CLUSTER = enabled
        del os.environ[constants.ENABLE_RAY_CLUSTERS_ENV_VAR]
        if before is not None:
            os.environ[constants.ENABLE_RAY_CLUSTERS_ENV_VAR] = before


def _may_be_same(address: str, connected: str) -> bool:
    """Whether an address may be that of the connected cluster, HOST:PORT: a cluster on this machine has several."""
    if address in ("auto", "local") or "://" in address:
        return True
    (host, port), (other, other_port) = host_and_port(address), host_and_port(connected)
    try:
        ips = {socket.gethostbyname(host), socket.gethostbyname(other)}
    except OSError:  # no such host, or IPv6
        return port == other_port and host == other
    return port == other_port and (len(ips) == 1 or any(ip.startswith("127.") for ip in ips))


def _connection_error(address: str) -> str | None:
    """Why HOST:PORT does not answer (Ray would retry for minutes); None if it does, or for other forms of address."""
    if address in ("auto", "local") or "://" in address:
        return None
    try:
        socket.create_connection(host_and_port(address), timeout=CONNECT_SECONDS).close()
    except OSError as error:
        return error.strerror or str(error)
    return None


def room(cores: float, gpus: float) -> dict[str, int]:
    """Node -> how many workers fit on it; without dead and draining nodes."""
    leaving = ray._private.state.state.get_draining_nodes()
    rooms = {}
    for node in ray.nodes():
        if node["Alive"] and node["NodeID"] not in leaving:
            resources = node["Resources"]
            parts = [(resources.get("CPU", 0.0), cores), (resources.get("GPU", 0.0), gpus)]
            rooms[node["NodeID"]] = int(min(math.floor(have / need + 1e-9) for have, need in parts if need))
    return rooms


def has_gpus() -> bool:
    """Whether a node of the cluster has a GPU."""
    return any(node["Alive"] and node["Resources"].get("GPU") for node in ray.nodes())


class RayExecutor(RemoteExecutor[_Actor]):
    """One actor per worker, as many as the nodes have room for, but at most ``max_workers``.

    An actor holds its cores and share of a GPU for the whole run. If it dies, the tuner retries its job, and its node
    stays in use. A draining node gets no more jobs.
    """

    def __init__(
        self,
        task: Task,
        settings: WorkerSettings,
        *,
        address: str | None = None,
        max_workers: int | None = None,
        cores: float = 1.0,
        gpus: float = 0.0,
        data: Path | None = None,
        say: Callable[[str], object],
    ) -> None:
        """``cores``, ``gpus``: of each worker; may be fractions. ``data``: the folder that ``task.data`` names, which
        is sent along. ``say``: called with a line if a node cannot be used. UserError if there is no such cluster.
        """
        super().__init__(max_workers, say)
        content = pickled(task)
        connect(address)
        self._cores, self._gpus = cores, gpus
        self._settings = of_this_process(replace(settings, n_threads=max(1, int(cores))))
        files = None if data is None else {str(f.relative_to(data)): f.read_bytes() for f in _files(data)}
        self._parcel = Payload(uuid.uuid4().hex, ray.put(content), None if files is None else ray.put(files))
        self._refused: dict[str, str] = {}  # node -> why it cannot be used
        self._n_failures: Counter[str] = Counter()  # by node
        self._looked = -math.inf
        self._check_nodes()

    def _new_events(self, seconds: float) -> Iterator[Event]:
        self._check_nodes()
        calls = {actor.call: actor for actor in self._workers}
        if not calls:
            time.sleep(min(seconds, CHECK_SECONDS))
            return
        done, _ = ray.wait(list(calls), num_returns=1, timeout=min(seconds, CHECK_SECONDS), fetch_local=False)
        if done:
            done, _ = ray.wait(list(calls), num_returns=len(calls), timeout=0, fetch_local=False)
        for call in done:
            yield from self._called(calls[call])

    def _called(self, actor: _Actor) -> Iterable[Event]:
        try:
            events = ray.get(actor.call)
        except OutOfMemoryError:
            return self._worker_lost(actor, "was killed, as its machine is short of memory", again=False)
        except RayError as error:
            ray.kill(actor.handle)
            if isinstance(error, RayTaskError) or (isinstance(error, ActorDiedError) and error.actor_init_failed):
                self._failed(actor, error)
                return self._worker_lost(actor, "cannot train")
            return self._worker_lost(actor, "is gone")
        actor.ready = True
        actor.call = actor.handle.wait.options(**EVENTS).remote(POLL_SECONDS)
        return [mine for event in events for mine in self._received(actor, event)]

    def _failed(self, actor: _Actor, error: Exception) -> None:
        """Leave out a node that cannot be used or on which errors recur. UserError if there is no other."""
        cause = getattr(error, "cause", None) or error
        self._n_failures[actor.node] += 1
        if not isinstance(cause, UserError):
            if self._n_failures[actor.node] < MAX_WORKER_FAILURES:  # an error of the cluster, such as a lost object
                return
            cause = UserError(f"{type(cause).__name__}: {' '.join(str(cause).split())}")
        self._refused[actor.node] = str(cause)
        if not any(n for node, n in room(self._cores, self._gpus).items() if node not in self._refused):
            raise UserError(f"no machine of the cluster can train: {cause}")
        self._say(f"{actor.name} is left out: {cause}")

    def _check_nodes(self) -> None:
        """Match the actors to the room on the current nodes, evenly spread."""
        if time.monotonic() < self._looked + CHECK_SECONDS:
            return
        self._looked = time.monotonic()
        rooms = {node: n for node, n in room(self._cores, self._gpus).items() if node not in self._refused}
        for actor in [each for each in self._workers if each.node not in rooms]:
            actor.leaving = True
            if actor.ready and actor.job is None:
                self._workers.remove(actor)
                ray.kill(actor.handle)
        there = Counter(actor.node for actor in self._workers)
        left = {node: n - there[node] for node, n in rooms.items()}
        while len(self._workers) < self._max_workers + N_SPARE_WORKERS and any(n > 0 for n in left.values()):
            node = max(left, key=lambda each: left[each])
            left[node] -= 1
            self._start(node)

    def _start(self, node: str) -> None:
        handle = ACTOR.options(
            num_cpus=self._cores,
            num_gpus=self._gpus,
            scheduling_strategy=NodeAffinitySchedulingStrategy(node, soft=False),
        ).remote()
        address = next(each["NodeManagerAddress"] for each in ray.nodes() if each["NodeID"] == node)
        actor = _Actor(f"{address} (node {node[:8]})", node=node, handle=handle)
        actor.call = handle.begin.options(**EVENTS).remote(self._parcel, self._settings)
        self._workers.append(actor)

    def close(self) -> None:
        actors, self._workers = self._workers, []
        closing = [actor.handle.close.options(**MESSAGES).remote() for actor in actors if actor.ready]
        if closing:
            ray.wait(closing, num_returns=len(closing), timeout=SECONDS_TO_CLOSE)
        for actor in actors:
            ray.kill(actor.handle)
        unsigned(self._settings)


def _log(data: Mapping[str, Any], ignore_prefix: bool) -> None:
    for line in data["lines"]:
        logging.getLogger("ray").debug(line)


def _files(folder: Path) -> list[Path]:
    return sorted(file for file in folder.rglob("*") if file.is_file())
