"""How every command of the benchmarks ends: what the user can mend is one line and exit code 2."""

from __future__ import annotations

import sys
from collections.abc import Callable

import typer

from automl.errors import UserError
from strategies import UnknownStrategy


def run_command(main: Callable[..., None]) -> None:
    """Parse the command line and call ``main``; a bug shows its traceback."""
    try:
        typer.run(main)
    except (UserError, UnknownStrategy) as error:
        print(f"benchmarks: {error}", file=sys.stderr)
        sys.exit(2)
