"""Layers of many networks at once: (lanes, batch, ..., channels), each lane with its own weights.

On a CPU, a lane computes the same numbers as without neighbours, bit for bit.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor


def spread(values: Tensor, x: Tensor) -> Tensor:
    """Values (lanes, channels), reshaped to broadcast with x (lanes, ..., channels)."""
    return values.reshape(len(values), *(1 for _ in x.shape[1:-1]), -1)


def scaled(x: Tensor, weight: Tensor | None, bias: Tensor | None) -> Tensor:
    assert weight is not None
    assert bias is not None
    return torch.addcmul(spread(bias, x), x, spread(weight, x))


def linear(x: Tensor, weight: Tensor | None, bias: Tensor | None) -> Tensor:
    """(lanes, ..., channels) with weights (lanes, out, channels)."""
    assert weight is not None
    assert bias is not None
    if weight.shape[1] == 1:  # a product with a vector, which is computed differently for a single lane
        return (x * spread(weight[:, 0], x)).sum(-1, keepdim=True) + spread(bias, x)
    y = torch.baddbmm(bias[:, None], x.flatten(1, -2), weight.transpose(1, 2))
    return y.view(*x.shape[:-1], -1)


def attended(projected: Tensor, heads: int) -> Tensor:
    """Self-attention within each example, from queries, keys and values: (lanes, batch, tokens, 3 * width) to
    (lanes, tokens, batch, width), the order in which torch holds it in memory and draws dropout.
    """
    lanes, batch, tokens, _ = projected.shape
    parts = projected.view(lanes * batch, tokens, 3, heads, -1).permute(2, 0, 3, 1, 4)
    together = F.scaled_dot_product_attention(*parts)
    return together.view(lanes, batch, heads, tokens, -1).permute(0, 3, 1, 2, 4).flatten(3)


def dropped(x: Tensor, rates: Sequence[float], generators: Sequence[torch.Generator]) -> Tensor:
    """Like torch's dropout, each lane with its own rate and generator."""
    if not any(rates):
        return x
    kept = torch.ones_like(x)
    for lane, rate in enumerate(rates):
        if rate > 0:
            kept[lane].bernoulli_(1 - rate, generator=generators[lane]).div_(1 - rate)
    return x * kept


def halved(x: Tensor) -> Tensor:
    """Max pooling by 2 along every side of (lanes, batch, *sides, channels); the last step of an odd side is kept."""
    for dim in range(x.ndim - 2, 1, -1):
        even, odd = (x[(slice(None),) * dim + (slice(start, None, 2),)] for start in (0, 1))
        pairs = even.narrow(dim, 0, odd.shape[dim])
        larger = torch.where(odd > pairs, odd, pairs)  # the first of equal ones, as in torch
        rest = even.shape[dim] - odd.shape[dim]
        x = torch.cat([larger, even.narrow(dim, odd.shape[dim], rest)], dim) if rest else larger
    return x


def convolved(x: Tensor, weight: Tensor, bias: Tensor | None, stride: int, padding: int) -> Tensor:
    """(lanes, batch, *sides, channels) with weights (lanes, out, channels, *kernel), whose sides are equal."""
    y = cast(Tensor, Convolution.apply(x, weight, stride, padding))  # type: ignore[no-untyped-call]
    return y if bias is None else y + spread(bias, y)


class Convolution(torch.autograd.Function):
    """A convolution as one matrix product per lane, over windows that are contiguous in memory."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, stride: int, padding: int) -> Tensor:
        lanes, out, _, *kernel = weight.shape
        padded = F.pad(x, (0, 0) + (padding, padding) * len(kernel))
        windows = padded
        for side, size in enumerate(kernel):
            windows = windows.unfold(2 + side, size, stride)
        sides = windows.shape[2 : 2 + len(kernel)]
        rows = windows.movedim(2 + len(kernel), -1).reshape(lanes, x.shape[1] * sides.numel(), -1)
        matrix = weight.movedim((1, 2), (-1, -2)).reshape(lanes, -1, out)
        ctx.save_for_backward(rows, matrix)
        ctx.sizes = padded.shape, sides, kernel, stride, padding
        return torch.bmm(rows, matrix).view(*x.shape[:2], *sides, out)

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        rows, matrix = ctx.saved_tensors
        shape, sides, kernel, stride, padding = ctx.sizes
        lanes, batch, channels = shape[0], shape[1], shape[-1]
        dy = gradients[0].reshape(lanes, batch * sides.numel(), -1)
        products = torch.bmm(rows.transpose(1, 2), dy).view(lanes, *kernel, channels, -1)
        of_weight = products.movedim((-1, -2), (1, 2))
        if not ctx.needs_input_grad[0]:
            return None, of_weight, None, None
        each = torch.bmm(dy, matrix.transpose(1, 2)).view(lanes, batch, *sides, *kernel, channels)
        of_x, whole = dy.new_zeros(shape), (slice(None), slice(None))
        for place in product(*map(range, kernel)):
            seen = (slice(step, step + stride * (n - 1) + 1, stride) for step, n in zip(place, sides, strict=True))
            index: tuple[slice | int, ...] = (*whole, *(slice(None) for _ in sides), *place)
            of_x[(*whole, *seen)] += each[index]
        inner = (slice(padding, n - padding) for n in shape[2:-1])
        return of_x[(*whole, *inner)], of_weight, None, None


class Standardise(torch.autograd.Function):
    """x standardised over some dimensions, with its mean and variance."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, over: tuple[int, ...], eps: float) -> tuple[Tensor, Tensor, Tensor]:
        mean = x.mean(over, keepdim=True)
        y = x - mean
        variance = (y * y).mean(over, keepdim=True)
        scale = (variance + eps).rsqrt()
        y *= scale
        ctx.save_for_backward(y, scale)
        ctx.over = over
        ctx.mark_non_differentiable(mean, variance)
        return y, mean, variance

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        y, scale = ctx.saved_tensors
        dy, over = gradients[0], ctx.over
        shift, slope = dy.mean(over, keepdim=True), (dy * y).mean(over, keepdim=True)
        return (dy - shift - y * slope).mul_(scale), None, None
