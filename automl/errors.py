"""Errors the user can fix: shown as one line, without a traceback."""

import errno
import operator
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

FULL = {code: os.strerror(code) for code in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)}
SHORT_WRITE = re.compile(r"requested and \d+ written|wrote \d+ of \d+ bytes")  # how NumPy and LightGBM say it
TRY_AGAIN = "free space and try again"  # the end of an error; what runs a search adds the option
MAX_CHARACTERS = 8_000  # of an error or a traceback, which is kept in the study, the report and the log


class UserError(ValueError):
    """The input breaks a rule. The message names the rule, the value seen and the way out."""


class Blocked(UserError):
    """What stopped a training is not its own fault and would stop others too: the run ends, and repeats the step when
    it is resumed."""


def lack_of_space(error: BaseException) -> str | None:
    """The system's words for a full disk, a quota or a limit on the size of files, if that is the error."""
    text, number = str(error), getattr(error, "errno", None)
    if number in FULL:
        return FULL[number]
    found = next((message for code, message in FULL.items() if f"(os error {code})" in text or message in text), None)
    return found or (FULL[errno.ENOSPC] if SHORT_WRITE.search(text) else None)


@contextmanager
def writes(place: Path) -> Iterator[None]:
    """Raise Blocked if there is no space for a file or folder that is written within the context. The error names
    ``place`` if it does not know the file itself."""
    try:
        yield
    except UserError:
        raise
    except Exception as error:  # libraries have errors of their own
        reason = lack_of_space(error)
        if reason is None:
            raise
        file = str(getattr(error, "filename", None) or place)
        raise Blocked(f"cannot write {file!r} ({reason}); {TRY_AGAIN}") from error


def whole(name: str, value: Any, minimum: int) -> int:
    """The option's value as an int, also if it is one of NumPy's. UserError if it is none, or below ``minimum``."""
    try:
        if isinstance(value, bool):
            raise TypeError
        number = operator.index(value)
    except TypeError:
        raise UserError(f"{name} must be a whole number, got {value!r}") from None
    if number < minimum:
        raise UserError(f"{name} must be {minimum} or more, got {number}")
    return number


def install_command(extra: str) -> str:
    """The command that installs the packages of an extra, inside and outside of a checkout."""
    from importlib import metadata

    required = (line.partition(";") for line in metadata.requires("automl") or ())
    packages = [package.strip() for package, _, marker in required if f'extra == "{extra}"' in marker]
    return " ".join(["pip install", *(f"'{package}'" for package in packages)])


def abridged(text: str, max_length: int = MAX_CHARACTERS) -> str:
    """The text, or the first and last part of one that is longer than ``max_length`` characters.

    What UTF-8 cannot hold, such as a file's name in another encoding, is escaped.
    """
    text = text.encode(errors="backslashreplace").decode()
    if len(text) <= max_length:
        return text
    half = max_length // 2
    return f"{text[:half]} ... ({len(text) - 2 * half:,} characters) ... {text[-half:]}"
