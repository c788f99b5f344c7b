"""Sequences of tokens as arrays of their numbers: 0 pads behind an end, 1 is what the training part lacks.

Sequences that are to be written begin with 2 and end with 3.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

PADDING, UNKNOWN, BEGIN, END = range(4)


def number_tokens(
    sequences: Iterable[Sequence[str]], *, most: int | None = None, least: int = 1, first: int = UNKNOWN + 1
) -> dict[str, int]:
    """Numbers from `first` on for the `most` frequent tokens that are there `least` times, the most frequent one first.

    Tokens that are equally frequent are in the order of their first appearance.
    """
    counts = Counter(token for sequence in sequences for token in sequence)
    frequent = [token for token, n in counts.most_common(most) if n >= least]
    return {token: number for number, token in enumerate(frequent, first)}


def token_rows(sequences: Sequence[Sequence[str]], known: Mapping[str, int], length: int) -> NDArray[np.int32]:
    """(n, length): the first `length` tokens of each sequence, with PADDING behind its end."""
    rows = np.full((len(sequences), length), PADDING, np.int32)
    for row, sequence in zip(rows, sequences, strict=True):
        numbers = [known.get(token, UNKNOWN) for token in sequence[:length]]
        row[: len(numbers)] = numbers
    return rows
