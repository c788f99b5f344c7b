"""Errors the user can fix: shown as one line, without a traceback."""

import operator
from typing import Any

MAX_CHARACTERS = 8_000  # of an error or a traceback, which is kept in the study, the report and the log


class UserError(ValueError):
    """The input breaks a rule. The message names the rule, the value seen and the way out."""


def whole(name: str, value: Any, least: int) -> int:
    """The option's value as an int, also if it is one of NumPy's. UserError if it is none, or below ``least``."""
    try:
        number = operator.index(value)
    except TypeError:
        raise UserError(f"{name} must be a whole number, got {value!r}") from None
    if number < least:
        raise UserError(f"{name} must be {least} or more, got {number}")
    return number


def install_command(extra: str) -> str:
    """The command that installs the packages of an extra, inside and outside of a checkout."""
    from importlib import metadata

    required = (line.partition(";") for line in metadata.requires("automl") or ())
    packages = [package.strip() for package, _, marker in required if f'extra == "{extra}"' in marker]
    return " ".join(["pip install", *(f"'{package}'" for package in packages)])


def abridged(text: str, most: int = MAX_CHARACTERS) -> str:
    """The text, or the first and last part of one that is longer than ``most`` characters.

    What UTF-8 cannot hold, such as a file's name in another encoding, is escaped.
    """
    text = text.encode(errors="backslashreplace").decode()
    if len(text) <= most:
        return text
    half = most // 2
    return f"{text[:half]} ... ({len(text) - 2 * half:,} characters) ... {text[-half:]}"
