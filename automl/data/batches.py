"""Batches of sequences of similar length, so that they need little padding."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

POOL = 10  # maximum number of batches per pool; each pool is sorted by length
MIN_POOLS = 8  # so that small data sets do not get batches of a single length each
JITTER = 0.2  # relative noise of lengths before sorting; without it, few examples form the same batches each epoch


def shuffled(order: "Tensor", lengths: "Tensor", size: int) -> "Tensor":
    """The examples of an order (n,), rearranged in full batches of similar length, in random order.

    ``lengths``: of all examples. Examples that do not fill a batch are dropped.
    """
    import torch

    places = order[: len(order) // size * size]
    pool_size = max(1, min(POOL, len(order) // size // MIN_POOLS)) * size
    blurred = lengths[places] * (1 + JITTER * (2 * torch.rand(len(places), device=order.device) - 1))
    pools = zip(torch.split(places, pool_size), torch.split(blurred, pool_size), strict=True)
    batches = torch.cat([pool[of_pool.argsort()] for pool, of_pool in pools]).reshape(-1, size)
    return batches[torch.randperm(len(batches), device=order.device)].flatten()


def by_length(lengths: "Tensor", size: int) -> "Iterator[Tensor]":
    """The indices of all examples, shortest first, in batches of at most that size."""
    import torch

    yield from torch.split(lengths.argsort(stable=True), size)
