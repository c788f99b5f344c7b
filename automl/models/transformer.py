"""Transformer encoder over patches (Vaswani et al. 2017; for images, Dosovitskiy et al. 2021, ViT)."""

from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from automl.models.pooling import pooled


class Transformer(nn.Module):
    """Splits signals into patches of patch steps and images into patches of patch x patch pixels, row by row.

    config: patch (length of a patch's side; default 1), overlap (patches start every half patch), width, layers, heads,
    dropout. Pre-norm blocks (Xiong et al. 2020), learned positions, mean over the tokens, one linear layer.
    """

    def __init__(self, config: Mapping[str, Any], shape: tuple[int, ...], n_outputs: int) -> None:
        super().__init__()
        channels, *sides = shape
        width, patch, dropout = config["width"], config.get("patch", 1), config["dropout"]
        stride = max(1, patch // 2) if config.get("overlap", False) else patch
        self.patch, self.stride = patch, stride
        convolution = nn.Conv1d if len(sides) == 1 else nn.Conv2d
        self.embed = convolution(channels, width, patch, stride)
        n_tokens = 1
        for side in sides:
            n_tokens *= (side - patch) // stride + 1
        self.position = nn.Parameter(torch.empty(n_tokens, width).normal_(std=0.02))
        block = nn.TransformerEncoderLayer(
            width, config["heads"], 2 * width, dropout, "gelu", batch_first=True, norm_first=True
        )
        # Dropout on attention weights would rule out torch's fused attention, at several times the cost.
        block.self_attn.dropout = 0.0
        self.encoder = nn.TransformerEncoder(block, config["layers"], nn.LayerNorm(width), enable_nested_tensor=False)
        for weight in self.encoder.parameters():
            # TransformerEncoder copies its first block, including its weights: initialise each block separately.
            if weight.ndim > 1:
                nn.init.xavier_uniform_(weight)
        self.head = nn.Linear(width, n_outputs)

    def forward(self, x: Tensor, mask: Tensor | None = None, steps: Tensor | None = None) -> Tensor:
        tokens = self.embed(x).flatten(2).transpose(1, 2)
        tokens = tokens + self.position[: tokens.shape[1]]
        if mask is None:
            summary = self.encoder(tokens).mean(1)
        else:
            # A patch is valid if any of its steps is.
            there = F.max_pool1d(mask[:, None].float(), self.patch, self.stride)[:, 0] > 0
            empty = ~there.any(1, keepdim=True)  # attention over no tokens gives NaN
            states = self.encoder(tokens, src_key_padding_mask=~(there | empty))
            summary = pooled(states.transpose(1, 2), there, "mean")
        outputs: Tensor = self.head(summary)
        return outputs
