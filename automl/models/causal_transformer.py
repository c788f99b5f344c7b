"""Causal Transformer, which predicts the next token (Radford et al. 2018)."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn


class CausalTransformer(nn.Module):
    """Token ids (batch, length) -> (batch, length, n_tokens): logits of the token after each one.

    config: context (the longest length), width, layers, heads, dropout. Pre-norm blocks (Xiong et al. 2020), learned
    positions; the output layer shares the weights of the embedding (Press & Wolf 2017).
    """

    def __init__(self, config: Mapping[str, Any], n_tokens: int) -> None:
        super().__init__()
        width, dropout = config["width"], config["dropout"]
        self.vectors = nn.Embedding(n_tokens, width)
        self.places = nn.Parameter(torch.empty(config["context"], width).normal_(std=0.02))
        self.dropout = nn.Dropout(dropout)
        block = nn.TransformerEncoderLayer(
            width, config["heads"], 4 * width, dropout, "gelu", batch_first=True, norm_first=True
        )
        # Dropout on attention weights would rule out torch's fused attention, at several times the cost.
        block.self_attn.dropout = 0.0
        self.blocks = nn.TransformerEncoder(block, config["layers"], nn.LayerNorm(width), enable_nested_tensor=False)
        self.bias = nn.Parameter(torch.zeros(n_tokens))
        nn.init.normal_(self.vectors.weight, std=0.02)
        for name, weight in self.blocks.named_parameters():
            # The blocks are copies of the first, including its weights: initialise each separately.
            if weight.ndim > 1:
                # Residual contributions are scaled by the number of blocks.
                last = name.endswith(("out_proj.weight", "linear2.weight"))
                nn.init.normal_(weight, std=0.02 / (2 * config["layers"]) ** 0.5 if last else 0.02)

    def forward(self, tokens: Tensor) -> Tensor:
        length = tokens.shape[1]
        later = nn.Transformer.generate_square_subsequent_mask(length, device=tokens.device)
        embedded = self.dropout(self.vectors(tokens) + self.places[:length])
        seen = self.blocks(embedded, mask=later, is_causal=True)
        return nn.functional.linear(seen, self.vectors.weight, self.bias)
