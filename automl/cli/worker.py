"""Train for a run on another machine: ``automl worker --connect HOST:PORT --token-file FILE``."""

from __future__ import annotations

import threading
import time
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from automl.errors import UserError

SECONDS_TO_LEAVE = 8.0  # after an interrupt; service managers kill after ten or more
app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)


@app.command()
def worker(
    connect: Annotated[
        str, typer.Option(metavar="HOST:PORT", help="Address a run listens on (automl run --executor tcp --listen).")
    ],
    token_file: Annotated[Path, typer.Option(metavar="FILE", help="File with the run's token.")],
    workers: Annotated[
        int | None,
        typer.Option(metavar="N", min=1, help="Trainings to run in parallel. [default: one per core, or per GPU]"),
    ] = None,
    certificate: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="PEM file with the run's certificate; needed for a run on another machine."),
    ] = None,
    patience: Annotated[
        float, typer.Option(metavar="SECONDS", min=0, help="How long to keep trying to connect or reconnect.")
    ] = 300,
) -> None:
    """Train for a run until it ends. This executes the run's code: connect only to runs that you trust."""
    from automl.runs.machines import check_tls
    from automl.runs.settings import default_workers
    from automl.tuning.tcp_protocol import read_token, worker_side
    from automl.tuning.tcp_worker import work

    check_tls(connect, certificate)
    token, tls = read_token(token_file), worker_side(certificate)
    n_workers = workers or default_workers("auto")
    errors: list[UserError] = []
    leaving, ended = threading.Event(), [threading.Event() for _ in range(n_workers)]

    def run(number: int) -> None:
        try:
            work(connect, token, tls, number=number, patience=patience, leaving=leaving, say=typer.echo)
        except UserError as error:
            errors.append(error)
        except Exception as error:  # otherwise the thread ends unnoticed, and the command with code 0
            traceback.print_exc()
            errors.append(UserError(f"worker {number} has failed: {type(error).__name__}: {error}"))
        finally:
            ended[number].set()

    threads = [threading.Thread(target=run, args=(number,), daemon=True) for number in range(n_workers)]
    _run(threads, ended, leaving)
    if errors:
        raise errors[0]


def _run(threads: Sequence[threading.Thread], ended: Sequence[threading.Event], leaving: threading.Event) -> None:
    """Run the threads to their end. An interrupt makes them leave first; otherwise, what a thread holds, such as the
    task's files, would stay on this machine.

    ``ended``: each set by a thread as its last step, since some versions of Python consider a thread ended
    once its ``join`` was interrupted.
    """
    try:
        for thread in threads:
            thread.start()
        for each in ended:
            each.wait()
    except KeyboardInterrupt:
        leaving.set()
        until = time.monotonic() + SECONDS_TO_LEAVE
        for each in ended:
            each.wait(max(0.0, until - time.monotonic()))
        raise
