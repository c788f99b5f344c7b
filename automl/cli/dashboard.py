"""A read-only optuna-dashboard of a run, during or after it: ``automl dashboard RUN``."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterable
from socketserver import ThreadingMixIn
from typing import TYPE_CHECKING, Annotated, Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

import typer

from automl.cli.which_run import NAME, RUN
from automl.deployment.loopback import LOOPBACK_ONLY, is_for_loopback
from automl.errors import UserError, install_command

if TYPE_CHECKING:
    from optuna.storages import BaseStorage

    Application = Callable[[dict[str, Any], Any], Iterable[bytes]]

HOST = "127.0.0.1"
app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)


class DashboardServer(ThreadingMixIn, WSGIServer):
    """Serves requests concurrently, since a page sends several; open requests do not block shutdown."""

    daemon_threads = True


class Quiet(WSGIRequestHandler):
    """Does not log every request to the terminal."""

    def log_message(self, format: str, *args: Any) -> None:
        pass


@app.command()
def dashboard(
    run: Annotated[str, RUN],
    name: Annotated[str | None, NAME] = None,
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port on this machine; 0 picks a free one.")] = 8080,
) -> None:
    """Show a run in optuna-dashboard, on this machine only, until Ctrl-C. The run is not changed."""
    from automl.study.location import located
    from automl.study.snapshot import storage

    at = located(run, name)
    with contextlib.suppress(KeyboardInterrupt), serve(storage(at), port) as server:
        typer.echo(f"dashboard of {at}: http://{HOST}:{server.server_port}/ (Ctrl-C stops it, not the run)")
        server.serve_forever()


def serve(kept: BaseStorage, port: int) -> WSGIServer:
    """A loopback server, to be started with ``serve_forever``. UserError if the extra is missing or the port in use."""
    from optuna.storages import get_storage

    try:
        from optuna_dashboard import wsgi  # type: ignore[import-untyped,import-not-found,unused-ignore]
    except ImportError:
        raise UserError(
            f"the dashboard needs the package optuna-dashboard; install it with: {install_command('dashboard')}"
        ) from None
    try:
        application = wsgi(get_storage(kept))  # reads each finished trial once, not at every request
        return make_server(HOST, port, _guarded(application), server_class=DashboardServer, handler_class=Quiet)
    except OSError as error:
        raise UserError(
            f"cannot listen on port {port} ({error.strerror}); choose another with --port, or --port 0"
        ) from None


def _guarded(application: Application) -> Application:
    """Refuse requests that write before they reach the database, and those for another host."""

    def answer(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        if not is_for_loopback(environ.get("HTTP_HOST", "")):
            reason = LOOPBACK_ONLY
        elif environ["REQUEST_METHOD"] not in ("GET", "HEAD"):
            reason = "the run is opened read-only"
        else:
            return application(environ, start_response)
        start_response("403 Forbidden", [("Content-Type", "application/json")])
        return [json.dumps({"reason": reason}).encode()]

    return answer
