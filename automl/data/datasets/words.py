"""Labelled texts as arrays of word ids."""

from typing import TYPE_CHECKING

from automl.data.examples import Examples, Parts, numbered_classes
from automl.data.inputs import Tokens
from automl.data.splits import Splits
from automl.data.tokens import number_tokens

if TYPE_CHECKING:
    from automl.data.ingest.text import TextEncoder

MIN_OCCURRENCES = 2  # occurrences that a word needs to be in the vocabulary


def word_encoder(parts: Parts[Examples[str, str]], *, length: int, n_words: int) -> "TextEncoder":
    """Encodes a text's first `length` words; all but the training set's n_words most frequent ones are unknown."""
    from automl.data.ingest.text import TextEncoder
    from automl.data.ingest.tokenizers import known_tokenizer

    known = number_tokens((text.split() for text in parts.train.x), max_tokens=n_words, min_count=MIN_OCCURRENCES)
    return TextEncoder("text", known_tokenizer(known), length)


def word_splits(parts: Parts[Examples[str, str]], *, length: int, n_words: int) -> Splits:
    """Texts as word ids, and the numbers of their classes."""
    encoder = word_encoder(parts, length=length, n_words=n_words)
    y, classes = numbered_classes(parts)
    x = Parts(*(encoder.ids(part.x) for part in (parts.train, parts.valid, parts.test)))
    inputs = Tokens(length, encoder.n_ids)
    return Splits(x.train, y.train, x.valid, y.valid, x.test, y.test, inputs, classes)
