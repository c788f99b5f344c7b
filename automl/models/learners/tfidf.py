"""TF-IDF of the n-grams of words and characters, fitted to the training texts."""

from __future__ import annotations

from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from automl.data.ngrams import WORD_COLUMNS
from automl.task import TrainingFailed

MIN_TEXTS = 2  # with an n-gram
MAX_SHARE = 0.4  # of texts with an n-gram of characters: frequent ones are uninformative
MAX_NGRAMS = 100_000  # of words and of characters each: the most frequent ones


class TfIdf(NamedTuple):
    """Sublinear TF-IDF, in which word n-grams and character n-grams are each normalised to length 1.

    Texts are rows of counts in hashed columns, as in ``automl.data.ngrams``.
    """

    columns: NDArray[np.int32]  # the hashed columns that are used, in order
    idf: NDArray[np.float32]

    @classmethod
    def fit(cls, counts: csr_array) -> Self:
        """Fit to counts of n-grams, (n, columns). TrainingFailed if no n-gram is in two texts."""
        n, found = counts.shape[0], np.bincount(counts.indices, minlength=counts.shape[1])
        words = _frequent(found[:WORD_COLUMNS], n)
        characters = _frequent(found[WORD_COLUMNS:], max(MIN_TEXTS, MAX_SHARE * n)) + WORD_COLUMNS
        columns = np.concatenate([words, characters])
        if not len(columns):
            raise TrainingFailed("no two texts have a word or characters in common")
        idf = np.log((1 + n) / (1 + found[columns])) + 1
        return cls(columns.astype(np.int32), idf.astype(np.float32))

    def __call__(self, counts: csr_array) -> csr_array:
        """The features of texts, (n, features) of float32."""
        place = np.full(counts.shape[1], -1, np.int32)
        place[self.columns] = np.arange(len(self.columns), dtype=np.int32)
        columns = place[counts.indices]
        used = columns >= 0
        rows = np.repeat(np.arange(counts.shape[0], dtype=np.int32), np.diff(counts.indptr))[used]
        columns = columns[used]
        values = (1 + np.log(counts.data[used])) * self.idf[columns]
        is_word = columns < np.searchsorted(self.columns, WORD_COLUMNS)
        for part in (is_word, ~is_word):
            lengths = np.sqrt(np.bincount(rows[part], values[part] ** 2, counts.shape[0]))
            values[part] /= lengths[rows[part]]
        starts = np.concatenate([[0], np.cumsum(np.bincount(rows, minlength=counts.shape[0]))]).astype(np.int32)
        return csr_array((values, columns, starts), shape=(counts.shape[0], len(self.columns)))


def _frequent(n_texts: NDArray[np.int64], max_texts: float) -> NDArray[np.int64]:
    """The columns in MIN_TEXTS to ``max_texts`` texts, at most the MAX_NGRAMS most frequent, in order."""
    columns = np.flatnonzero((n_texts >= MIN_TEXTS) & (n_texts <= max_texts))
    if len(columns) > MAX_NGRAMS:
        columns = columns[np.argsort(-n_texts[columns], kind="stable")[:MAX_NGRAMS]]
    return np.sort(columns)
