"""Many places of an example to one vector."""

import torch
from torch import Tensor


def pooled(states: Tensor, mask: Tensor | None, how: str) -> Tensor:
    """(batch, features, places) -> (batch, features): the maximum or the mean over the places that are there."""
    if mask is None:
        return states.amax(2) if how == "max" else states.mean(2)
    if how == "max":
        # An example of which nothing is there has no maximum; it counts as 0.
        return states.masked_fill(~mask[:, None], -torch.inf).amax(2).nan_to_num(neginf=0.0)
    n = mask.sum(1, keepdim=True).clamp(min=1)
    return (states * mask[:, None]).sum(2) / n
