"""A run's model behind HTTP, on this machine alone unless told otherwise: ``automl serve RUN``."""

from __future__ import annotations

import importlib.util
import signal
import socket
from pathlib import Path
from typing import Annotated

import typer

from automl.errors import UserError

LOOPBACK = ("127.0.0.1", "localhost", "::1")
GRACE = 5  # seconds that requests in flight have at the end
app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)


@app.command()
def serve(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="The folder of a run, or of its model.")],
    host: Annotated[str, typer.Option(help="Address to listen at; 0.0.0.0 is reached from everywhere.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port; 0 takes a free one.")] = 8000,
    max_rows: Annotated[int, typer.Option(min=1, help="Examples of a request, at most.")] = 1_000,
    max_bytes: Annotated[int, typer.Option(min=1, help="Bytes of a request, at most.")] = 10_485_760,
    seconds: Annotated[
        float, typer.Option(min=0.001, help="In which a request is answered, or told to be too slow.")
    ] = 30,
) -> None:
    """Answer requests with predictions, until Ctrl-C."""
    for package in ("fastapi", "uvicorn"):
        if importlib.util.find_spec(package) is None:
            raise UserError(f"serving needs the package {package}; install it with: pip install -e '.[serve]'")
    with listening(host, port) as listener:
        import torch
        import uvicorn

        from automl.deployment.http_service import Limits, Service
        from automl.deployment.predictor import load

        torch.set_num_threads(1)
        service = Service(load(run), Limits(max_rows, max_bytes, seconds))
        server = uvicorn.Server(
            uvicorn.Config(
                service.app,
                log_level="warning",
                access_log=False,
                lifespan="off",
                server_header=False,
                timeout_graceful_shutdown=GRACE,
            )
        )
        shown = f"[{host}]" if ":" in host else host
        address = f"http://{shown}:{listener.getsockname()[1]}"
        typer.echo(f"{service.app.title}: POST {address}/predict, GET /health, /openapi.json (Ctrl-C ends it)")
        if host not in LOOPBACK:
            typer.echo(f"whoever reaches {host} can ask it: there are no passwords here", err=True)
        for each in (signal.SIGINT, signal.SIGTERM):
            signal.signal(each, lambda *_: None)  # uvicorn ends by them cleanly, then sends them once more
        server.run(sockets=[listener])
        service.close()


def listening(host: str, port: int) -> socket.socket:
    """A socket that listens. UserError where address or port are not to be had."""
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        listener = socket.create_server((host, port), family=family, backlog=2_048)
    except OSError as error:
        raise UserError(
            f"cannot listen at {host}, port {port} ({error.strerror or error}); choose another with --port or --host"
        ) from None
    # What is accepted inherits it. Without, an answer's body waits 40 ms for the client's acknowledgment of its head.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener
