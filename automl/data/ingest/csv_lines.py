"""What only all lines of a text file say: whether its quotes are characters, and how many empty lines end it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

QUOTED = re.compile(r'(?<![^\t]) *"[^"]*(?:""[^"]*)*"(?![^\t])')  # a value in quotes, with those in it doubled
OPEN_QUOTE = re.compile(r'(?:[^"]*\t)? *"[^"]*(?:""[^"]*)*')  # a line whose last value goes on in the next


def has_stray_quotes(lines: Iterator[str]) -> bool:
    """Whether the quotes in tab-separated lines, of which the first is the header, belong to the values.

    They do if values begin with a quote but none ends with one, in lines that have all their fields or where quotes are
    used as no program would write them. All lines decide, since one unpaired quote would join the rows after it. A
    single column has all its fields in every line, so that for it only the second counts.
    """
    header = next(lines)
    if '"' in header:
        return False
    n_tabs = header.count("\t")
    is_stray, is_written, are_even, goes_on = False, True, n_tabs > 0, False
    for line in lines:
        text = line.rstrip("\r\n")
        if not text.strip():
            continue
        n = text.count("\t")
        are_even = are_even and n == n_tabs
        if '"' not in text:
            continue
        rest = QUOTED.sub("", '"' + text if goes_on else text)
        goes_on = OPEN_QUOTE.fullmatch(rest) is not None
        is_written = is_written and ('"' not in rest or goes_on)
        if '"' in rest or rest.count("\t") < n:  # else each value has its own quotes
            is_stray = is_stray or any(map(_is_unpaired, text.split("\t")))
        if is_stray and not is_written:
            return True
    return is_stray and (are_even or goes_on)


def _is_unpaired(value: str) -> bool:
    """Whether a value begins with a quote but does not end with one."""
    value = value.strip()
    return value.startswith('"') and (len(value) == 1 or not value.endswith('"'))


def n_empty_at_end(lines: Iterable[str]) -> int:
    """The number of empty lines after the last other one."""
    n = 0
    for line in lines:
        n = 0 if line.strip() else n + 1
    return n


def has_spaces_before_quotes(lines: Iterable[str], separator: str) -> bool:
    """Whether spaces lie between a separator and a quote, where they are part of no value."""
    spaces = re.compile(rf'(?:^|{re.escape(separator)}) +"')
    return any(spaces.search(line) is not None for line in lines if '"' in line)
