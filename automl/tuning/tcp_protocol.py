"""The TCP protocol between a run and its workers: JSON lines, after both have proved that they know the token.

The worker executes code that the run sends, so it demands a proof as well. The token itself is never sent.
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import json
import secrets
import socket
import ssl
import sys
from collections.abc import Callable, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

from automl.errors import UserError

MIN_TOKEN = 16  # characters
MAX_UNAUTHENTICATED_BYTES = 1_048_576  # of a line before both sides have proven the token
MAX_EVENT_BYTES = 16_777_216  # of a worker's line afterwards
HANDSHAKE_SECONDS = 10.0
HEARTBEAT_SECONDS = 5.0
HEARTBEAT_TIMEOUT = 60.0  # seconds without a message after which the other side counts as gone
AUTOML = version("automl")  # the settings and jobs of another version may have other fields
VERSION = f"{sys.version_info.major}.{sys.version_info.minor}"  # of Python: code is sent as its bytecode


def read_token(file: Path) -> bytes:
    """The secret in a file. UserError if it cannot be read or is short."""
    try:
        token = file.read_bytes().strip()
    except OSError as error:
        raise UserError(f"cannot read the token in {str(file)!r}: {error.strerror}") from None
    if len(token) < MIN_TOKEN:
        raise UserError(
            f"the token in {str(file)!r} must have {MIN_TOKEN} characters or more, e.g. of openssl rand -hex 32"
        )
    return token


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach the host."""
    try:
        found = socket.getaddrinfo(host, None)
    except OSError:
        return False  # using it will raise the reason
    return all(ipaddress.ip_address(each[4][0]).is_loopback for each in found)


def new_challenge() -> str:
    """A value unique to a connection."""
    return secrets.token_hex(32)


def proof(token: bytes, side: Literal["run", "worker"], challenges: tuple[str, str]) -> str:
    """The proof that a side knows the token, for the challenges of the run and the worker."""
    return hmac.new(token, json.dumps([side, *challenges]).encode(), hashlib.sha256).hexdigest()


def proves(shown: object, token: bytes, side: Literal["run", "worker"], challenges: tuple[str, str]) -> bool:
    """Whether ``shown`` is this proof."""
    return isinstance(shown, str) and hmac.compare_digest(shown.encode(), proof(token, side, challenges).encode())


def line_of(message: Mapping[str, Any]) -> bytes:
    """A message as a line."""
    return json.dumps(message).encode() + b"\n"


def message_of(line: bytes) -> dict[str, Any]:
    """The message in a line. ValueError if there is none."""
    try:
        content = json.loads(line)
    except RecursionError:
        raise ValueError("a message is nested too deeply") from None
    if not isinstance(content, dict):
        raise ValueError("a message must be an object")
    return content


def run_side(certificate: Path | None) -> ssl.SSLContext | None:
    """TLS for the side that listens. UserError if the PEM file has no certificate with its key."""
    if certificate is None:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    return _with(context, context.load_cert_chain, certificate, "a certificate and its private key")


def worker_side(certificate: Path | None) -> ssl.SSLContext | None:
    """TLS for the side that connects. UserError if the PEM file has no certificate."""
    if certificate is None:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    return _with(context, context.load_verify_locations, certificate, "a certificate")


def _with(context: ssl.SSLContext, load: Callable[[Path], None], certificate: Path, needed: str) -> ssl.SSLContext:
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    try:
        load(certificate)
    except (OSError, ssl.SSLError) as error:
        reason = error.strerror or error
        raise UserError(f"{str(certificate)!r} must be a PEM file with {needed}: {reason}") from None
    return context
