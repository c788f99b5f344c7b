"""The words for fields on the pages; files and tables of data keep their names."""

from __future__ import annotations

KINDS = {"numeric": "numbers only", "mixed": "numbers and choices", "discrete": "lists of values"}


def shown(name: str) -> str:
    """The name of a field, with its kind of space in words."""
    kind, spaces, rest = name.partition(" spaces")
    return f"{KINDS[kind]}{rest}" if spaces and kind in KINDS else name
