"""Protection of the HTTP service: limits on connections, request heads and log messages, a token, and the host."""

from __future__ import annotations

import asyncio
import hmac
import logging
import resource
import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from automl.deployment.loopback import is_for_loopback

MAX_CONNECTIONS = 512
BACKLOG = 128  # connections that are accepted at a time, before any of them is counted
HEAD_SECONDS = 10.0  # for the head of a request to arrive, and for the rest of a body that is not read
READ_SECONDS = 60.0  # for a response to be read
HEAD_BYTES = 16_384
MESSAGES, SECONDS = 20, 10.0  # maximum log messages per period, and its length

Scope = MutableMapping[str, Any]
Application = Callable[[Scope, Any, Any], Awaitable[None]]


class LimitedProtocol(H11Protocol):
    """Closes connections whose request does not arrive or whose response is not read in time; if there are too many,
    the one that has waited longest.

    The head must arrive in time, and so must the rest of a body whose response was sent early. For a body that the
    application reads, it sets the time limit itself.
    """

    waits_since: float | None = None  # when it began to wait for its client, in loop time; None: it does not
    _timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._wait()
        if len(self.connections) > MAX_CONNECTIONS:
            waiting = {
                each.waits_since: each
                for each in self.connections
                if isinstance(each, LimitedProtocol) and each.waits_since is not None
            }
            waiting[min(waiting)].transport.abort()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._update_timer()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._update_timer()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_timer()
        super().connection_lost(exc)

    def _update_timer(self) -> None:
        """Update what the connection waits for: uvicorn drops its own limit once another byte has arrived."""
        if self._is_waiting():
            if self._timer is None:
                self._wait()
        else:
            self._stop_timer()
            if self.conn.their_state is not h11.SEND_BODY:
                self.waits_since = None

    def _is_waiting(self) -> bool:
        """Whether it waits for a request, the rest of one, or for its response to be read."""
        state = self.conn.their_state
        has_rest_to_come = state is h11.SEND_BODY and self.cycle.response_complete
        return state is h11.IDLE or has_rest_to_come or self._is_unread()

    def _is_unread(self) -> bool:
        return self.transport.get_write_buffer_size() > 0

    def _wait(self) -> None:
        self.waits_since = self.loop.time()
        self._timer = self.loop.call_later(HEAD_SECONDS, self._time_out, self.waits_since + READ_SECONDS)

    def _time_out(self, until: float) -> None:
        """Close the connection, unless a response is still being read, which may take until the time ``until``."""
        if self._is_unread() and self.loop.time() < until:
            self._timer = self.loop.call_later(HEAD_SECONDS, self._time_out, until)
        elif self._is_waiting():
            self.transport.abort()
        else:
            self._update_timer()

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


class RateLimit(logging.Filter):
    """Drops messages beyond MESSAGES in SECONDS, and reports how many."""

    def __init__(self) -> None:
        super().__init__()
        self._since, self._n = -SECONDS, 0

    def filter(self, record: logging.LogRecord) -> bool:
        now = time.monotonic()
        if now - self._since >= SECONDS:
            if self._n > MESSAGES:
                record.msg = f"{record.msg} ({self._n - MESSAGES:,} earlier messages were left out)"
            self._since, self._n = now, 0
        self._n += 1
        return self._n <= MESSAGES


def limit_log() -> None:
    """Limit the messages that requests can cause."""
    limit = RateLimit()
    for name in ("uvicorn.error", "asyncio", "automl.deployment.http_service"):
        logging.getLogger(name).addFilter(limit)


def allow_connections() -> None:
    """Raise this process's limit on open files to what MAX_CONNECTIONS needs, as far as permitted."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = 2 * (MAX_CONNECTIONS + BACKLOG)
    if soft != resource.RLIM_INFINITY and soft < needed:
        most = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


def with_token(application: Application, token: str, refusal: Application) -> Application:
    """The application for requests with ``Authorization: Bearer TOKEN``, and ``refusal`` for all others."""
    wanted = f"Bearer {token}".encode()
    return _guarded(application, refusal, b"authorization", lambda given: hmac.compare_digest(given, wanted))


def for_loopback(application: Application, refusal: Application) -> Application:
    """The application for requests whose host is this machine, and ``refusal`` for all others."""
    return _guarded(application, refusal, b"host", lambda given: is_for_loopback(given.decode("latin-1")))


def _guarded(
    application: Application, refusal: Application, header: bytes, is_allowed: Callable[[bytes], bool]
) -> Application:
    """The application for requests with an allowed value of a header, and ``refusal`` for all others."""

    async def check(scope: Scope, receive: Any, send: Any) -> None:
        given = dict(scope.get("headers") or ()).get(header, b"")
        allowed = scope["type"] != "http" or is_allowed(given)
        await (application if allowed else refusal)(scope, receive, send)

    return check
