"""Pooling over positions."""

import torch
from torch import Tensor


def pooled(states: Tensor, mask: Tensor | None, how: str) -> Tensor:
    """(batch, features, positions) -> (batch, features): the maximum or the mean over the valid positions."""
    if mask is None:
        return states.amax(2) if how == "max" else states.mean(2)
    if how == "max":
        # The maximum of an empty example counts as 0.
        return states.masked_fill(~mask[:, None], -torch.inf).amax(2).nan_to_num(neginf=0.0)
    n = mask.sum(1, keepdim=True).clamp(min=1)
    return (states * mask[:, None]).sum(2) / n
