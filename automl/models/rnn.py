"""Recurrent network (LSTM or GRU)."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from automl.models.packing import read_packed
from automl.models.pooling import pooled


class RNN(nn.Module):
    """Reads signals (channels, length) step by step and images (channels, height, width) row by row.

    config: cell, bidirectional, width (hidden units per direction), layers, summary (how the states are pooled for the
    linear layer), dropout (between layers and before the linear layer).
    """

    def __init__(self, config: Mapping[str, Any], shape: tuple[int, ...], n_outputs: int) -> None:
        super().__init__()
        channels, _, *columns = shape
        n_features = channels * columns[0] if columns else channels
        layers, dropout, both = config["layers"], config["dropout"], config["bidirectional"]
        self.summary = config["summary"]
        self.rnn = {"lstm": nn.LSTM, "gru": nn.GRU}[config["cell"]](
            n_features,
            config["width"],
            layers,
            batch_first=True,
            bidirectional=both,
            dropout=dropout if layers > 1 else 0.0,  # torch warns about dropout with a single layer
        )
        for name, weight in self.rnn.named_parameters():
            if "weight_hh" in name:
                for gate in weight.chunk({"lstm": 4, "gru": 3}[config["cell"]]):
                    nn.init.orthogonal_(gate)  # keeps the norm of the state over many steps (Saxe et al. 2014)
        self.head = nn.Sequential(nn.Dropout(dropout), nn.Linear(config["width"] * (1 + both), n_outputs))

    def forward(self, x: Tensor, mask: Tensor | None = None, steps: Tensor | None = None) -> Tensor:
        read = x.movedim(2, 1).flatten(2)
        if mask is None:
            states, _ = self.rnn(read)
        else:
            states, _ = read_packed(self.rnn, read, mask.sum(1).cpu() if steps is None else steps)
        outputs: Tensor = self.head(self.summarise(states, mask))
        return outputs

    def summarise(self, states: Tensor, mask: Tensor | None = None) -> Tensor:
        """(batch, steps, features) -> (batch, features)."""
        if self.summary == "max" and mask is None:
            return states.amax(1)
        if self.summary == "mean" and mask is None:
            return states.mean(1)
        if self.summary != "last":
            return pooled(states.transpose(1, 2), mask, self.summary)
        last = states[:, -1]
        if mask is not None:
            last = states[torch.arange(len(states), device=states.device), mask.sum(1).clamp(min=1) - 1]
        if not self.rnn.bidirectional:
            return last
        # The backward direction has read everything at the first step, the forward one at the last.
        width = self.rnn.hidden_size
        return torch.cat([last[:, :width], states[:, 0, width:]], 1)
