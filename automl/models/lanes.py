"""Networks of one shape as one function: each works on a lane of its own, with weights of its own.

Linear maps and convolutions are batched matrix products over the lanes, which on a CPU compute each lane as if it were
alone, bit for bit. So a lane depends neither on its neighbours nor on how many there are.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from automl.models.cnn import CNN
from automl.models.embeddings import CategoryEmbedding, Embedded
from automl.models.mlp import MLP

NORM_MOMENTUM = 0.1  # of batch normalisation's running statistics, torch's default


class Pooling(nn.Module):
    """The place of a CNN's pooling among its layers."""

    def __init__(self, how: str) -> None:
        super().__init__()
        self.how = how


def layers_of(module: nn.Module, prefix: str = "") -> list[tuple[str, nn.Module]] | None:
    """The layers of a network in their order, with their names; None if it is not just one after the other."""
    if isinstance(module, Embedded):
        if not isinstance(module.embedding, CategoryEmbedding) or len(module.embedding.vectors):
            return None
        return layers_of(module.network, f"{prefix}network.")
    if isinstance(module, MLP):
        return [(f"{prefix}layers.{name}", layer) for name, layer in module.layers.named_children()]
    if isinstance(module, CNN) and isinstance(module.features[0], nn.Conv1d):
        features = [(f"{prefix}features.{name}", layer) for name, layer in module.features.named_children()]
        head = [(f"{prefix}head.{name}", layer) for name, layer in module.head.named_children()]
        pooling: list[tuple[str, nn.Module]] = [] if module.pooling == "flatten" else [("", Pooling(module.pooling))]
        return [*features, *pooling, *head]
    return None


class Lanes:
    """Networks of one shape: (lanes, batch, *shape) -> (lanes, batch, n_outputs).

    The weights (lanes, n_weights) are copies, until `write_back`.
    """

    def __init__(self, modules: Sequence[nn.Module]) -> None:
        self.modules, self.training = list(modules), True
        layers = [layers_of(module) for module in modules]
        self.layers = [cast("list[tuple[str, nn.Module]]", each) for each in layers]
        self.weights = torch.stack([flat(list(module.parameters())) for module in modules])
        self.parameters, self.is_matrix = dict[str, Tensor](), torch.zeros_like(self.weights[0])
        place = 0
        for name, parameter in modules[0].named_parameters():
            part, shape = slice(place, place + parameter.numel()), (len(modules), *parameter.shape)
            self.parameters[name] = self.weights[:, part].view(shape).requires_grad_()
            place = part.stop
            self.is_matrix[part] = float(parameter.ndim > 1)
        buffers = [dict(module.named_buffers()) for module in modules]
        self.buffers = {name: torch.stack([of[name] for of in buffers]) for name in buffers[0]}

    def gradients_of(self, losses: Tensor) -> Tensor:
        """The gradients (lanes, n_weights) of the lanes' losses (lanes,)."""
        found = torch.autograd.grad(losses.sum(), list(self.parameters.values()))
        return torch.cat([each.flatten(1) for each in found], 1)

    @torch.no_grad()
    def write_back(self) -> None:
        """Copy the weights and running statistics into the modules."""
        for lane, module in enumerate(self.modules):
            for name, parameter in module.named_parameters():
                parameter.copy_(self.parameters[name][lane])
            for name, buffer in module.named_buffers():
                buffer.copy_(self.buffers[name][lane])

    def __call__(self, x: Tensor, generators: Sequence[torch.Generator] = ()) -> Tensor:
        """``generators``: of the lanes, from which dropout is drawn in training."""
        x = x.transpose(2, 3) if isinstance(self.layers[0][0][1], nn.Conv1d) else x  # signals: channels last
        for place, (name, layer) in enumerate(self.layers[0]):
            if isinstance(layer, nn.Dropout):
                rates = [cast(nn.Dropout, of[place][1]).p for of in self.layers]
                x = dropped(x, rates, generators) if self.training else x
            else:
                x = self._through(name, layer, x)
        return x

    def _through(self, name: str, layer: Any, x: Tensor) -> Tensor:
        weight, bias = (self.parameters.get(f"{name}.{part}") for part in ("weight", "bias"))
        match layer:
            case nn.Flatten():
                return x.transpose(2, 3).flatten(2) if x.ndim == 4 else x.flatten(2)
            case nn.Linear():
                assert weight is not None
                assert bias is not None
                if layer.out_features == 1:  # a product with a vector, which is another one for a single lane
                    return (x * weight).sum(2, keepdim=True) + bias[:, None]
                return torch.baddbmm(bias[:, None], x, weight.transpose(1, 2))
            case nn.Conv1d():
                assert weight is not None
                return convolved(x, weight, bias, layer.stride[0], int(layer.padding[0]))
            case nn.MaxPool1d():
                return halved(x)
            case nn.ReLU():
                return x.relu()
            case nn.BatchNorm1d():
                return scaled(self._batch_norm(name, layer, x), weight, bias)
            case nn.GroupNorm():
                grouped = x.unflatten(3, (layer.num_groups, -1))  # type: ignore[no-untyped-call]
                return scaled(Standardise.apply(grouped, (2, 4), layer.eps)[0].flatten(3), weight, bias)  # type: ignore[no-untyped-call]
            case Pooling():
                return x.amax(2) if layer.how == "max" else x.mean(2)
            case nn.Identity():
                return x
        raise AssertionError(layer)

    def _batch_norm(self, name: str, layer: nn.BatchNorm1d, x: Tensor) -> Tensor:
        over = tuple(range(1, x.ndim - 1))  # batch and positions
        mean, variance = self.buffers[f"{name}.running_mean"], self.buffers[f"{name}.running_var"]
        if not self.training:
            return (x - spread(mean, x)) * (spread(variance, x) + layer.eps).rsqrt()
        standardised, own_mean, own_variance = Standardise.apply(x, over, layer.eps)  # type: ignore[no-untyped-call]
        n = x[0, ..., 0].numel()
        mean.lerp_(own_mean.reshape(mean.shape), NORM_MOMENTUM)
        variance.lerp_(own_variance.reshape(variance.shape) * (n / max(n - 1, 1)), NORM_MOMENTUM)
        self.buffers[f"{name}.num_batches_tracked"] += 1
        return cast(Tensor, standardised)


def flat(parameters: Sequence[Tensor]) -> Tensor:
    """All weights in one row."""
    return torch.cat([parameter.detach().flatten() for parameter in parameters])


def spread(values: Tensor, x: Tensor) -> Tensor:
    """Values (lanes, channels) in the dimensions of x (lanes, ..., channels)."""
    return values.reshape(len(values), *(1 for _ in x.shape[1:-1]), -1)


def scaled(x: Tensor, weight: Tensor | None, bias: Tensor | None) -> Tensor:
    assert weight is not None
    assert bias is not None
    return torch.addcmul(spread(bias, x), x, spread(weight, x))


def dropped(x: Tensor, rates: Sequence[float], generators: Sequence[torch.Generator]) -> Tensor:
    """As torch's dropout, each lane at its rate and from its generator."""
    if not any(rates):
        return x
    kept = torch.ones_like(x)
    for lane, rate in enumerate(rates):
        if rate > 0:
            kept[lane].bernoulli_(1 - rate, generator=generators[lane]).div_(1 - rate)
    return x * kept


def halved(x: Tensor) -> Tensor:
    """The maxima of two steps each of (lanes, batch, length, channels), the last one of an odd length alone."""
    even, odd = x[:, :, 0::2], x[:, :, 1::2]
    pairs = even[:, :, : odd.shape[2]]
    larger = torch.where(odd > pairs, odd, pairs)  # of equal ones the first, as torch has it
    return larger if even.shape[2] == odd.shape[2] else torch.cat([larger, even[:, :, -1:]], 2)


def convolved(x: Tensor, weight: Tensor, bias: Tensor | None, stride: int, padding: int) -> Tensor:
    """(lanes, batch, length, channels) with weights (lanes, out, channels, kernel)."""
    y = cast(Tensor, Convolution.apply(x, weight, stride, padding))  # type: ignore[no-untyped-call]
    return y if bias is None else y + spread(bias, y)


class Convolution(torch.autograd.Function):
    """A convolution as one matrix product per lane, over windows that lie in memory one after the other."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, stride: int, padding: int) -> Tensor:
        lanes, out, channels, kernel = weight.shape
        padded = F.pad(x, (0, 0, padding, padding))
        windows = padded.unfold(2, kernel, stride).transpose(3, 4)  # (lanes, batch, length, kernel, channels)
        length = windows.shape[2]
        rows = windows.reshape(lanes, -1, kernel * channels)
        matrix = weight.permute(0, 3, 2, 1).reshape(lanes, kernel * channels, out)
        ctx.save_for_backward(rows, matrix)
        ctx.sizes = padded.shape, length, kernel, stride, padding
        return torch.bmm(rows, matrix).view(lanes, -1, length, out)

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        rows, matrix = ctx.saved_tensors
        shape, length, kernel, stride, padding = ctx.sizes
        lanes, batch, _, channels = shape
        dy = gradients[0].reshape(lanes, batch * length, -1)
        of_weight = torch.bmm(rows.transpose(1, 2), dy).view(lanes, kernel, channels, -1).permute(0, 3, 2, 1)
        if not ctx.needs_input_grad[0]:
            return None, of_weight, None, None
        each = torch.bmm(dy, matrix.transpose(1, 2)).view(lanes, batch, length, kernel, channels)
        of_x = dy.new_zeros(shape)
        for step in range(kernel):
            of_x[:, :, step : step + stride * (length - 1) + 1 : stride] += each[:, :, :, step]
        return of_x[:, :, padding : shape[2] - padding], of_weight, None, None


class Standardise(torch.autograd.Function):
    """x without its mean, in units of its standard deviation, over some dimensions; and mean and variance."""

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
