"""Recurrent layers over sequences of different lengths."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence


def read_packed(layers: nn.RNNBase, x: Tensor, lengths: Tensor) -> tuple[Tensor, tuple[Tensor, ...]]:
    """States (batch, steps, features) of sequences (batch, steps, channels), 0 after their ends; and the last states.

    Packed, so that the backward direction starts at the last valid step. ``lengths`` are on the CPU. torch could sort
    the sequences itself, but would wait for the device to restore their order.
    """
    longest_first, order = torch.sort(lengths.clamp(min=1), descending=True)
    order, back = order.to(x.device), torch.argsort(order).to(x.device)
    states, last = layers(pack_padded_sequence(x.index_select(0, order), longest_first, batch_first=True))
    padded, _ = pad_packed_sequence(states, batch_first=True, total_length=x.shape[1])
    each: tuple[Any, ...] = last if isinstance(last, tuple) else (last,)  # an LSTM has two
    return padded.index_select(0, back), tuple(part.index_select(1, back) for part in each)
