"""The words of a text in any script."""

from __future__ import annotations

import re
from collections.abc import Iterator

# \w lacks the vowel signs of the scripts from Devanagari to Khmer, without which words fall apart.
LETTERS = "\\w\u0900-\u0963\u0966-\u109f\u1780-\u17d3"
WORD = re.compile(f"[{LETTERS}]+")
UNSPACED = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff"  # Thai to Khmer, CJK
SYMBOLS = "\u2190-\u2bff\U0001f000-\U0001faff"  # arrows to emoji
PART = re.compile(f"(?P<unspaced>[{UNSPACED}]+)|[{SYMBOLS}]|(?:(?![{UNSPACED}])[{LETTERS}])+")
MIN_LETTERS = 2  # of a word


def words(text: str) -> Iterator[str]:
    """The lower-cased words of two letters or more, and symbols such as emoji.

    Scripts without spaces between words give the pairs of their characters instead.
    """
    for found in PART.finditer(text.lower()):
        part = found[0]
        if found["unspaced"] is not None and len(part) > 1:
            yield from (part[i : i + 2] for i in range(len(part) - 1))
        elif len(part) >= MIN_LETTERS or not part.isalnum():
            yield part
