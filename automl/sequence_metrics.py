"""What generated sequences are worth: BLEU and chrF of translations, the error rate of phones."""

from collections.abc import Sequence

from automl.errors import UserError


def bleu_and_chrf(translations: Sequence[str], references: Sequence[str]) -> dict[str, float]:
    """Corpus BLEU (Papineni et al. 2002) and chrF2 (Popovic 2015) with sacrebleu's defaults, both 0 .. 100."""
    try:
        import sacrebleu
    except ImportError as error:
        raise UserError("scoring translations needs: pip install 'automl[translation]'") from error
    return {
        "bleu": float(sacrebleu.corpus_bleu(list(translations), [list(references)]).score),
        "chrf": float(sacrebleu.corpus_chrf(list(translations), [list(references)]).score),
    }


def error_rate(said: Sequence[Sequence[str]], references: Sequence[Sequence[Sequence[str]]]) -> float:
    """Edits from what was said to the nearest of its references, over all symbols of these; 0 is perfect, 1 nothing."""
    edits = n_symbols = 0
    for symbols, allowed in zip(said, references, strict=True):
        distance, length = min((edit_distance(symbols, reference), len(reference)) for reference in allowed)
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
