"""Follow a run in the terminal, during or after it: ``automl watch RUN``. Read-only."""

from __future__ import annotations

import time
from typing import Annotated

import typer

from automl.cli.which_run import NAME, RUN

app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)


@app.command()
def watch(
    run: Annotated[str, RUN],
    name: Annotated[str | None, NAME] = None,
    once: Annotated[bool, typer.Option("--once", help="Print one frame and exit.")] = False,
    every: Annotated[float, typer.Option(min=0.1, metavar="SECONDS", help="Seconds between updates.")] = 1.0,
) -> None:
    """Show a run's best trial, latest trials, current trainings and time left. Ends with the run, or on Ctrl-C."""
    from rich.live import Live

    from automl.cli.console import literal_console
    from automl.cli.watch_view import frame
    from automl.study.location import located
    from automl.study.snapshot import look

    at, console = located(run, name), literal_console()
    seen = look(at)
    if once or not console.is_terminal:
        console.print(frame(seen))
        return
    with Live(frame(seen), console=console, auto_refresh=False) as live:
        try:
            while seen.is_running:
                time.sleep(every)
                seen = look(at)
                live.update(frame(seen), refresh=True)
        except KeyboardInterrupt:
            return  # the run continues
