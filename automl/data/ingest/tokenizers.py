"""Token ids of texts and SMILES, by Hugging Face tokenizers trained on the training set.

Id 0 is padding, 1 an unknown token.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from automl.data.tokens import PADDING, UNKNOWN

if TYPE_CHECKING:
    from tokenizers import Tokenizer

PAD_TOKEN, UNKNOWN_TOKEN = "[PAD]", "[UNK]"  # ids PADDING and UNKNOWN of automl.data.tokens
VOCABULARY = 8_000  # words and subwords
MAX_LENGTH = 512  # tokens to which an example is truncated
# Atoms in brackets, two-letter atoms, bonds, rings, branches (Schwaller et al. 2019, arXiv:1811.02633).
SMILES_TOKENS = r"\[[^\]]+\]|Br?|Cl?|N|O|S|P|F|I|b|c|n|o|s|p|\(|\)|\.|=|#|-|\+|\\|\/|:|~|@|\?|>|\*|\$|%[0-9]{2}|[0-9]"


def text_tokenizer(texts: Sequence[str]) -> Tokenizer:
    """A byte-pair encoding (Sennrich et al. 2016) of lower-cased texts."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE(unk_token=UNKNOWN_TOKEN))
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Lowercase()])
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY, min_frequency=2, special_tokens=[PAD_TOKEN, UNKNOWN_TOKEN], show_progress=False
    )
    tokenizer.train_from_iterator(texts, trainer)
    return without_markup(tokenizer)


def smiles_tokenizer(smiles: Sequence[str]) -> Tokenizer:
    """A tokenizer of atoms, bonds, rings and branches."""
    from tokenizers import Regex, Tokenizer, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.WordLevel(unk_token=UNKNOWN_TOKEN))
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(SMILES_TOKENS), "isolated")
    trainer = trainers.WordLevelTrainer(special_tokens=[PAD_TOKEN, UNKNOWN_TOKEN], show_progress=False)
    tokenizer.train_from_iterator(smiles, trainer)
    return without_markup(tokenizer)


def known_tokenizer(known: Mapping[str, int]) -> Tokenizer:
    """A tokenizer of words separated by spaces, with given ids from 2 on."""
    from tokenizers import Tokenizer, models, pre_tokenizers

    words = {"": PADDING, UNKNOWN_TOKEN: UNKNOWN, **known}  # no word is empty, while one may be spelled "[PAD]"
    tokenizer = Tokenizer(models.WordLevel(words, unk_token=UNKNOWN_TOKEN))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return tokenizer


def load_tokenizer(content: str) -> Tokenizer:
    """The tokenizer whose ``to_str`` gave the content."""
    from tokenizers import Tokenizer

    return without_markup(Tokenizer.from_str(content))


def without_markup(tokenizer: Tokenizer) -> Tokenizer:
    """The tokenizer, reading special tokens in a text as the letters they are spelled with, which its JSON does not
    say."""
    tokenizer.encode_special_tokens = True
    return tokenizer


def token_ids(tokenizer: Tokenizer, texts: Sequence[str], length: int) -> NDArray[np.int32]:
    """The token ids of each text, (n, length), truncated or padded with 0."""
    ids = np.zeros((len(texts), length), np.int32)
    for start in range(0, len(texts), 10_000):
        for row, encoded in enumerate(tokenizer.encode_batch(list(texts[start : start + 10_000])), start):
            found = encoded.ids[:length]
            ids[row, : len(found)] = found
    return ids


def longest(tokenizer: Tokenizer, texts: Sequence[str]) -> int:
    """The number of tokens of the longest text, from 1 to MAX_LENGTH."""
    lengths = (len(encoded.ids) for encoded in tokenizer.encode_batch(list(texts)))
    return max(1, min(MAX_LENGTH, max(lengths, default=1)))
