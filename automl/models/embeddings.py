"""Learned embeddings of tokens and categories, as the first layer of a network."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from automl.data.inputs import Columns, Inputs, Tokens

Embeddings = tuple[Tensor, Tensor | None, Tensor | None]  # signals, mask, steps: see automl.models


class TokenEmbedding(nn.Module):
    """Token ids (batch, length) -> signals (batch, embedding, length), truncated to the longest of the batch.

    config: embedding (dimension), length (tokens to which examples are truncated; default: all).
    """

    def __init__(self, tokens: Tokens, config: Mapping[str, Any]) -> None:
        super().__init__()
        length = min(tokens.length, config.get("length", tokens.length))
        self.shape = (config["embedding"], length)
        self.cuts = True
        self.vectors = nn.Embedding(tokens.n_tokens, config["embedding"], padding_idx=0)
        nn.init.normal_(self.vectors.weight[1:], std=0.1)

    def forward(self, x: Tensor, mask: Tensor | None, steps: Tensor | None) -> Embeddings:
        assert mask is not None
        x, mask = x[:, : self.shape[1]], mask[:, : self.shape[1]]
        steps = None if steps is None else steps.clamp(max=self.shape[1])
        if self.cuts:
            # A tensor, so that an exported graph computes it.
            longest = (mask.sum(1) if steps is None else steps).amax().clamp(min=1)
            x, mask = x[:, :longest], mask[:, :longest]
        return self.vectors(x).transpose(1, 2), mask, steps


class CategoryEmbedding(nn.Module):
    """The output of Columns -> (batch, features): numbers unchanged, categories embedded.

    A column's embedding has half as many dimensions as it has categories, at most 32.
    """

    def __init__(self, columns: Columns) -> None:
        super().__init__()
        self.n_plain = 2 * columns.n_numbers
        widths = [min(32, (n + 1) // 2) for n in columns.cardinalities]
        self.vectors = nn.ModuleList(
            nn.Embedding(n, width) for n, width in zip(columns.cardinalities, widths, strict=True)
        )
        self.shape = (self.n_plain + sum(widths),)

    def forward(self, x: Tensor, mask: Tensor | None, steps: Tensor | None) -> Embeddings:
        categories = x[:, self.n_plain :].long()
        parts = [vectors(categories[:, column]) for column, vectors in enumerate(self.vectors)]
        return torch.cat([x[:, : self.n_plain], *parts], 1), mask, steps


class Embedded(nn.Module):
    """An embedding followed by a network."""

    def __init__(self, embedding: TokenEmbedding | CategoryEmbedding, network: nn.Module) -> None:
        super().__init__()
        self.embedding, self.network = embedding, network

    def forward(self, x: Tensor, mask: Tensor | None = None, steps: Tensor | None = None) -> Tensor:
        outputs: Tensor = self.network(*self.embedding(x, mask, steps))
        return outputs


def build_embedding(inputs: Inputs, config: Mapping[str, Any]) -> TokenEmbedding | CategoryEmbedding:
    """The embedding for tokens or columns."""
    if isinstance(inputs, Tokens):
        return TokenEmbedding(inputs, config)
    assert isinstance(inputs, Columns)
    return CategoryEmbedding(inputs)
