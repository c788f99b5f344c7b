"""Recurrent layers of many networks at once, each lane with weights of its own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn

from automl.models.lane_layers import linear


def states_of(rnn: nn.RNNBase, x: Tensor, weights: Sequence[Tensor], *, backwards: bool) -> Tensor:
    """The states (lanes, batch, steps, width) of a direction of a layer that reads x (lanes, batch, steps, features).

    ``weights``: of inputs (lanes, n_gates * width, features) and states, and the two biases, in torch's order.
    """
    of_inputs, of_states, bias, state_bias = weights
    cell, biases = (LSTM, ()) if isinstance(rnn, nn.LSTM) else (GRU, (state_bias,))
    gates = linear(x, of_inputs, bias if biases else bias + state_bias).movedim(2, 0)
    states = cast(Tensor, cell.apply(gates.flip(0) if backwards else gates, of_states, *biases))  # type: ignore[no-untyped-call]
    return (states.flip(0) if backwards else states).movedim(0, 2)


class GRU(torch.autograd.Function):
    """The recurrence of K. Cho et al. (2014) as torch has it: the reset gate acts after the matrix product."""

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


class LSTM(torch.autograd.Function):
    """Long short-term memory (Hochreiter & Schmidhuber 1997) with forget gates, as torch has it.

    Gates, as the rows of the weights, are in torch's order: input, forget, cell, output.
    """

    @staticmethod
    def forward(ctx: Any, gates: Tensor, weight: Tensor) -> Tensor:
        steps, lanes, batch, _ = gates.shape
        width, matrix = weight.shape[2], weight.transpose(1, 2)
        states, cells = (gates.new_zeros(steps + 1, lanes, batch, width) for _ in range(2))
        opened, seen = torch.empty_like(gates, memory_format=torch.contiguous_format), torch.empty_like(states[1:])
        for step in range(steps):
            before = torch.baddbmm(gates[step], states[step], matrix)
            torch.sigmoid(before, out=opened[step])
            enters, stays, proposal, leaves = opened[step].chunk(4, -1)
            torch.tanh(before[..., 2 * width : 3 * width], out=proposal)
            torch.addcmul(stays * cells[step], enters, proposal, out=cells[step + 1])
            torch.tanh(cells[step + 1], out=seen[step])
            torch.mul(leaves, seen[step], out=states[step + 1])
        ctx.save_for_backward(states, cells, opened, seen, weight)
        return states[1:].clone()

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        states, cells, opened, seen, weight = ctx.saved_tensors
        [of_states] = gradients
        enters, stays, proposal, leaves = opened.chunk(4, -1)
        # What a change of a cell changes by each gate but the last, of a state by the last, and of a state by its cell.
        parts = [
            proposal * enters * (1 - enters),
            cells[:-1] * stays * (1 - stays),
            enters * (1 - proposal * proposal),
        ]
        by_cell, by_last = torch.stack(parts, -2), seen * leaves * (1 - leaves)
        through = leaves * (1 - seen * seen)
        of_gates = torch.empty_like(opened)
        passed, of_cell = torch.zeros_like(seen[0]), torch.zeros_like(seen[0])
        for step in reversed(range(len(seen))):
            of_state = of_states[step] + passed
            of_cell = torch.addcmul(of_cell, of_state, through[step])
            split = of_gates[step].unflatten(-1, (4, -1))  # type: ignore[no-untyped-call]
            torch.mul(of_cell.unsqueeze(-2), by_cell[step], out=split[..., :3, :])
            torch.mul(of_state, by_last[step], out=split[..., 3, :])
            passed = torch.bmm(of_gates[step], weight)
            of_cell = of_cell * stays[step]
        rows = of_gates.movedim(0, 1).flatten(1, 2)  # (lanes, steps * batch, 4 * width)
        return of_gates, torch.bmm(rows.transpose(1, 2), states[:-1].movedim(0, 1).flatten(1, 2))
