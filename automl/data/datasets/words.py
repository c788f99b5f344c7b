"""Labelled texts as arrays of their words."""

from typing import TYPE_CHECKING

from automl.data.examples import Examples, Parts, numbered_classes
from automl.data.inputs import Tokens
from automl.data.splits import Splits
from automl.data.tokens import number_tokens, token_rows

if TYPE_CHECKING:
    from automl.data.ingest.text import TextEncoder

LEAST = 2  # times that a word must be there to have a number: of a single one nothing is to be learnt


def word_splits(parts: Parts[Examples[str, str]], *, length: int, n_words: int) -> Splits:
    """Each text's first `length` words; what is none of the training part's n_words most frequent ones is unknown."""
    train, valid, test = ([text.split() for text in part.x] for part in (parts.train, parts.valid, parts.test))
    known = number_tokens(train, most=n_words, least=LEAST)
    y, classes = numbered_classes(parts)
    x = Parts(*(token_rows(texts, known, length) for texts in (train, valid, test)))
    return Splits(x.train, y.train, x.valid, y.valid, x.test, y.test, Tokens(length, len(known) + 2), classes)


def word_encoder(parts: Parts[Examples[str, str]], *, length: int, n_words: int) -> "TextEncoder":
    """New texts, as `word_splits` does it with those that it has."""
    from automl.data.ingest.text import TextEncoder
    from automl.data.ingest.tokenizers import known_tokenizer

    known = number_tokens((text.split() for text in parts.train.x), most=n_words, least=LEAST)
    return TextEncoder("text", known_tokenizer(known), length)
