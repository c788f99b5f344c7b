"""Follow a run in the terminal, during or after it: ``automl watch RUN_FOLDER``. Read-only."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)


@app.command()
def watch(
    folder: Annotated[Path, typer.Argument(metavar="RUN_FOLDER", help="The folder of a run.")],
    once: Annotated[bool, typer.Option("--once", help="Print one frame and exit.")] = False,
    every: Annotated[float, typer.Option(min=0.1, metavar="SECONDS", help="Seconds between updates.")] = 1.0,
) -> None:
    """Show a run's best trial, latest trials, current trainings and time left. Ends with the run, or on Ctrl-C."""
    from rich.console import Console
    from rich.live import Live

    from automl.cli.watch_view import frame
    from automl.study.run_folder import RunFolder
    from automl.study.snapshot import look

    run, console = RunFolder(folder), Console()
    seen = look(run)
    if once or not console.is_terminal:
        console.print(frame(seen, run))
        return
    with Live(frame(seen, run), console=console, auto_refresh=False) as live:
        try:
            while seen.going_on:
                time.sleep(every)
                seen = look(run)
                live.update(frame(seen, run), refresh=True)
        except KeyboardInterrupt:
            return  # the run continues
