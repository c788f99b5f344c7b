"""Errors about names, with the nearest right one."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class UnknownStrategy(ValueError):
    """A name that is neither in STRATEGIES nor, after a plus, in WRAPPERS; or wrappers that do not go together."""


def did_you_mean(name: object, known: Iterable[object]) -> str:
    """``"did you mean 'lr'? "`` for the nearest of the known names; empty where none is near."""
    near = difflib.get_close_matches(str(name), [str(each) for each in known], 1)
    return f"did you mean {near[0]!r}? " if near else ""
