"""Batches of sequences: those of similar length go together, so that little of a batch is filling."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

POOL = 10  # batches of training examples that are sorted together, at most
LEAST_POOLS = 8  # so many pools are made, lest the steps of few examples be of one length each
JITTER = 0.2  # relative, of lengths before they are sorted: few examples would come together in each epoch


def shuffled(order: "Tensor", lengths: "Tensor", size: int) -> "Tensor":
    """The examples of an order, (n,) of their places, in whole batches of that size which are alike in length.

    lengths: (all examples,). Which of the alike come together, and when, is random. Those that fill no batch are left
    out.
    """
    import torch

    places = order[: len(order) // size * size]
    pool_size = max(1, min(POOL, len(order) // size // LEAST_POOLS)) * size
    blurred = lengths[places] * (1 + JITTER * (2 * torch.rand(len(places), device=order.device) - 1))
    pools = zip(torch.split(places, pool_size), torch.split(blurred, pool_size), strict=True)
    batches = torch.cat([pool[of_pool.argsort()] for pool, of_pool in pools]).reshape(-1, size)
    return batches[torch.randperm(len(batches), device=order.device)].flatten()


def by_length(lengths: "Tensor", size: int) -> "Iterator[Tensor]":
    """The places of all examples, the shortest first, in parts of at most that size."""
    import torch

    yield from torch.split(lengths.argsort(stable=True), size)
