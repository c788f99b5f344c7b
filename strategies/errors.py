"""Errors about unknown names, with a suggestion."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class UnknownStrategy(ValueError):
    """A name that is not in STRATEGIES or, after a plus, not in WRAPPERS; or an unsupported combination of wrappers."""


def did_you_mean(name: object, known: Iterable[object]) -> str:
    """``"did you mean 'lr'? "`` for the closest known name, whatever its case; empty if none is close."""
    names = {str(each).lower(): str(each) for each in known}
    given = str(name).lower()
    starts = sorted((each for each in names if len(given) > 1 and each.startswith(given)), key=len)
    near = starts or difflib.get_close_matches(given, names, 1)
    return f"did you mean {names[near[0]]!r}? " if near else ""
