"""Metrics of sequences that are written, and of texts that are foretold; what is right comes first."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from automl.errors import UserError


def bleu(references: Sequence[Sequence[str]], translations: Sequence[str]) -> float:
    """Corpus BLEU (Papineni et al. 2002) with sacrebleu's defaults, 0 .. 100; one reference a translation."""
    return float(sacrebleu().corpus_bleu(list(translations), [[first for first, *_ in references]]).score)


def chrf(references: Sequence[Sequence[str]], translations: Sequence[str]) -> float:
    """Corpus chrF2 (Popovic 2015) with sacrebleu's defaults, 0 .. 100; one reference a translation."""
    return float(sacrebleu().corpus_chrf(list(translations), [[first for first, *_ in references]]).score)


def sacrebleu() -> Any:
    try:
        import sacrebleu
    except ImportError as error:
        raise UserError("scoring translations needs: pip install 'automl[translation]'") from error
    return sacrebleu


def error_rate(references: Sequence[Sequence[str]], said: Sequence[str]) -> float:
    """Edits from what was said to the nearest of its references, over all symbols of these; 0 is perfect.

    Symbols, such as phones, have a space between them.
    """
    edits = n_symbols = 0
    for allowed, text in zip(references, said, strict=True):
        symbols = text.split()
        distance, length = min((edit_distance(symbols, right.split()), len(right.split())) for right in allowed)
        edits += distance
        n_symbols += length
    return edits / n_symbols


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
