"""The names of this machine: where a server listens on loopback, and how browsers address it there."""

from __future__ import annotations

import re

LOOPBACK = ("127.0.0.1", "localhost", "::1")
HOST = re.compile(r"(127\.0\.0\.1|localhost|\[::1\])(:\d*)?", re.IGNORECASE)
LOOPBACK_ONLY = "this server is for this machine only: address it as 127.0.0.1, localhost or [::1]"


def is_for_loopback(host: str) -> bool:
    """Whether a request's Host header names this machine.

    The owner of another name can make it resolve to 127.0.0.1, so that their page reads responses (DNS rebinding).
    """
    return HOST.fullmatch(host) is not None
