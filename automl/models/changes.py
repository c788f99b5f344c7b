"""A network on the changes of a series, as ``automl.models.lags`` has them for learners and estimators."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from automl.data.inputs import Windows
    from automl.data.targets import Number


class Changes(nn.Module):
    """Reads each channel relative to its newest value, and adds the target's newest value to the outputs. Channels that
    are known of the time that is forecast remain as they are.

    Input: standardised windows (batch, channels, steps), the target's channel first. Output: the standardised target.
    """

    spread: Tensor
    scale: Tensor
    level: Tensor

    def __init__(self, network: nn.Module, inputs: Windows, target: Number) -> None:
        super().__init__()
        self.network = network
        self.n_values = inputs.shape[0] - inputs.n_known
        mean, std = inputs.mean[0], inputs.std[0]
        spread = [[spread / std] for spread, std in zip(inputs.spread, inputs.std, strict=True)]
        self.register_buffer("spread", torch.tensor(spread[: self.n_values]))
        self.register_buffer("scale", torch.tensor(inputs.change / target.std or 1.0))
        # The newest value is standardised as an input, the outputs as the target.
        self.register_buffer("level", torch.tensor([std / target.std, (mean - target.mean) / target.std]))

    def forward(self, x: Tensor) -> Tensor:
        return self.forecasts(self.network(self.changes(x)), x)

    def changes(self, x: Tensor) -> Tensor:
        """The network's inputs, of about unit size."""
        values, known = x[..., : self.n_values, :], x[..., self.n_values :, :]
        return torch.cat([(values - values[..., -1:]) / self.spread, known], -2)

    def forecasts(self, outputs: Tensor, x: Tensor) -> Tensor:
        """The network's outputs (..., n_outputs) for the windows x, as forecasts."""
        return outputs * self.scale + (x[..., 0, -1:] * self.level[0] + self.level[1])


def in_its_unit(squared_error: Tensor, module: nn.Module) -> Tensor:
    """A squared error of the standardised target as a loss: in units of the changes if the network predicts these.

    They may be smaller than the target's spread by orders of magnitude, and the gradients by their squares.
    """
    return squared_error / module.scale**2 if isinstance(module, Changes) else squared_error
