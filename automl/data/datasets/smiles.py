"""Molecules with a value as arrays: token ids of their SMILES, or fingerprints."""

from typing import TYPE_CHECKING

import numpy as np

from automl.data.examples import Examples, Parts
from automl.data.inputs import Array, Dense, Inputs, Tokens
from automl.data.molecules import fingerprints, parsed
from automl.data.splits import Splits
from automl.data.targets import Number

if TYPE_CHECKING:
    from automl.data.ingest.text import TextEncoder

BITS = 1024


def token_encoder(parts: Parts[Examples[str, float]]) -> "TextEncoder":
    """Encodes molecules as token ids with the training set's vocabulary, truncated to its longest molecule."""
    from automl.data.ingest.text import TextEncoder
    from automl.data.ingest.tokenizers import longest, smiles_tokenizer

    tokenizer = smiles_tokenizer(parts.train.x)
    return TextEncoder("smiles", tokenizer, longest(tokenizer, parts.train.x))


def token_splits(parts: Parts[Examples[str, float]]) -> Splits:
    """Molecules as token ids, and their values."""
    encoder = token_encoder(parts)
    x = Parts(*(encoder.ids(part.x) for part in (parts.train, parts.valid, parts.test)))
    return with_values(parts, x, Tokens(encoder.length, encoder.n_ids))


def fingerprint_splits(parts: Parts[Examples[str, float]]) -> Splits:
    """Morgan fingerprints, (n, 1, 1024) of 0 and 1; as one channel, since standardising would amplify rare bits."""
    bits = (fingerprints(parsed(part.x), bits=BITS) for part in (parts.train, parts.valid, parts.test))
    x = Parts(*(each.astype(np.float32)[:, None] for each in bits))
    return with_values(parts, x, Dense.of(x.train))


def with_values(parts: Parts[Examples[str, float]], x: Parts[Array], inputs: Inputs) -> Splits:
    y = Parts(*(np.array(part.y, np.float32) for part in (parts.train, parts.valid, parts.test)))
    return Splits(x.train, y.train, x.valid, y.valid, x.test, y.test, inputs, Number.of(y.train))
