"""Batches of sequences: those of similar length go together, so that little of a batch is filling."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

POOL = 10  # batches of training examples that are sorted together: few, so that each epoch has other batches


def shuffled(order: "Tensor", lengths: "Tensor", size: int) -> "Tensor":
    """The examples of an order, (n,) of their places, in whole batches of that size which are alike in length.

    lengths: (all examples,). Which examples come together, and when, stays random. Those that fill no batch are left
    out.
    """
    import torch

    pools = torch.split(order[: len(order) // size * size], POOL * size)
    batches = torch.cat([pool[lengths[pool].argsort(stable=True)] for pool in pools]).reshape(-1, size)
    return batches[torch.randperm(len(batches), device=order.device)].flatten()


def by_length(lengths: "Tensor", size: int) -> "Iterator[Tensor]":
    """The places of all examples, the shortest first, in parts of at most that size."""
    import torch

    yield from torch.split(lengths.argsort(stable=True), size)
