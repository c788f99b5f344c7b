"""Networks of one shape as one function: each has its own lane and weights.

Linear maps and convolutions are batched matrix products over the lanes, which on a CPU compute each lane as if it were
alone, bit for bit. So a lane depends neither on its neighbours nor on how many there are.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from automl.models.changes import Changes
from automl.models.cnn import CNN
from automl.models.embeddings import CategoryEmbedding, Embedded
from automl.models.lane_layers import Standardise, attended, convolved, dropped, halved, linear, scaled, spread
from automl.models.lane_rnn import gru_states
from automl.models.mlp import MLP
from automl.models.rnn import RNN
from automl.models.transformer import Transformer

NORM_MOMENTUM = 0.1  # of batch normalisation's running statistics, torch's default


class Pooling(nn.Module):
    """Marks where a network's layers pool over positions."""

    def __init__(self, how: str) -> None:
        super().__init__()
        self.how = how


class Positions(nn.Module):
    """Marks where a Transformer's patches get their learned positions."""


def layers_of(module: nn.Module, prefix: str = "") -> list[tuple[str, nn.Module]] | None:
    """The layers of a network in order, with their names; None if they are not a plain sequence."""
    if isinstance(module, Embedded):
        if not isinstance(module.embedding, CategoryEmbedding) or len(module.embedding.vectors):
            return None
        return layers_of(module.network, f"{prefix}network.")
    if isinstance(module, Changes):
        return layers_of(module.network, f"{prefix}network.")
    if isinstance(module, MLP):
        return [(f"{prefix}layers.{name}", layer) for name, layer in module.layers.named_children()]
    if isinstance(module, Transformer):
        blocks = [(f"{prefix}encoder.layers.{name}", block) for name, block in module.encoder.layers.named_children()]
        ends = [(f"{prefix}encoder.norm", module.encoder.norm), ("", Pooling("mean")), (f"{prefix}head", module.head)]
        starts = [("", module.fill), (f"{prefix}embed", module.embed), (f"{prefix}position", Positions())]
        return [*starts, *blocks, *ends]
    if isinstance(module, RNN) and isinstance(module.rnn, nn.GRU):
        head = [(f"{prefix}head.{name}", layer) for name, layer in module.head.named_children()]
        return [(f"{prefix}rnn", module.rnn), ("", module), *head]
    if isinstance(module, CNN):
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
        """``generators``: one per lane, to draw dropout from in training."""
        first = self.modules[0]
        if isinstance(first, Changes):  # whose constants are those of the data, equal in all lanes
            return first.forecasts(self._outputs(first.changes(x), generators), x)
        return self._outputs(x, generators)

    def _outputs(self, x: Tensor, generators: Sequence[torch.Generator]) -> Tensor:
        match self.layers[0][0][1]:
            case nn.Conv1d() | nn.Conv2d() | nn.ZeroPad1d() | nn.ZeroPad2d() | nn.Flatten():
                x = x.movedim(2, -1)  # channels last
            case nn.GRU():
                x = x.movedim(3, 2).flatten(3)  # step by step; for an image, row by row
        for place, (name, layer) in enumerate(self.layers[0]):
            if isinstance(layer, nn.Dropout):
                x = self._dropped(x, [of[place][1] for of in self.layers], generators)
            elif isinstance(layer, nn.TransformerEncoderLayer):
                x = self._block(name, [of[place][1] for of in self.layers], x, generators)
            elif isinstance(layer, nn.GRU):
                x = self._recurrent(name, [of[place][1] for of in self.layers], x, generators)
            else:
                x = self._through(name, layer, x)
        return x

    def _dropped(self, x: Tensor, layers: Sequence[Any], generators: Sequence[torch.Generator]) -> Tensor:
        return dropped(x, [layer.p for layer in layers], generators) if self.training else x

    def _block(self, name: str, blocks: Sequence[Any], x: Tensor, generators: Sequence[torch.Generator]) -> Tensor:
        """A block of a Transformer, norms first; the order of its dropouts is torch's."""
        first = blocks[0]
        y = self._through(f"{name}.norm1", first.norm1, x)
        y = linear(y, *(self.parameters[f"{name}.self_attn.in_proj_{part}"] for part in ("weight", "bias")))
        y = self._through(
            f"{name}.self_attn.out_proj", first.self_attn.out_proj, attended(y, first.self_attn.num_heads)
        )
        x = x + self._dropped(y.movedim(1, 2), [block.dropout1 for block in blocks], generators)
        y = self._through(f"{name}.linear1", first.linear1, self._through(f"{name}.norm2", first.norm2, x))
        y = self._dropped(F.gelu(y), [block.dropout for block in blocks], generators)
        y = self._through(f"{name}.linear2", first.linear2, y)
        return x + self._dropped(y, [block.dropout2 for block in blocks], generators)

    def _recurrent(self, name: str, rnns: Sequence[Any], x: Tensor, generators: Sequence[torch.Generator]) -> Tensor:
        """All layers of gated recurrent units: (lanes, batch, steps, features) to their states."""
        rates = [rnn.dropout for rnn in rnns]
        for layer in range(rnns[0].num_layers):
            if layer and self.training:
                x = dropped(x.movedim(2, 1).contiguous(), rates, generators).movedim(1, 2)  # torch draws it by steps
            directions = []
            for suffix in ("", "_reverse")[: 1 + rnns[0].bidirectional]:
                parts = [f"{name}.{part}_l{layer}{suffix}" for part in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")]
                weights = [self.parameters[part] for part in parts]
                directions.append(gru_states(x, weights, backwards=bool(suffix)))
            x = torch.cat(directions, -1)
        return x

    def _through(self, name: str, layer: Any, x: Tensor) -> Tensor:
        weight, bias = (self.parameters.get(f"{name}.{part}") for part in ("weight", "bias"))
        match layer:
            case nn.Flatten():
                return x.movedim(-1, 2).flatten(2)
            case nn.Linear():
                return linear(x, weight, bias)
            case nn.Conv1d() | nn.Conv2d():
                assert weight is not None
                return convolved(x, weight, bias, layer.stride[0], int(layer.padding[0]))
            case nn.ZeroPad1d() | nn.ZeroPad2d():
                return F.pad(x, (0, 0, *layer.padding))
            case nn.MaxPool1d() | nn.MaxPool2d():
                return halved(x)
            case nn.ReLU():
                return x.relu()
            case nn.BatchNorm1d() | nn.BatchNorm2d():
                return scaled(self._batch_norm(name, layer, x), weight, bias)
            case nn.GroupNorm():
                grouped, over = x.unflatten(-1, (layer.num_groups, -1)), (*range(2, x.ndim - 1), x.ndim)  # type: ignore[no-untyped-call]
                return scaled(Standardise.apply(grouped, over, layer.eps)[0].flatten(-2), weight, bias)  # type: ignore[no-untyped-call]
            case nn.LayerNorm():
                return scaled(F.layer_norm(x, x.shape[-1:], eps=layer.eps), weight, bias)
            case Positions():
                return x.flatten(2, -2) + self.parameters[name][:, None]
            case RNN():
                return layer.summarise(x.flatten(0, 1)).view(*x.shape[:2], -1)
            case Pooling():
                return x.flatten(2, -2).amax(2) if layer.how == "max" else x.flatten(2, -2).mean(2)
            case nn.Identity():
                return x
        raise AssertionError(layer)

    def _batch_norm(self, name: str, layer: nn.BatchNorm1d | nn.BatchNorm2d, x: Tensor) -> Tensor:
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
