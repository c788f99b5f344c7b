"""How every command exits: an error the user can fix is one line and exit code 2, a bug shows its traceback."""

from __future__ import annotations

import errno
import sys
from collections.abc import Callable
from typing import NoReturn

from automl.cli.output import may_be_closed
from automl.errors import UserError
from strategies.errors import UnknownStrategy

FIXABLE = (  # errors of files that are not bugs: rights, space, and paths that cannot be used so
    errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC, errno.EDQUOT, errno.EISDIR, errno.ENOTDIR, errno.ENAMETOOLONG,
    errno.ELOOP,
)  # fmt: skip


def run_command(command: Callable[[], object], name: str = "automl", *, works: bool = False) -> None:
    """Call a command, which parses its own arguments; ``name`` is the prefix of error messages.

    ``works``: the command does more than print, so a message says if its output is closed before it ends.
    """
    may_be_closed(f"{name}: the output was closed; the command goes on" if works else "")
    try:
        command()
    except (UserError, UnknownStrategy) as error:
        _end(name, str(error))
    except OSError as error:
        if error.errno not in FIXABLE:
            raise
        file = error.filename2 or error.filename
        _end(name, f"{error.strerror}" if file is None else f"{error.strerror}: {str(file)!r}")


def _end(name: str, reason: str) -> NoReturn:
    print(f"{name}: {reason}", file=sys.stderr)
    sys.exit(2)
