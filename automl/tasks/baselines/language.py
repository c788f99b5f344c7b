"""Language modelling: a 5-gram model with Witten-Bell smoothing (1991; equations as in Chen & Goodman 1999, 2.6).

p(c | h) = (n(h c) + t(h) p(c | h')) / (n(h) + t(h)), where n counts, t(h) is the number of distinct characters seen
after the context h, and h' is h without its first character; below the empty context the distribution is uniform.
"""

import numpy as np
from numpy.typing import NDArray

from automl.data.examples import Parts
from automl.metrics import measure

Codes = NDArray[np.int64]


def five_grams(parts: Parts[str]) -> dict[str, float]:
    return {
        "bits_per_character": measure("bits_per_character", parts.test, surprises(parts.train, parts.test, order=5))
    }


def surprises(train: str, text: str, order: int) -> NDArray[np.float64]:
    """log2 p of each character of text under the n-grams of train; the first characters have shorter contexts."""
    seen = {character: i for i, character in enumerate(sorted(set(train)), 1)}  # 0: never seen in training
    known, asked = (np.array([seen.get(c, 0) for c in t], np.int64) for t in (train, text))
    n_symbols = len(seen) + 1
    p = np.full(len(asked), 1 / n_symbols)
    for length in range(order):
        contexts, grams = codes(known, length, n_symbols)
        n_of_gram, n_of_context, n_different = (
            Counts(grams), Counts(contexts), Counts(np.unique(grams) // n_symbols),
        )  # fmt: skip
        context, gram = codes(asked, length, n_symbols)
        n, t, both = n_of_context[context], n_different[context], n_of_gram[gram]
        p[length:] = np.where(n + t > 0, (both + t * p[length:]) / np.maximum(n + t, 1), p[length:])
    surprise: NDArray[np.float64] = np.log2(p)
    return surprise


def codes(symbols: Codes, length: int, n_symbols: int) -> tuple[Codes, Codes]:
    """For each position with ``length`` symbols before it: these as one number, and the same with its own symbol."""
    context = np.zeros(max(len(symbols) - length, 0), np.int64)
    for i in range(length):
        context = context * n_symbols + symbols[i : i + len(context)]
    return context, context * n_symbols + symbols[length:]


class Counts:
    """The count of each number."""

    def __init__(self, numbers: Codes) -> None:
        self.numbers, self.counts = np.unique(numbers, return_counts=True)

    def __getitem__(self, asked: Codes) -> Codes:
        place = np.minimum(np.searchsorted(self.numbers, asked), len(self.numbers) - 1)
        return np.where(self.numbers[place] == asked, self.counts[place], 0)
