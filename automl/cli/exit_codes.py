"""How every command exits: an error the user can fix is one line and exit code 2, a bug shows its traceback."""

from __future__ import annotations

import sys
from collections.abc import Callable

from automl.cli.output import may_be_closed
from automl.errors import UserError
from strategies.errors import UnknownStrategy


def run_command(command: Callable[[], object], name: str = "automl", *, works: bool = False) -> None:
    """Call a command, which parses its own arguments; ``name`` is the prefix of error messages.

    ``works``: the command does more than print, so a message says if its output is closed before it ends.
    """
    may_be_closed(f"{name}: the output was closed; the command goes on" if works else "")
    try:
        command()
    except (UserError, UnknownStrategy) as error:
        print(f"{name}: {error}", file=sys.stderr)
        sys.exit(2)
