"""Molecules with a value as arrays: token ids of their SMILES, or fingerprints."""

import re
from typing import TYPE_CHECKING

import numpy as np

from automl.data.examples import Examples, Parts
from automl.data.fingerprints import fingerprints
from automl.data.inputs import Array, Dense, Inputs, Tokens
from automl.data.splits import Splits
from automl.data.targets import Number
from automl.data.tokens import number_tokens, token_rows

if TYPE_CHECKING:
    from automl.data.ingest.text import TextEncoder

# A bracket atom is one token; so are Cl, Br and % with two digits (after Schwaller et al. 2018).
TOKEN = re.compile(r"\[[^\]]*\]|Br|Cl|%\d\d|.")


def token_splits(parts: Parts[Examples[str, float]]) -> Splits:
    """Token ids with the training set's vocabulary, truncated to its longest molecule."""
    train, valid, test = (
        [TOKEN.findall(smiles) for smiles in part.x] for part in (parts.train, parts.valid, parts.test)
    )
    known, length = number_tokens(train), max(map(len, train))
    x = Parts(*(token_rows(molecules, known, length) for molecules in (train, valid, test)))
    return with_values(parts, x, Tokens(length, len(known) + 2))


def token_encoder(parts: Parts[Examples[str, float]]) -> "TextEncoder":
    """Encodes new molecules in the same way as `token_splits`."""
    from automl.data.ingest.text import TextEncoder
    from automl.data.ingest.tokenizers import known_tokenizer

    train = [TOKEN.findall(smiles) for smiles in parts.train.x]
    return TextEncoder("smiles", known_tokenizer(number_tokens(train), TOKEN.pattern), max(map(len, train)))


def fingerprint_splits(parts: Parts[Examples[str, float]]) -> Splits:
    """Morgan fingerprints, (n, 1, 1024) of 0 and 1; as one channel, since standardising would amplify rare bits."""
    x = Parts(*(fingerprints(part.x)[:, None] for part in (parts.train, parts.valid, parts.test)))
    return with_values(parts, x, Dense.of(x.train))


def with_values(parts: Parts[Examples[str, float]], x: Parts[Array], inputs: Inputs) -> Splits:
    y = Parts(*(np.array(part.y, np.float32) for part in (parts.train, parts.valid, parts.test)))
    return Splits(x.train, y.train, x.valid, y.valid, x.test, y.test, inputs, Number.of(y.train))
