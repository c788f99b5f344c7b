"""Gated recurrent units of many networks at once, each lane with its own weights."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import torch
from torch import Tensor

from automl.models.lane_layers import linear


def gru_states(x: Tensor, weights: Sequence[Tensor], *, backwards: bool) -> Tensor:
    """The states (lanes, batch, steps, width) of one direction of a layer for x (lanes, batch, steps, features).

    ``weights``: of inputs (lanes, 3 * width, features) and states, and the two biases, in torch's order.
    """
    of_inputs, of_states, bias, state_bias = weights
    gates = linear(x, of_inputs, bias).movedim(2, 0)
    states = cast(Tensor, GRU.apply(gates.flip(0) if backwards else gates, of_states, state_bias))  # type: ignore[no-untyped-call]
    return (states.flip(0) if backwards else states).movedim(0, 2)


class GRU(torch.autograd.Function):
    """The recurrence of K. Cho et al. (2014) as in torch: the reset gate acts after the matrix product."""

    @staticmethod
    def forward(ctx: Any, gates: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        steps, lanes, batch, _ = gates.shape
        width, matrix, shift = weight.shape[2], weight.transpose(1, 2), bias[:, None]
        states = gates.new_zeros(steps + 1, lanes, batch, width)
        both, new, before = (
            gates.new_empty(steps, lanes, batch, n * width) for n in (2, 1, 1)
        )  # reset and update gates; proposals; what the states add to these
        for step in range(steps):
            state = states[step]
            from_state = torch.baddbmm(shift, state, matrix)
            torch.sigmoid(gates[step, ..., : 2 * width] + from_state[..., : 2 * width], out=both[step])
            before[step] = from_state[..., 2 * width :]
            reset, update = both[step].chunk(2, -1)
            torch.tanh(torch.addcmul(gates[step, ..., 2 * width :], reset, before[step]), out=new[step])
            torch.lerp(new[step], state, update, out=states[step + 1])
        ctx.save_for_backward(states, both, new, before, weight)
        return states[1:].clone()

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        states, both, new, before, weight = ctx.saved_tensors
        [of_states] = gradients
        steps, lanes, batch, width = new.shape
        of_gates, of_products = (new.new_empty(steps, lanes, batch, 3 * width) for _ in range(2))
        passed = torch.zeros_like(new[0])
        for step in reversed(range(steps)):
            d_state = of_states[step] + passed
            reset, update = both[step].chunk(2, -1)
            d_new = d_state * (1 - update) * (1 - new[step] * new[step])
            d_reset = d_new * before[step] * (reset * (1 - reset))
            d_update = d_state * (states[step] - new[step]) * (update * (1 - update))
            torch.cat([d_reset, d_update, d_new], -1, out=of_gates[step])
            torch.cat([d_reset, d_update, d_new * reset], -1, out=of_products[step])
            passed = torch.baddbmm(d_state * update, of_products[step], weight)
        rows = of_products.movedim(0, 1).flatten(1, 2)  # (lanes, steps * batch, 3 * width)
        of_weight = torch.bmm(rows.transpose(1, 2), states[:-1].movedim(0, 1).flatten(1, 2))
        return of_gates, of_weight, rows.sum(1)
