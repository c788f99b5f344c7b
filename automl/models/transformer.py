"""Transformer encoder over patches (Vaswani et al. 2017; for images, Dosovitskiy et al. 2021, ViT)."""

from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from automl.models.pooling import pooled


class Transformer(nn.Module):
    """Splits signals into patches of patch steps and images into patches of patch x patch pixels, row by row.

    So that patches hold every step, sides are filled with zeros: in front, as the newest steps of a window are its last
    ones; examples of different lengths at the end, where they are filled already.

    config: patch (length of a patch's side; default 1), overlap (patches start every half patch), width, layers, heads,
    dropout. Pre-norm blocks (Xiong et al. 2020), learned positions, mean over the tokens, one linear layer.
    """

    def __init__(self, config: Mapping[str, Any], shape: tuple[int, ...], n_outputs: int) -> None:
        super().__init__()
        channels, *sides = shape
        width, patch, dropout = config["width"], config.get("patch", 1), config["dropout"]
        stride = max(1, patch // 2) if config.get("overlap", False) else patch
        self.patch, self.stride = patch, stride
        extra = [missing(side, patch, stride) for side in sides]
        self.embed: nn.Module
        self.fill: nn.Module
        if len(sides) == 1:
            self.embed, self.fill = nn.Conv1d(channels, width, patch, stride), nn.ZeroPad1d((extra[0], 0))
        else:
            self.embed, self.fill = nn.Conv2d(channels, width, patch, stride), nn.ZeroPad2d((extra[1], 0, extra[0], 0))
        n_tokens = 1
        for side, steps in zip(sides, extra, strict=True):
            n_tokens *= (side + steps - patch) // stride + 1
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
        if mask is None:
            summary = self.encoder(self.tokens(self.fill(x))).mean(1)
        else:
            extra = missing(x.shape[2], self.patch, self.stride)
            tokens, mask = self.tokens(F.pad(x, (0, extra))), F.pad(mask, (0, extra))
            valid = self.valid(mask)
            empty = ~valid.any(1, keepdim=True)  # attention over no tokens gives NaN
            states = self.encoder(tokens, src_key_padding_mask=~(valid | empty))
            summary = pooled(states.transpose(1, 2), valid, "mean")
        outputs: Tensor = self.head(summary)
        return outputs

    def tokens(self, x: Tensor) -> Tensor:
        """Whole patches (batch, channels, *sides) -> (batch, tokens, width)."""
        embedded: Tensor = self.embed(x).flatten(2).transpose(1, 2)
        return embedded + self.position[: embedded.shape[1]]

    def valid(self, mask: Tensor) -> Tensor:
        """Valid steps (batch, length) -> valid patches (batch, tokens): those with one that no patch before has.

        So the number of an example's patches does not depend on how far it was filled.
        """
        first, others = mask[:, : self.patch], mask[:, self.patch :]
        later = others.reshape(mask.shape[0], others.shape[1] // self.stride, self.stride)
        return torch.cat([first.any(1, keepdim=True), later.any(2)], 1)


def missing(length: int, patch: int, stride: int) -> int:
    """The steps to add to a length so that patches, one every stride steps, hold each step."""
    return max(patch - length, (patch - length) % stride)
