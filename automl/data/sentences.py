"""A sentence as what is to be predicted: tokens one after the other, and what is measured of translations."""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from automl.metrics import measure, names_of

if TYPE_CHECKING:
    from tokenizers import Tokenizer
    from torch import Tensor

FILLING, UNKNOWN, BEGIN, END = range(4)  # the numbers of the tokenizer's first tokens
TRANSLATED = 300  # validation examples that are translated after each epoch: it takes longer than training


@dataclass(frozen=True)
class Sentences:
    """Labels (n, length) of tokens with END behind the last, filled up with 0."""

    kind: ClassVar = "sentences"
    tokenizer: str  # of the target, as JSON of Hugging Face's tokenizers
    length: int  # tokens of the longest, END included
    n_tokens: int

    names: ClassVar[tuple[str, ...]] = ()

    @property
    def n_outputs(self) -> int:
        return self.n_tokens

    def refitted(self, y: NDArray[Any]) -> Self:
        return self

    def so_far(self, y: Tensor) -> Tensor:
        """The tokens before each: what the decoder knows in training."""
        import torch

        return torch.cat([torch.full_like(y[:, :1], BEGIN), y[:, :-1]], 1).long()

    def loss(self, outputs: Tensor, y: Tensor, config: Mapping[str, Any], weights: Tensor | None) -> Tensor:
        import torch.nn.functional as F

        smoothing = config.get("label_smoothing", 0.0)
        return F.cross_entropy(outputs.flatten(0, 1), y.flatten().long(), ignore_index=0, label_smoothing=smoothing)

    def tally(self, outputs: Tensor, y: Tensor) -> Tensor:
        """The share of right tokens."""
        there = y != FILLING
        return ((outputs.argmax(-1) == y) & there).sum() / there.sum() * len(y)

    def of_training(self, loss: float, tally: float, n: int) -> dict[str, float]:
        return {"train_cross_entropy": loss, "train_token_accuracy": tally / n}

    def predictions(self, outputs: Tensor) -> NDArray[Any]:
        """The texts of (n, length) tokens."""
        return np.array(self.texts(outputs.cpu().numpy()), dtype=object)

    def texts(self, ids: NDArray[Any]) -> list[str]:
        """(n, steps) tokens as texts, each up to its END."""
        return tokenizer_from(self.tokenizer).decode_batch([_until_end(row) for row in ids])

    def scores(self, cross_entropy: float, found: Sequence[str], wanted: Sequence[str]) -> dict[str, float]:
        """All metrics of translations."""
        scores = {name: measure(name, wanted, found) for name in names_of("sentences")}
        return {"cross_entropy": cross_entropy, "perplexity": math.exp(min(cross_entropy, 50.0)), **scores}

    def to_json(self) -> dict[str, Any]:
        return {"target_tokenizer": self.tokenizer, "target_length": self.length, "target_tokens": self.n_tokens}


@functools.lru_cache(maxsize=4)
def tokenizer_from(text: str) -> Tokenizer:
    """The tokenizer in its JSON."""
    from tokenizers import Tokenizer

    return Tokenizer.from_str(text)


def _until_end(row: NDArray[Any]) -> list[int]:
    ends = np.flatnonzero((row == END) | (row == FILLING))
    return [int(token) for token in (row[: ends[0]] if len(ends) else row)]
