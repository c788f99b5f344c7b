"""How every command exits: an error the user can fix is one line and exit code 2, a bug shows its traceback."""

from __future__ import annotations

import errno
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NoReturn

from automl.cli.interrupts import terminable
from automl.cli.output import may_be_closed
from automl.errors import FULL, TRY_AGAIN, UserError
from strategies.errors import UnknownStrategy, did_you_mean

if TYPE_CHECKING:
    from typer import Typer

FIXABLE = (  # file errors that are not bugs: permissions, disk space, unusable paths
    errno.EACCES, errno.EPERM, errno.EROFS, errno.EISDIR, errno.ENOTDIR, errno.ENAMETOOLONG, errno.ELOOP, *FULL,
)  # fmt: skip


def run_command(command: Callable[[], object], name: str = "automl", *, works: bool = False) -> None:
    """Call a command, which parses its own arguments; ``name`` is the prefix of error messages.

    ``works``: the command does more than print, so it reports if its output is closed before it ends.
    """
    may_be_closed(f"{name}: standard output was closed; the command continues" if works else "")
    try:
        try:
            command()
        finally:
            if sys.stdout is not None:
                sys.stdout.flush()  # an error of the flush at the interpreter's exit would be a traceback
    except (UserError, UnknownStrategy) as error:
        _end(name, str(error))
    except OSError as error:
        if error.errno not in FIXABLE:
            raise
        file = error.filename2 or error.filename
        reason = f"{error.strerror}" if file is None else f"{error.strerror}: {str(file)!r}"
        _end(name, f"{reason}; {TRY_AGAIN}" if error.errno in FULL else reason)


def of_run(summary: Mapping[str, Any]) -> int:
    """The exit code of a run: 1 if no trial succeeded, or none of the trainings that follow the search."""
    if not summary["complete"]:
        return 130
    final = summary["final"]
    without_model = summary["settings"]["folds"] is not None and summary["model"] is None
    all_failed = final is not None and all(score is None for score in final[final["kept"]])
    return int(summary["best"] is None or without_model or all_failed)


def call(app: Typer, arguments: Sequence[str] | None = None, name: str | None = None) -> NoReturn:
    """Run a typer app as the command ``name`` and exit with its code. UserError for arguments that it does not take."""
    import typer

    usage_error = typer.BadParameter.__mro__[1]  # whose module depends on typer's version
    try:
        with terminable():
            code = app(arguments, prog_name=name, standalone_mode=False, help_option_names=["-h", "--help"])
    except typer.Abort as error:  # some versions of typer raise it for Ctrl-C, but also for an EOFError, a bug
        if isinstance(error.__cause__, EOFError):
            raise error.__cause__ from None
        sys.exit(130)
    except Exception as error:
        if not isinstance(error, usage_error):
            raise
        reason = _in_one_line(error, name)
    else:
        sys.exit(code)
    raise UserError(reason)


def _in_one_line(error: Any, name: str | None) -> str:
    """What is wrong with the arguments, the value seen, and how to fix it."""
    context, parameter, option = error.ctx, getattr(error, "param", None), getattr(error, "option_name", None)
    command = f"{context.command_path if context else name or ''} --help".lstrip()
    if type(error).__name__ == "NoSuchOption":
        known = [each for one in context.command.params for each in one.opts + one.secondary_opts]
        return f"unknown option {option!r}; {did_you_mean(option, known)}{command} lists the options"
    if type(error).__name__ == "NoArgsIsHelpError":  # a group of commands without one
        print(error.format_message())
        sys.exit(error.exit_code)
    reason = error.format_message().rstrip(".")
    if parameter is not None and hasattr(error.__cause__, "errors"):  # a value that pydantic refuses
        rule, seen = error.message.replace("Input should", "must"), error.__cause__.errors()[0]["input"]
        reason = f"{parameter.opts[0]} {rule.partition(',')[0]}, got {seen!r}"
    return f"{reason[0].lower()}{reason[1:]}; {command} describes the options"


def _end(name: str, reason: str) -> NoReturn:
    print(f"{name}: {reason}", file=sys.stderr)
    sys.exit(2)
