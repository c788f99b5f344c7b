"""Texts in a column of a table as numbers: the leading components of their TF-IDF vectors.

S. Deerwester et al., Indexing by Latent Semantic Analysis (JASIS 1990).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from automl.data.words import words

MAX_TERMS = 5_000  # the most frequent words
MAX_COMPONENTS = 24
MAX_ROWS = 20_000  # to compute the components from
MIN_ROWS = 2  # with a word
DECIMALS = 6  # of the stored numbers


@dataclass(frozen=True, eq=False)
class TextFeatures:
    """Fitted to texts, without the target."""

    terms: tuple[str, ...]
    frequencies: NDArray[np.float64]  # inverse document frequencies, (n_terms,)
    components: NDArray[np.float64]  # (n_terms, n_outputs)

    @classmethod
    def fit(cls, texts: Sequence[str]) -> Self | None:
        """Fit to the texts of the training set; None if they share too few words."""
        from sklearn.decomposition import TruncatedSVD
        from sklearn.feature_extraction.text import TfidfVectorizer

        if len(texts) > MAX_ROWS:
            places = np.random.default_rng(0).choice(len(texts), MAX_ROWS, replace=False)
            texts = [texts[place] for place in places]
        vectorizer = TfidfVectorizer(analyzer=words, sublinear_tf=True, max_features=MAX_TERMS, min_df=MIN_ROWS)
        try:
            found = vectorizer.fit_transform(texts)
        except ValueError:  # no word is in several texts
            return None
        n = min(MAX_COMPONENTS, *(size - 1 for size in found.shape))
        if n < 1:
            return None
        components = TruncatedSVD(n, random_state=0).fit(found).components_.T
        terms = tuple(map(str, vectorizer.get_feature_names_out()))
        return cls(terms, vectorizer.idf_.round(DECIMALS), components.round(DECIMALS))

    @property
    def n_outputs(self) -> int:
        """The number of features."""
        return int(self.components.shape[1])

    def __call__(self, texts: Sequence[str]) -> NDArray[np.float64]:
        """The features of each text, (n, n_outputs); zeros where it has no known word."""
        from sklearn.feature_extraction.text import CountVectorizer
        from sklearn.preprocessing import normalize

        if not len(texts):  # such as an empty test set, which normalize refuses
            return np.zeros((0, self.n_outputs))
        counts = CountVectorizer(analyzer=words, vocabulary=list(self.terms)).transform(texts).astype(np.float64)
        counts.data = 1.0 + np.log(counts.data)
        found: NDArray[np.float64] = normalize(counts.multiply(self.frequencies).tocsr()) @ self.components
        return found

    def to_json(self) -> dict[str, Any]:
        return {"terms": self.terms, "frequencies": self.frequencies.tolist(), "components": self.components.tolist()}

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Self:
        """The inverse of ``to_json``. ValueError if the sizes do not fit each other."""
        frequencies, components = np.array(content["frequencies"], float), np.array(content["components"], float)
        if components.ndim != 2 or not len(content["terms"]) == len(frequencies) == len(components):
            raise ValueError("the terms, frequencies and components of a text column have different sizes")
        return cls(tuple(content["terms"]), frequencies, components)
