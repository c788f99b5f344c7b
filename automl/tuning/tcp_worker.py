"""The side of ``automl worker``: connects to a run, trains its jobs, and reconnects when the connection is lost."""

from __future__ import annotations

import base64
import json
import os
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, wait
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import IO, Any

from automl.devices import cards
from automl.errors import UserError
from automl.tuning.jobs import Event, JobEnded, event_to_json
from automl.tuning.node_files import node_files
from automl.tuning.remote import Supervisor, WorkerSettings, host_and_port, settle
from automl.tuning.tcp_protocol import (
    AUTOML,
    HANDSHAKE_SECONDS,
    HEARTBEAT_SECONDS,
    HEARTBEAT_TIMEOUT,
    MAX_EVENT_BYTES,
    MAX_UNAUTHENTICATED_BYTES,
    VERSION,
    line_of,
    message_of,
    new_challenge,
    proof,
    proves,
)

MAX_RECONNECT_SECONDS = 30.0  # seconds between two attempts to connect
SECONDS_TO_LISTEN = 5.0  # for the end message of a run that is gone


class Disconnected(Exception):
    """The connection was lost; the run may be back later."""


class RunConnection:
    """A connection to a run, once both sides have proved that they know the token."""

    def __init__(self, sock: socket.socket, token: bytes, name: str) -> None:
        """UserError if the run refuses this worker or does not know the token. Disconnected if it is too busy."""
        self._sock = sock
        self._reader: IO[bytes] = sock.makefile("rb")
        self._sending = threading.Lock()
        sock.settimeout(HANDSHAKE_SECONDS)
        first = self.receive(MAX_UNAUTHENTICATED_BYTES)
        if "busy" in first:
            raise Disconnected("the run is busy with other connections")
        challenges = (str(first.get("challenge")), new_challenge())
        shown = proof(token, "worker", challenges)
        self.send({"challenge": challenges[1], "proof": shown, "name": name, "python": VERSION, "automl": AUTOML})
        answer = self.receive(MAX_UNAUTHENTICATED_BYTES)
        if "refused" in answer:
            raise UserError(f"the run refuses this worker: {answer['refused']}")
        if not proves(answer.get("proof"), token, "run", challenges):
            raise UserError("the server at this address does not know the token")
        self.welcome = self.receive()
        sock.settimeout(HEARTBEAT_TIMEOUT)

    def send(self, message: dict[str, Any]) -> None:
        """Send a message. Disconnected if the connection is lost."""
        try:
            with self._sending:
                self._sock.sendall(line_of(message))
        except OSError as error:
            raise Disconnected(str(error)) from None

    def receive(self, max_bytes: int = -1) -> dict[str, Any]:
        """The next message, of at most ``max_bytes`` bytes. Disconnected if the connection is lost."""
        try:
            line = self._reader.readline(max_bytes)
            if not line.endswith(b"\n"):
                raise Disconnected("the connection was closed")
            return message_of(line)
        except (OSError, ValueError) as error:
            raise Disconnected(str(error)) from None

    def close(self) -> None:
        """Close the connection, even while another thread receives."""
        with suppress(OSError):
            self._sock.shutdown(socket.SHUT_RDWR)
        self._reader.close()
        self._sock.close()


def work(
    address: str,
    token: bytes,
    tls: ssl.SSLContext | None,
    *,
    number: int,
    patience: float,
    leaving: threading.Event,
    say: Callable[[str], object],
) -> None:
    """Train for the run at HOST:PORT until it ends. ``number``: of this worker on this machine.

    ``patience``: seconds to try to connect, at first and when cut off. ``leaving``: set from another thread to end
    within about a second, with all files removed. ``say``: called with status messages.
    UserError if the run is not there, or cannot use this worker.
    """
    until, pause = time.monotonic() + patience, 0.5
    while True:
        try:
            with connected(address, tls, token, f"{socket.gethostname()}-{os.getpid()}-{number}") as line:
                say(f"worker {number} is connected to {address}")
                until, pause = time.monotonic() + patience, 0.5
                has_ended = _train(line, number, leaving)
                if leaving.is_set():
                    return
                if has_ended:
                    say(f"worker {number}: the run has ended")
                    return
                until = time.monotonic() + patience
        except Disconnected as error:
            reason = str(error)
        else:
            reason = "the connection was lost"
        if time.monotonic() + pause > until:
            raise UserError(f"no run at {address}: {reason}")
        say(f"worker {number}: {reason}; trying again")
        if leaving.wait(pause):
            return
        pause = min(2 * pause, MAX_RECONNECT_SECONDS)


@contextmanager
def connected(address: str, tls: ssl.SSLContext | None, token: bytes, name: str) -> Iterator[RunConnection]:
    """A connection to the run at HOST:PORT. ``name``: of this worker. Disconnected if nothing answers; UserError as for
    RunConnection, or if the certificate is not the expected one."""
    host, port = host_and_port(address)
    try:
        sock = socket.create_connection((host, port), timeout=HANDSHAKE_SECONDS)
        if tls is not None:
            sock = tls.wrap_socket(sock, server_hostname=host)
    except ssl.SSLCertVerificationError as error:
        raise UserError(f"the certificate of {address} is not the expected one: {error.verify_message}") from None
    except OSError as error:
        raise Disconnected(error.strerror or str(error)) from None
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    with closing(sock), closing(RunConnection(sock, token, name)) as line:
        yield line


def _train(line: RunConnection, number: int, leaving: threading.Event) -> bool:
    """Train until the run ends (True), the connection is lost or this worker leaves.

    UserError if this machine cannot train.
    """
    with ExitStack() as held:
        try:
            with _alive(line):
                supervisor = _supervisor(line.welcome, number, held)
            line.send({"ready": True})
            return _serve(line, supervisor, leaving)
        except (UserError, OSError) as error:
            line.send({"unfit": str(error)})
            raise UserError(str(error)) from None


def _supervisor(welcome: Mapping[str, Any], number: int, held: ExitStack) -> Supervisor:
    """The supervisor that trains for the run; ``held`` closes it and removes its files."""
    settings = WorkerSettings(**welcome["settings"])
    found = cards(settings.device)
    if found:  # one per worker of this machine
        settings = replace(settings, device=f"cuda:{found[number % len(found)]}")

    def unpack(folder: Path) -> None:
        (folder / "task").write_bytes(base64.b64decode(welcome["task"]))

    settle(settings)
    folder = held.enter_context(node_files(welcome["run"], unpack))
    supervisor = Supervisor(folder / "task", settings, f"{socket.gethostname()}-{os.getpid()}-{number}")
    held.callback(supervisor.close)
    return supervisor


@contextmanager
def _alive(line: RunConnection) -> Iterator[None]:
    """Send signs of life: on a busy machine, getting ready may take longer than a run waits for one."""
    over = threading.Event()

    def say() -> None:
        with suppress(Disconnected):
            while not over.wait(HEARTBEAT_SECONDS):
                line.send({"alive": True})

    threading.Thread(target=say, daemon=True).start()
    try:
        yield
    finally:
        over.set()


def _serve(line: RunConnection, supervisor: Supervisor, leaving: threading.Event) -> bool:
    """Process jobs until the run ends (True), the connection is lost or this worker leaves."""
    ended: Future[bool] = Future()

    def listen() -> None:
        try:
            while "end" not in (message := line.receive()):
                if "alive" not in message:
                    supervisor.send(message)
            ended.set_result(True)
        except Disconnected:
            ended.set_result(False)

    threading.Thread(target=listen, daemon=True).start()
    last = time.monotonic()
    try:
        while not ended.done() and not leaving.is_set():
            for event in supervisor.wait(1.0):
                line.send(_message_of(event, supervisor))
            if time.monotonic() > last + HEARTBEAT_SECONDS:
                last = time.monotonic()
                line.send({"alive": True})
    except Disconnected:
        wait([ended], SECONDS_TO_LISTEN)
        return ended.done() and ended.result()
    return ended.done() and ended.result()


def _message_of(event: Event, supervisor: Supervisor) -> dict[str, Any]:
    """The message for an event. One that is too long ends its job, since a retry would end the same way."""
    text = event_to_json(event)
    if len(text) >= MAX_EVENT_BYTES:
        supervisor.send({"cancel": True})
        error = f"an epoch with its metrics takes more than {MAX_EVENT_BYTES:,} bytes to report; give fewer metrics"
        text = event_to_json(JobEnded(event.key, 0.0, error))
    message: dict[str, Any] = json.loads(text)
    return message
