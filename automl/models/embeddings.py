"""What is no number becomes one: learnt vectors for tokens and for categories, put before a network."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from automl.data.inputs import Columns, Inputs, Tokens


class TokenEmbedding(nn.Module):
    """(batch, length) numbers of tokens -> signals (batch, embedding, length), cut to what the batch needs.

    config: embedding (numbers a token), length (tokens that are read of each example; default: all).
    """

    def __init__(self, tokens: Tokens, config: Mapping[str, Any]) -> None:
        super().__init__()
        length = min(tokens.length, config.get("length", tokens.length))
        self.shape = (config["embedding"], length)
        self.cuts = True
        self.vectors = nn.Embedding(tokens.n_tokens, config["embedding"], padding_idx=0)
        nn.init.normal_(self.vectors.weight[1:], std=0.1)

    def forward(self, x: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor | None]:
        assert mask is not None
        x, mask = x[:, : self.shape[1]], mask[:, : self.shape[1]]
        if self.cuts:
            longest = mask.sum(1).amax().clamp(min=1)  # a tensor, which an exported graph computes anew
            x, mask = x[:, :longest], mask[:, :longest]
        return self.vectors(x).transpose(1, 2), mask


class CategoryEmbedding(nn.Module):
    """The columns that Columns gives -> (batch, features): what are numbers as they are, a vector a category.

    The width of a column's vectors is half the number of its categories, at most 32.
    """

    def __init__(self, columns: Columns) -> None:
        super().__init__()
        self.n_plain = 2 * columns.n_numbers
        widths = [min(32, (n + 1) // 2) for n in columns.cardinalities]
        self.vectors = nn.ModuleList(
            nn.Embedding(n, width) for n, width in zip(columns.cardinalities, widths, strict=True)
        )
        self.shape = (self.n_plain + sum(widths),)

    def forward(self, x: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor | None]:
        categories = x[:, self.n_plain :].long()
        parts = [vectors(categories[:, column]) for column, vectors in enumerate(self.vectors)]
        return torch.cat([x[:, : self.n_plain], *parts], 1), mask


class Embedded(nn.Module):
    """A network behind its embedding."""

    def __init__(self, embedding: TokenEmbedding | CategoryEmbedding, network: nn.Module) -> None:
        super().__init__()
        self.embedding, self.network = embedding, network

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        outputs: Tensor = self.network(*self.embedding(x, mask))
        return outputs


def build_embedding(inputs: Inputs, config: Mapping[str, Any]) -> TokenEmbedding | CategoryEmbedding:
    """For tokens or columns."""
    if isinstance(inputs, Tokens):
        return TokenEmbedding(inputs, config)
    assert isinstance(inputs, Columns)
    return CategoryEmbedding(inputs)
