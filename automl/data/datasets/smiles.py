"""Molecules with a value as arrays: of the tokens of their SMILES, or of their fingerprints."""

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

# An atom in brackets is one token; so are Cl, Br and the two digits behind % (after Schwaller et al. 2018).
TOKEN = re.compile(r"\[[^\]]*\]|Br|Cl|%\d\d|.")


def token_splits(parts: Parts[Examples[str, float]]) -> Splits:
    """Tokens with the numbers of the training part; what is longer than its longest molecule is cut off."""
    train, valid, test = (
        [TOKEN.findall(smiles) for smiles in part.x] for part in (parts.train, parts.valid, parts.test)
    )
    known, length = number_tokens(train), max(map(len, train))
    x = Parts(*(token_rows(molecules, known, length) for molecules in (train, valid, test)))
    return with_values(parts, x, Tokens(length, len(known) + 2))


def token_encoder(parts: Parts[Examples[str, float]]) -> "TextEncoder":
    """New molecules, as `token_splits` does it with those that it has."""
    from automl.data.ingest.text import TextEncoder
    from automl.data.ingest.tokenizers import known_tokenizer

    train = [TOKEN.findall(smiles) for smiles in parts.train.x]
    return TextEncoder("smiles", known_tokenizer(number_tokens(train), TOKEN.pattern), max(map(len, train)))


def fingerprint_splits(parts: Parts[Examples[str, float]]) -> Splits:
    """Morgan fingerprints, (n, 1, 1024) of 0 and 1; as one channel, since a rare bit must not be blown up."""
    x = Parts(*(fingerprints(part.x)[:, None] for part in (parts.train, parts.valid, parts.test)))
    return with_values(parts, x, Dense.of(x.train))


def with_values(parts: Parts[Examples[str, float]], x: Parts[Array], inputs: Inputs) -> Splits:
    y = Parts(*(np.array(part.y, np.float32) for part in (parts.train, parts.valid, parts.test)))
    return Splits(x.train, y.train, x.valid, y.valid, x.test, y.test, inputs, Number.of(y.train))
