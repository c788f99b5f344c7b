"""How every command ends: what the user can mend is one line and exit code 2, a bug shows its traceback."""

from __future__ import annotations

import sys
from collections.abc import Callable

from automl.errors import UserError
from strategies.errors import UnknownStrategy


def run_command(command: Callable[[], object], name: str = "automl") -> None:
    """Call a command, which parses its arguments itself; ``name`` stands before what the user can mend."""
    try:
        command()
    except (UserError, UnknownStrategy) as error:
        print(f"{name}: {error}", file=sys.stderr)
        sys.exit(2)
