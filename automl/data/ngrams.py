"""N-grams of texts, counted in hashed columns: nothing is fitted, and any text can be counted.

K. Weinberger et al., Feature Hashing for Large Scale Multitask Learning (ICML 2009). The n-grams are those of
scikit-learn's analyzers ``word`` and ``char_wb``; numpy counts them several times faster. Those of characters include
punctuation and emoji, and need no spaces between words.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array, vstack

from automl.data.words import WORD

WORD_COLUMNS = CHARACTER_COLUMNS = 2**20  # two n-grams rarely share a column
WORDS = (1, 2)  # per n-gram, least and most
CHARACTERS = (2, 5)
TEXTS_AT_ONCE = 500  # bounds the memory
FACTOR = np.uint64(0x9E3779B97F4A7C15)  # odd, so that multiplication is invertible


def count_ngrams(texts: Sequence[str] | NDArray[Any]) -> csr_array:
    """Counts of the n-grams of words, then of characters without spaces between them: (n, columns) of float32."""
    parts = [_counted(texts[start : start + TEXTS_AT_ONCE]) for start in range(0, len(texts), TEXTS_AT_ONCE)]
    return vstack(parts, "csr") if parts else csr_array((0, WORD_COLUMNS + CHARACTER_COLUMNS), dtype=np.float32)


def _counted(texts: Sequence[str] | NDArray[Any]) -> csr_array:
    lowered = [text.lower() for text in texts]
    words, pieces = [WORD.findall(text) for text in lowered], [text.split() for text in lowered]
    rows, columns = (np.concatenate(part) for part in zip(*_of_words(words), *_of_characters(pieces), strict=True))
    shape = (len(texts), WORD_COLUMNS + CHARACTER_COLUMNS)
    return csr_array((np.ones(len(rows), np.float32), (rows, columns)), shape=shape)  # duplicates are summed


def _of_words(words: Sequence[Sequence[str]]) -> Iterator[tuple[NDArray[np.int32], NDArray[np.int32]]]:
    """Row and column of each n-gram of words."""
    from pandas.util import hash_array

    rows = np.repeat(np.arange(len(words), dtype=np.int32), [len(each) for each in words])
    hashes = hash_array(np.array([word for each in words for word in each], object))
    yield from _ngrams(hashes, rows, WORDS, 0, WORD_COLUMNS)


def _of_characters(pieces: Sequence[Sequence[str]]) -> Iterator[tuple[NDArray[np.int32], NDArray[np.int32]]]:
    """Row and column of each n-gram of characters between two spaces, including these."""
    padded = ["".join(f" {piece} " for piece in each) for each in pieces]
    codes = np.frombuffer("".join(padded).encode("utf-32-le", "surrogatepass"), np.uint32).astype(np.uint64)
    lengths = [len(piece) + 2 for each in pieces for piece in each]
    of_piece = np.repeat(np.arange(len(lengths), dtype=np.int32), lengths)
    row_of_piece = np.repeat(np.arange(len(pieces), dtype=np.int32), [len(each) for each in pieces])
    for of, columns in _ngrams(codes, of_piece, CHARACTERS, WORD_COLUMNS, CHARACTER_COLUMNS):
        yield row_of_piece[of], columns


def _ngrams(
    hashes: NDArray[np.uint64], of: NDArray[np.int32], sizes: tuple[int, int], first: int, n_columns: int
) -> Iterator[tuple[NDArray[np.int32], NDArray[np.int32]]]:
    """The ``of`` of each n-gram whose items share it, and the n-gram's column, from ``first`` on."""
    found = np.zeros(len(hashes), np.uint64)
    for size in range(1, sizes[1] + 1):
        n = max(0, len(hashes) - size + 1)
        found = (found[:n] + hashes[size - 1 :]) * FACTOR
        found ^= found >> np.uint64(29)
        if size >= sizes[0]:
            whole = of[:n] == of[size - 1 :]
            yield of[:n][whole], (first + (found[whole] >> np.uint64(20)) % np.uint64(n_columns)).astype(np.int32)
