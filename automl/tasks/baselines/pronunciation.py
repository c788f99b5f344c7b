"""Letter-to-phone rules from aligned words (after Black, Lenzo & Pagel 1998).

Words and phones are aligned first, each letter with zero to two phones, by Viterbi training; then every letter maps to
its most frequent phones in the widest context of neighbours that occurs in training.
"""

import math
from collections import Counter
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from automl.data.examples import Examples, Parts
from automl.metrics import measure

Phones = tuple[str, ...]
Costs = dict[tuple[str, Phones], float]  # -log of the probability that a letter maps to these phones

REACH = 4  # neighbours on each side in the widest context
ROUNDS, N_ALIGNED = 5, 8_000  # rounds of alignment training, and the number of words it uses


def letter_rules(parts: Parts[Examples[str, tuple[str, ...]]]) -> dict[str, float]:
    """The phone error rate, against the nearest of a word's pronunciations."""
    pairs = [
        (word, tuple(spoken.split()))
        for word, pronunciations in zip(parts.train.x, parts.train.y, strict=True)
        for spoken in pronunciations
    ]
    costs = alignment_costs(pairs[:: max(1, len(pairs) // N_ALIGNED)])
    rules = Rules([(word, chunks) for word, phones in pairs if (chunks := align(word, phones, costs))])
    predicted = [" ".join(rules(word)) for word in parts.test.x]
    return {"error_rate": measure("error_rate", parts.test.y, predicted)}


# --- alignment --------------------------------------------------------------------------------------------------------


def alignment_costs(pairs: Iterable[tuple[str, Phones]]) -> Costs:
    """Alignment costs fitted to the pairs, starting from equal ones."""
    pairs, costs = list(pairs), Costs()
    for _ in range(ROUNDS):
        counts: Counter[tuple[str, Phones]] = Counter()
        for word, phones in pairs:
            counts.update(zip(word, align(word, phones, costs), strict=False))
        n_letters: Counter[str] = Counter()
        for (letter, _), n in counts.items():
            n_letters[letter] += n
        costs = {(letter, chunk): -math.log(n / n_letters[letter]) for (letter, chunk), n in counts.items()}
    return costs


def align(word: str, phones: Phones, costs: Costs) -> list[Phones]:
    """The phones of each letter in the cheapest alignment; empty if there are more than two phones per letter."""
    # best[j]: the cost of aligning the letters so far with the first j phones, and the phones of each letter.
    best: dict[int, tuple[float, list[Phones]]] = {0: (0.0, [])}
    for letter in word:
        longer: dict[int, tuple[float, list[Phones]]] = {}
        for j, (cost, chunks) in best.items():
            for size in range(min(2, len(phones) - j) + 1):
                chunk = phones[j : j + size]
                # Unseen chunks cost more the further they are from one phone per letter.
                total = cost + costs.get((letter, chunk), 8.0 + 2.0 * abs(size - 1))
                if total < longer.get(j + size, (math.inf, []))[0]:
                    longer[j + size] = (total, [*chunks, chunk])
        best = longer
    return best.get(len(phones), (0.0, []))[1]


# --- rules ------------------------------------------------------------------------------------------------------------


class Rules:
    """The most frequent phones of a letter given its neighbours, for every context width."""

    def __init__(self, aligned: list[tuple[str, list[Phones]]]) -> None:
        self.chunks = sorted({chunk for _, chunks in aligned for chunk in chunks})
        number = {chunk: i for i, chunk in enumerate(self.chunks)}
        chunk_ids = np.array([number[chunk] for _, chunks in aligned for chunk in chunks])
        windows = np.concatenate([windows_of(word) for word, _ in aligned])
        self.tables = [most_frequent(contexts(windows, reach), chunk_ids) for reach in range(REACH + 1)]

    def __call__(self, word: str) -> list[str]:
        """The phones of a word."""
        windows = windows_of(word)
        chunk_ids = np.zeros(len(word), np.int64)
        for reach, (keys, values) in enumerate(self.tables):
            asked = contexts(windows, reach)
            place = np.minimum(np.searchsorted(keys, asked), len(keys) - 1)
            chunk_ids = np.where(keys[place] == asked, values[place], chunk_ids)
        return [phone for chunk in chunk_ids for phone in self.chunks[chunk]]


def windows_of(word: str) -> NDArray[np.int64]:
    """Each letter with its neighbours, as numbers below 128, (letters, 2 REACH + 1); 0 beyond the ends."""
    letters = np.pad(np.frombuffer(word.encode("ascii"), np.uint8).astype(np.int64), REACH)
    return np.lib.stride_tricks.sliding_window_view(letters, 2 * REACH + 1)


def contexts(windows: NDArray[np.int64], reach: int) -> NDArray[np.int64]:
    """Each window's centre with ``reach`` neighbours on each side, as one number."""
    found = np.zeros(len(windows), np.int64)
    for column in range(REACH - reach, REACH + reach + 1):
        found = found * 128 + windows[:, column]
    return found


def most_frequent(keys: NDArray[np.int64], values: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The distinct keys, sorted, and the most frequent value of each; at ties the smaller one."""
    pairs, counts = np.unique(np.stack([keys, values], 1), axis=0, return_counts=True)
    order = np.lexsort((pairs[:, 1], -counts, pairs[:, 0]))
    different, first = np.unique(pairs[order, 0], return_index=True)
    return different, pairs[order, 1][first]
