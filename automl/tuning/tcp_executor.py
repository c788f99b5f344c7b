"""Trainings on machines that run ``automl worker``: they connect to the run, take jobs, and may leave at any time."""

from __future__ import annotations

import asyncio
import base64
import json
import queue
import threading
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from automl.errors import UserError
from automl.tuning.jobs import Event, event_from_json
from automl.tuning.pickling import pickled
from automl.tuning.remote import RemoteExecutor, RemoteWorker, WorkerSettings, host_and_port, of_this_process, unsigned
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

if TYPE_CHECKING:
    import ssl

    from automl.task import Task

MAX_UNAUTHENTICATED = 64  # connections at a time
MAX_MESSAGES = 100
END_SECONDS = 2.0  # for the last lines to go out


class _Busy(Exception):
    """The other side may be a worker, but should try again later."""


class _Refused(Exception):
    """The other side cannot be a worker; the message is the reason."""


@dataclass(eq=False)
class _Connection(RemoteWorker):
    loop: asyncio.AbstractEventLoop | None = None
    writer: asyncio.StreamWriter | None = field(default=None, repr=False)

    def send(self, message: Mapping[str, Any]) -> None:
        assert self.loop is not None
        self.loop.call_soon_threadsafe(self.write, message)

    def write(self, message: Mapping[str, Any]) -> None:
        """Write a message, in the loop's thread. A lost connection is noticed by its reader."""
        assert self.writer is not None
        if not self.writer.is_closing():
            self.writer.write(line_of(message))


class TcpExecutor(RemoteExecutor[_Connection]):
    """Listens at an address; every worker that connects and knows the token takes one job at a time."""

    def __init__(
        self,
        task: Task,
        settings: WorkerSettings,
        *,
        listen: str,
        token: bytes,
        tls: ssl.SSLContext | None = None,
        max_workers: int | None = None,
        say: Callable[[str], object],
    ) -> None:
        """``listen``: HOST:PORT, port 0 for a free one. ``say``: called with a line if a worker cannot be used.
        UserError if the address is not available."""
        super().__init__(max_workers, say)
        self._token = token
        self._settings = of_this_process(settings)
        self._welcome = {
            "run": uuid.uuid4().hex,
            "settings": asdict(self._settings),
            "task": base64.b64encode(pickled(task)).decode(),
        }
        self._inbox: queue.Queue[tuple[_Connection, Event | str | None]] = queue.Queue()
        self._n_unproven = 0
        self._said: set[str] = set()
        self._loop = asyncio.new_event_loop()
        self._handlers: set[asyncio.Task[None]] = set()
        self._members: set[_Connection] = set()  # that know the token; used only in the loop's thread
        host, port = host_and_port(listen)
        try:
            self._server = self._loop.run_until_complete(
                asyncio.start_server(
                    self._connected,
                    host,
                    port,
                    ssl=tls,
                    limit=MAX_UNAUTHENTICATED_BYTES,
                    ssl_handshake_timeout=None if tls is None else HANDSHAKE_SECONDS,
                )
            )
        except OSError as error:
            self._loop.close()
            raise UserError(f"cannot listen on {listen} ({error.strerror or error}); choose another address") from None
        self.port: int = self._server.sockets[0].getsockname()[1]
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()

    def _new_events(self, seconds: float) -> Iterator[Event]:
        try:
            yield from self._handle(*self._inbox.get(timeout=seconds))
            while not self._inbox.empty():
                yield from self._handle(*self._inbox.get())
        except queue.Empty:
            return

    def _handle(self, connection: _Connection, what: Event | str | None) -> list[Event]:
        """``what``: None if the worker is ready, the reason if it has left, or an event."""
        if what is None:
            connection.ready = True
            self._workers.append(connection)
            return []
        if isinstance(what, str):
            return self._worker_lost(connection, what) if connection.ready else []
        return self._received(connection, what)

    def close(self) -> None:
        """Close the server, which also ends the workers."""
        if self._loop.is_closed():
            return
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        self._workers = []
        unsigned(self._settings)

    async def _end(self) -> None:
        self._server.close()
        for connection in self._members:
            connection.write({"end": True})
        for handler in self._handlers:
            handler.cancel()
        if self._handlers:
            await asyncio.wait(self._handlers, timeout=END_SECONDS + 1.0)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        handler = asyncio.current_task()
        assert handler is not None
        self._handlers.add(handler)
        handler.add_done_callback(self._handlers.discard)
        connection: _Connection | None = None
        address = writer.get_extra_info("peername")[0]
        try:
            connection = await self._admitted(reader, writer, address)
            self._members.add(connection)
            reason = await self._events(connection, reader)
            self._inbox.put((connection, reason))
        except _Busy:
            self._say_once(
                f"{MAX_UNAUTHENTICATED} connections at a time are being checked; a worker at {address} has to try again"
            )
            writer.write(line_of({"busy": True}))
        except _Refused as error:
            self._leave_out(f"the worker at {address}", str(error))
            writer.write(line_of({"refused": str(error)}))
        except (OSError, ValueError, TimeoutError, asyncio.IncompleteReadError):
            pass  # before it was admitted
        except asyncio.CancelledError:
            pass  # at the end of the run
        finally:
            self._members.discard(connection)
            with suppress(OSError, TimeoutError):
                writer.close()
                await asyncio.wait_for(writer.wait_closed(), END_SECONDS)
            writer.transport.abort()  # if the other side was too slow

    def _leave_out(self, who: str, reason: str) -> None:
        """Report that a worker is left out, once per reason."""
        self._say_once(f"{who} is left out: {reason}")

    def _say_once(self, what: str) -> None:
        if what not in self._said and len(self._said) < MAX_MESSAGES:
            self._said.add(what)
            self._say(what)

    async def _admitted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, address: str) -> _Connection:
        """The connection once both sides have proved that they know the token."""
        if self._n_unproven >= MAX_UNAUTHENTICATED:
            raise _Busy
        self._n_unproven += 1
        try:
            async with asyncio.timeout(HANDSHAKE_SECONDS):
                own = new_challenge()
                writer.write(line_of({"challenge": own}))
                hello = message_of(await reader.readline())
        finally:
            self._n_unproven -= 1
        challenges = (own, str(hello.get("challenge")))
        if not proves(hello.get("proof"), self._token, "worker", challenges):
            raise _Refused("it has another token")
        if hello.get("python") != VERSION:
            raise _Refused(f"it runs Python {hello.get('python')}, this machine {VERSION}")
        if hello.get("automl") != AUTOML:
            raise _Refused(f"it has automl {hello.get('automl')}, this machine {AUTOML}")
        writer.write(line_of({"proof": proof(self._token, "run", challenges)}))
        writer.write(line_of(self._welcome))
        await writer.drain()
        return _Connection(f"{address} ({hello.get('name')})", loop=self._loop, writer=writer)

    async def _events(self, connection: _Connection, reader: asyncio.StreamReader) -> str:
        """Pass on a worker's readiness and events until it is gone; returns the reason."""
        alive = asyncio.create_task(_heartbeats(connection))
        try:
            while True:
                message = message_of(await _long_line(reader))
                if "unfit" in message:
                    self._leave_out(connection.name, str(message["unfit"]))
                    return "cannot train"
                if "ready" in message:
                    self._inbox.put((connection, None))
                elif "event" in message:
                    self._inbox.put((connection, event_from_json(json.dumps(message))))
        except asyncio.IncompleteReadError:
            return "is gone: the connection was closed"
        except Exception as error:  # whatever it sends: its job must not stay with it
            return f"is gone: {str(error) or 'no sign of life on the connection'}"
        finally:
            alive.cancel()


async def _long_line(reader: asyncio.StreamReader) -> bytes:
    """A line that may exceed the reader's own limit, which is meant for peers that have not yet proved the token."""
    pieces, n_bytes = list[bytes](), 0
    while not (pieces and pieces[-1].endswith(b"\n")):
        try:
            pieces.append(await asyncio.wait_for(reader.readuntil(), HEARTBEAT_TIMEOUT))
        except asyncio.LimitOverrunError as error:
            pieces.append(await reader.readexactly(error.consumed))  # which the reader holds
        n_bytes += len(pieces[-1])
        if n_bytes > MAX_EVENT_BYTES:
            raise ValueError("it sends a line without end")
    return b"".join(pieces)


async def _heartbeats(connection: _Connection) -> None:
    while True:
        await asyncio.sleep(HEARTBEAT_SECONDS)
        connection.write({"alive": True})
