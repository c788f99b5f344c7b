"""Texts and SMILES as numbers of tokens, by tokenizers of Hugging Face that are trained on the training part.

Number 0 is the filling behind the end, 1 stands for what training has not seen.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from automl.data.tokens import PADDING, UNKNOWN

if TYPE_CHECKING:
    from tokenizers import Tokenizer

PAD_TOKEN, UNKNOWN_TOKEN = "[PAD]", "[UNK]"  # numbers PADDING and UNKNOWN of automl.data.tokens
VOCABULARY = 8_000  # words and parts of words
MAX_LENGTH = 512  # tokens of an example; what comes behind them is not read
# Atoms in brackets, two-letter atoms, bonds, rings, branches (Schwaller et al. 2019, arXiv:1811.02633).
SMILES_TOKENS = r"\[[^\]]+\]|Br?|Cl?|N|O|S|P|F|I|b|c|n|o|s|p|\(|\)|\.|=|#|-|\+|\\|\/|:|~|@|\?|>|\*|\$|%[0-9]{2}|[0-9]"


def text_tokenizer(texts: Sequence[str]) -> Tokenizer:
    """Words and frequent parts of words of lower-case texts: byte-pair encoding (Sennrich et al. 2016)."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE(unk_token=UNKNOWN_TOKEN))
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Lowercase()])
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY, min_frequency=2, special_tokens=[PAD_TOKEN, UNKNOWN_TOKEN], show_progress=False
    )
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


def smiles_tokenizer(smiles: Sequence[str]) -> Tokenizer:
    """Atoms, bonds, rings and branches."""
    from tokenizers import Regex, Tokenizer, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.WordLevel(unk_token=UNKNOWN_TOKEN))
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(SMILES_TOKENS), "isolated")
    trainer = trainers.WordLevelTrainer(special_tokens=[PAD_TOKEN, UNKNOWN_TOKEN], show_progress=False)
    tokenizer.train_from_iterator(smiles, trainer)
    return tokenizer


def known_tokenizer(known: Mapping[str, int], pattern: str | None = None) -> Tokenizer:
    """Tokens that have their numbers already, from 2 on: what a pattern cuts out, or words with spaces between them."""
    from tokenizers import Regex, Tokenizer, models, pre_tokenizers

    tokenizer = Tokenizer(
        models.WordLevel({PAD_TOKEN: PADDING, UNKNOWN_TOKEN: UNKNOWN, **known}, unk_token=UNKNOWN_TOKEN)
    )
    split = pre_tokenizers.WhitespaceSplit() if pattern is None else pre_tokenizers.Split(Regex(pattern), "isolated")
    tokenizer.pre_tokenizer = split
    return tokenizer


def token_ids(tokenizer: Tokenizer, texts: Sequence[str], length: int) -> NDArray[np.int32]:
    """(n, length): the first tokens of each text, filled up with 0."""
    ids = np.zeros((len(texts), length), np.int32)
    for start in range(0, len(texts), 10_000):
        for row, encoded in enumerate(tokenizer.encode_batch(list(texts[start : start + 10_000])), start):
            found = encoded.ids[:length]
            ids[row, : len(found)] = found
    return ids


def longest(tokenizer: Tokenizer, texts: Sequence[str]) -> int:
    """Tokens of the longest text, at most MAX_LENGTH, at least 1."""
    lengths = (len(encoded.ids) for encoded in tokenizer.encode_batch(list(texts)))
    return max(1, min(MAX_LENGTH, max(lengths, default=1)))
