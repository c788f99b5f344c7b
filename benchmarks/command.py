"""The entry point shared by all benchmark commands."""

from __future__ import annotations

from collections.abc import Callable

import typer

from automl.cli import exit_codes


def run_command(main: Callable[..., None]) -> None:
    """Parse the command line and call ``main``; see ``automl.cli.exit_codes``."""
    app = typer.Typer(add_completion=False)
    app.command()(main)
    exit_codes.run_command(lambda: exit_codes.call(app), "benchmarks")
