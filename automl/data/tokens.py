"""Sequences of tokens as arrays of ids: 0 is padding, 1 a token unknown to the training set.

Target sequences begin with 2 and end with 3.
"""

from collections import Counter
from collections.abc import Iterable, Sequence

PADDING, UNKNOWN, BEGIN, END = range(4)


def number_tokens(
    sequences: Iterable[Sequence[str]], *, max_tokens: int | None = None, min_count: int = 1
) -> dict[str, int]:
    """Ids from UNKNOWN + 1 on for the ``max_tokens`` most frequent tokens with ``min_count`` occurrences, by frequency.

    Equally frequent tokens are in order of first occurrence.
    """
    counts = Counter(token for sequence in sequences for token in sequence)
    frequent = [token for token, n in counts.most_common(max_tokens) if n >= min_count]
    return {token: number for number, token in enumerate(frequent, UNKNOWN + 1)}
