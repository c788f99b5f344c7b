"""How every command of the benchmarks begins and ends."""

from __future__ import annotations

from collections.abc import Callable

import typer

from automl import ending


def run_command(main: Callable[..., None]) -> None:
    """Parse the command line and call ``main``; see ``automl.ending``."""
    ending.run_command(lambda: typer.run(main), "benchmarks")
