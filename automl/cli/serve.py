"""Serve a run's model over HTTP, on this machine only by default: ``automl serve RUN``."""

from __future__ import annotations

import importlib.util
import secrets
import signal
import socket
from pathlib import Path
from typing import Annotated

import typer

from automl.deployment.loopback import LOOPBACK
from automl.errors import UserError, install_command

GRACE = 5  # seconds that requests in flight have on shutdown
app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)


@app.command()
def serve(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="The folder of a run, or of its model.")],
    host: Annotated[str, typer.Option(help="Address to listen on; 0.0.0.0 accepts other machines.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port; 0 picks a free one.")] = 8000,
    max_rows: Annotated[int, typer.Option(min=1, help="Maximum examples per request.")] = 1_000,
    max_bytes: Annotated[int, typer.Option(min=1, help="Maximum bytes per request.")] = 10_485_760,
    seconds: Annotated[
        float, typer.Option(min=0.001, help="Time limit per request; slower ones are answered with status 503.")
    ] = 30,
    token_file: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="File with the token that requests must send. [default: none on this machine, else a new one]",
        ),
    ] = None,
) -> None:
    """Serve predictions until Ctrl-C."""
    token = _token(token_file, host)
    for package in ("fastapi", "uvicorn"):
        if importlib.util.find_spec(package) is None:
            raise UserError(f"serving needs the package {package}; install it with: {install_command('serve')}")
    with listening(host, port) as listener:
        import torch
        import uvicorn

        from automl.deployment.http_limits import BACKLOG, HEAD_BYTES, LimitedProtocol, allow_connections, limit_log
        from automl.deployment.http_service import Limits, Service
        from automl.deployment.several_targets import load

        torch.set_num_threads(1)
        allow_connections()
        service = Service(load(run), Limits(max_rows, max_bytes, seconds), token)
        server = uvicorn.Server(
            uvicorn.Config(
                service.app,
                http=LimitedProtocol,
                ws="none",  # a connection with another protocol would escape the limits
                h11_max_incomplete_event_size=HEAD_BYTES,
                backlog=BACKLOG,
                log_level="warning",
                access_log=False,
                lifespan="off",
                server_header=False,
                timeout_graceful_shutdown=GRACE,
            )
        )
        limit_log()  # after uvicorn's configuration
        shown = f"[{host}]" if ":" in host else host
        address = f"http://{shown}:{listener.getsockname()[1]}"
        typer.echo(f"{service.title}: POST {address}/predict, GET /health, /openapi.json (Ctrl-C stops it)")
        if token is not None:
            shown = "the token of the file" if token_file is not None else token
            typer.echo(f"requests need the header Authorization: Bearer {shown}")
        for each in (signal.SIGINT, signal.SIGTERM):
            signal.signal(each, lambda *_: None)  # uvicorn shuts down on them, then raises them again
        server.run(sockets=[listener])
        service.close()
        for each in (signal.SIGINT, signal.SIGTERM):
            signal.signal(each, signal.SIG_DFL)  # the process ends only with the prediction that is being computed


def _token(file: Path | None, host: str) -> str | None:
    """The token of a file, or a new one where other machines can connect."""
    if file is None:
        return None if host in LOOPBACK else secrets.token_urlsafe(24)
    from automl.tuning.tcp_protocol import read_token

    token = read_token(file).decode("latin-1")
    if not (token.isascii() and token.isprintable()) or " " in token:
        raise UserError(f"the token in {str(file)!r} must consist of ASCII characters, without blanks")
    return token


def listening(host: str, port: int) -> socket.socket:
    """A listening socket. UserError if the address or port is not available."""
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        listener = socket.create_server((host, port), family=family, backlog=2_048)
    except OSError as error:
        raise UserError(
            f"cannot listen on {host}, port {port} ({error.strerror or error}); choose another with --port or --host"
        ) from None
    # Accepted sockets inherit it. Without it, a response's body waits 40 ms for the client to acknowledge its head.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener
