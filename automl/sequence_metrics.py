"""Metrics of sequences that are written, and of texts that are foretold; what is right comes first."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

Right = Sequence[str | tuple[str, ...]]  # a sequence each, or all those that are right


def bleu(right: Right, translations: Sequence[str]) -> float:
    """Corpus BLEU (Papineni et al. 2002) with sacrebleu's defaults, 0 .. 100, against the first that is right."""
    import sacrebleu

    return float(sacrebleu.corpus_bleu(list(translations), [[each[0] for each in all_right(right)]]).score)


def chrf(right: Right, translations: Sequence[str]) -> float:
    """Corpus chrF2 (Popovic 2015) with sacrebleu's defaults, 0 .. 100, against the first that is right."""
    import sacrebleu

    return float(sacrebleu.corpus_chrf(list(translations), [[each[0] for each in all_right(right)]]).score)


def error_rate(right: Right, said: Sequence[str]) -> float:
    """Edits from what was said to the nearest that is right, over all symbols of these; 0 is perfect.

    Symbols, such as words or phones, have a space between them.
    """
    edits = n_symbols = 0
    for allowed, text in zip(all_right(right), said, strict=True):
        symbols = text.split()
        distance, length = min((edit_distance(symbols, each.split()), len(each.split())) for each in allowed)
        edits += distance
        n_symbols += length
    return edits / max(1, n_symbols)


def all_right(right: Right) -> list[tuple[str, ...]]:
    return [(each,) if isinstance(each, str) else each for each in right]


def edit_distance(a: Sequence[str], b: Sequence[str]) -> int:
    """Insertions, deletions and substitutions that turn a into b (Levenshtein 1966)."""
    row = list(range(len(b) + 1))
    for i, symbol in enumerate(a, 1):
        above_left, row[0] = row[0], i
        for j, other in enumerate(b, 1):
            above_left, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, above_left + (symbol != other))
    return row[-1]


def bits(text: Sequence[str], log2_probabilities: Any) -> float:
    """Mean -log2 of the probabilities (n,) that the n characters of a text were given."""
    return float(-log2_probabilities.sum() / len(text))
