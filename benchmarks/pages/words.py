"""The words for fields on the pages; files and tables of data keep their names."""

from __future__ import annotations

from benchmarks.scoring import cohorts

KINDS = {kind: f"{kind} space" for kind in cohorts.KINDS}


def shown(name: str) -> str:
    """The name of a field, with its kind of space in words."""
    kind, spaces, rest = name.partition(" spaces")
    return f"{KINDS[kind]}{rest}" if spaces and kind in KINDS else name
