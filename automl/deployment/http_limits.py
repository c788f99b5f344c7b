"""What a client may do to the HTTP service: limits on connections, request heads and log messages, and a token."""

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

MAX_CONNECTIONS = 512
BACKLOG = 128  # connections that are accepted at a time, before any of them is counted
HEAD_SECONDS = 10.0  # in which the head of a request must arrive
HEAD_BYTES = 16_384
MESSAGES, SECONDS = 20, 10.0  # log messages in so many seconds

Scope = MutableMapping[str, Any]
Application = Callable[[Scope, Any, Any], Awaitable[None]]


class LimitedProtocol(H11Protocol):
    """Closes connections whose request does not arrive; where there are too many, first the one that waits longest."""

    waits_since: float | None = None  # for the head of a request, in the loop's seconds
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
        if self.conn.their_state is not h11.IDLE:
            self._has_arrived()
        elif self.waits_since is None and not self.transport.is_closing():
            self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        self._has_arrived()
        super().connection_lost(exc)

    def _wait(self) -> None:
        self.waits_since = self.loop.time()
        self._timer = self.loop.call_later(HEAD_SECONDS, self.transport.abort)

    def _has_arrived(self) -> None:
        self.waits_since = None
        if self._timer is not None:
            self._timer.cancel()


class RateLimit(logging.Filter):
    """Drops messages beyond MESSAGES in SECONDS, and says how many."""

    def __init__(self) -> None:
        super().__init__()
        self._since, self._n = -SECONDS, 0

    def filter(self, record: logging.LogRecord) -> bool:
        now = time.monotonic()
        if now - self._since >= SECONDS:
            if self._n > MESSAGES:
                record.msg = f"{record.msg} ({self._n - MESSAGES:,} messages before it were left out)"
            self._since, self._n = now, 0
        self._n += 1
        return self._n <= MESSAGES


def limit_log() -> None:
    """Limit the messages that requests can cause."""
    limit = RateLimit()
    for name in ("uvicorn.error", "asyncio", "automl.deployment.http_service"):
        logging.getLogger(name).addFilter(limit)


def allow_connections() -> None:
    """Raise this process's limit on open files to what MAX_CONNECTIONS needs, as far as it may."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = 2 * (MAX_CONNECTIONS + BACKLOG)
    if soft != resource.RLIM_INFINITY and soft < needed:
        most = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


def with_token(application: Application, token: str, refusal: Application) -> Application:
    """The application for requests with ``Authorization: Bearer TOKEN``, and ``refusal`` for all others."""
    wanted = f"Bearer {token}".encode()

    async def check(scope: Scope, receive: Any, send: Any) -> None:
        given = dict(scope.get("headers") or ()).get(b"authorization", b"")
        allowed = scope["type"] != "http" or hmac.compare_digest(given, wanted)
        await (application if allowed else refusal)(scope, receive, send)

    return check
