"""The network of RealMLP with its gradient and its optimizer, for one CPU core.

The gradient is written out and all parameters are one vector: with batches of 256 rows, autograd, the library's
activations and dropout, and an optimizer over many tensors take longer than the matrix products.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

WAVES, WAVE_OUTPUTS, SIGMA = 16, 3, 0.1  # of the embedding of a number, which also passes the number itself
EMBEDDING = 8
LAYERS = 3
BETAS, EPSILON = (0.9, 0.95), 1e-8


class Sizes(NamedTuple):
    """What determines the shapes of the parameters."""

    n_numbers: int
    n_features: int  # numbers included
    embedded: tuple[int, ...]  # cardinalities
    n_outputs: int
    width: int
    classes: bool

    @property
    def n_inputs(self) -> int:
        """Of the first layer: waves, embeddings, features."""
        return WAVE_OUTPUTS * self.n_numbers + EMBEDDING * len(self.embedded) + self.n_features

    def shapes(self) -> dict[str, tuple[tuple[int, ...], float, float]]:
        """Parameter -> shape, factor of the learning rate, factor of the weight decay."""
        dims = (self.n_inputs, *(LAYERS * (self.width,)), self.n_outputs)
        found: dict[str, tuple[tuple[int, ...], float, float]] = {"scale": ((self.n_inputs,), 6.0, 1.0)}
        for i in range(LAYERS + 1):
            found[f"weight{i}"] = ((dims[i], dims[i + 1]), 1.0, 1.0)
            found[f"bias{i}"] = ((dims[i + 1],), 0.1, 0.0)
        for i in range(LAYERS):  # how much of the activation is mixed with the identity
            found[f"mix{i}"] = ((self.width,), 0.1, 1.0)
        found["waves"] = ((self.n_numbers, WAVES, 2), 0.1, 1.0)  # frequency and phase
        found["wave_weight"] = ((self.n_numbers, WAVES, WAVE_OUTPUTS), 0.1, 1.0)
        found["wave_bias"] = ((self.n_numbers, WAVE_OUTPUTS, 1), 0.1, 1.0)
        found["embedding"] = ((sum(self.embedded), EMBEDDING), 1.0, 1.0)
        return found


def views(flat: Tensor, sizes: Sizes) -> dict[str, Tensor]:
    """The parameters in a vector."""
    shapes = {name: shape for name, (shape, _, _) in sizes.shapes().items()}
    parts = torch.split(flat, [math.prod(shape) for shape in shapes.values()])
    return {name: part.view(shape) for (name, shape), part in zip(shapes.items(), parts, strict=True)}


class Network:
    """Three hidden layers over scaled inputs. Rows come as (features, n) and codes (embedded columns, n)."""

    def __init__(self, sizes: Sizes, dtype: torch.dtype = torch.float32) -> None:
        self.sizes = sizes
        self.activation = selu if sizes.classes else mish
        self.flat = torch.zeros(sum(math.prod(shape) for shape, _, _ in sizes.shapes().values()), dtype=dtype)
        self.gradient = torch.zeros_like(self.flat)
        self.parameters, self.gradients = views(self.flat, sizes), views(self.gradient, sizes)

    def initialise(self, x: Tensor, codes: Tensor, rng: np.random.Generator) -> None:
        """Random parameters with which, on these rows, sums have variance 1 and each hyperplane meets the data."""
        of = self.parameters

        def normal(like: Tensor) -> Tensor:
            return torch.from_numpy(rng.standard_normal(like.shape)).to(like.dtype)

        def uniform(like: Tensor, bound: float) -> Tensor:
            return torch.from_numpy(rng.uniform(-bound, bound, like.shape)).to(like.dtype)

        of["waves"][:, :, 0] = SIGMA * normal(of["waves"][:, :, 0])
        of["waves"][:, :, 1] = uniform(of["waves"][:, :, 1], math.pi)
        for name in ("wave_weight", "wave_bias"):
            of[name].copy_(uniform(of[name], 1 / math.sqrt(WAVES)))
        trained = torch.unique(codes)  # the other categories stay at 0, the mean of the embeddings
        of["embedding"][trained] = normal(of["embedding"])[trained]
        of["scale"].fill_(1.0)
        hidden = self.inputs(x, codes)[0].T
        for i in range(LAYERS + 1):
            weight, bias = of[f"weight{i}"], of[f"bias{i}"]
            weight.copy_(normal(weight))
            sums = hidden @ weight / math.sqrt(max(len(weight), 1))
            deviation = sums.std(0, correction=0)
            deviation = torch.where(deviation > 1e-6, deviation, 1.0)
            weight.div_(deviation)
            sums /= deviation
            simplex = torch.from_numpy(rng.dirichlet(np.ones(5), len(bias))).T.to(sums.dtype)
            rows = torch.from_numpy(rng.integers(0, len(sums), simplex.shape))
            bias.copy_(-(simplex * sums.gather(0, rows)).sum(0))
            if i < LAYERS:
                of[f"mix{i}"].fill_(1.0)
                hidden = self.activation(sums + bias)[0]

    def inputs(self, x: Tensor, codes: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The inputs of the first layer (n_inputs, n), and the angles and cosines of the waves."""
        of, sizes, n = self.parameters, self.sizes, x.shape[1]
        inputs = x.new_empty(sizes.n_inputs, n)
        n_waves, n_embedded = WAVE_OUTPUTS * sizes.n_numbers, EMBEDDING * len(sizes.embedded)
        angles = torch.bmm(of["waves"], wave_inputs(x[: sizes.n_numbers]))
        cosines = torch.from_numpy(np.cos(angles.numpy()))  # twice as fast as torch.cos
        waves = inputs[:n_waves].view(sizes.n_numbers, WAVE_OUTPUTS, n)
        torch.baddbmm(of["wave_bias"], of["wave_weight"].mT, cosines, out=waves)
        if n_embedded:
            vectors = of["embedding"].index_select(0, codes.flatten()).view(len(codes), n, EMBEDDING)
            inputs[n_waves : n_waves + n_embedded].view(len(codes), EMBEDDING, n).copy_(vectors.mT)
        inputs[n_waves + n_embedded :] = x
        return inputs, angles, cosines

    def __call__(self, x: Tensor, codes: Tensor) -> Tensor:
        """The outputs, (n, n_outputs)."""
        of = self.parameters
        hidden = self.inputs(x, codes)[0].T * of["scale"]
        for i in range(LAYERS):
            sums = affine(hidden, of[f"weight{i}"], of[f"bias{i}"])
            hidden = torch.lerp(sums, self.activation(sums)[0], of[f"mix{i}"])
        return affine(hidden, of[f"weight{LAYERS}"], of[f"bias{LAYERS}"])

    def backpropagate(self, x: Tensor, codes: Tensor, y: Tensor, masks: Tensor | None) -> None:
        """Set the gradient to that of the mean loss of these rows.

        ``y``: (n,), class indices, or standardised numbers. ``masks``: (3, n, width), the factors of dropout.
        """
        of, gradients = self.parameters, self.gradients
        inputs, angles, cosines = self.inputs(x, codes)
        hidden, deltas, slopes = [inputs.T], [], []
        weights = [of["scale"][:, None] * of["weight0"], *(of[f"weight{i}"] for i in range(1, LAYERS + 1))]
        for i in range(LAYERS):
            sums = affine(hidden[-1], weights[i], of[f"bias{i}"])
            value, derivative = self.activation(sums)
            delta = value.sub_(sums)
            output = torch.addcmul(sums, delta, of[f"mix{i}"])
            slope = derivative.sub_(1.0).mul_(of[f"mix{i}"]).add_(1.0)
            hidden.append(output if masks is None else output.mul_(masks[i]))
            deltas.append(delta)
            slopes.append(slope)
        above = self.loss_gradient(affine(hidden[-1], weights[-1], of[f"bias{LAYERS}"]), y)
        for i in range(LAYERS, -1, -1):
            if i < LAYERS:
                above = above if masks is None else above.mul_(masks[i])
                torch.sum(deltas[i].mul_(above), 0, out=gradients[f"mix{i}"])
                above.mul_(slopes[i])
            torch.sum(above, 0, out=gradients[f"bias{i}"])
            into, factor = gradients[f"weight{i}"], 1 / math.sqrt(max(len(weights[i]), 1))
            torch.addmm(into, hidden[i].T, above, beta=0, alpha=factor, out=into)
            if i:
                above = torch.mm(above, weights[i].T).mul_(factor)
        torch.sum(gradients["weight0"] * of["weight0"], 1, out=gradients["scale"])
        gradients["weight0"].mul_(of["scale"][:, None])
        self.backpropagate_inputs(x, codes, torch.mm(weights[0], above.T).mul_(factor), angles, cosines)

    def loss_gradient(self, outputs: Tensor, y: Tensor) -> Tensor:
        """The derivative of the mean cross-entropy or squared error by the outputs."""
        if self.sizes.classes:
            above = outputs.softmax(1)
            above[torch.arange(len(y)), y] -= 1.0
        else:
            above = 2 * (outputs - y[:, None])
        return above.div_(len(y))

    def backpropagate_inputs(self, x: Tensor, codes: Tensor, grad: Tensor, angles: Tensor, cosines: Tensor) -> None:
        """The gradients of the waves and embeddings, from that of the inputs."""
        of, gradients, sizes, n = self.parameters, self.gradients, self.sizes, x.shape[1]
        n_waves, n_embedded = WAVE_OUTPUTS * sizes.n_numbers, EMBEDDING * len(sizes.embedded)
        waves = grad[:n_waves].view(sizes.n_numbers, WAVE_OUTPUTS, n)
        torch.sum(waves, 2, keepdim=True, out=gradients["wave_bias"])
        torch.bmm(cosines, waves.mT, out=gradients["wave_weight"])
        sines = torch.from_numpy(np.sin(angles.numpy(), out=angles.numpy()))
        inner = torch.bmm(of["wave_weight"], waves).mul_(sines).neg_()
        torch.bmm(inner, wave_inputs(x[: sizes.n_numbers]).mT, out=gradients["waves"])
        if n_embedded:
            vectors = grad[n_waves : n_waves + n_embedded].view(len(codes), EMBEDDING, n).mT.reshape(-1, EMBEDDING)
            gradients["embedding"].zero_().index_add_(0, codes.flatten(), vectors)


def wave_inputs(numbers: Tensor) -> Tensor:
    """(numbers, 2, n): what frequencies and phases are multiplied with."""
    return torch.stack((numbers * (2 * math.pi), torch.ones_like(numbers)), 1)


def affine(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """A linear map in the neural tangent parametrisation."""
    return torch.addmm(bias, x, weight, alpha=1 / math.sqrt(max(len(weight), 1)))


def selu(x: Tensor) -> tuple[Tensor, Tensor]:
    """SELU and its derivative. On some CPUs a sigmoid is much faster than the exponential: exp(x) = 1 / s(-x) - 1."""
    alpha, scale = 1.6732632423543772, 1.0507009873554805
    negative = x.clamp(max=0.0)
    exponential = torch.sigmoid(-negative).reciprocal_().sub_(1.0)
    value = torch.add(x, exponential, alpha=alpha).sub_(negative).sub_(alpha).mul_(scale)
    positive = x.sign().clamp_(min=0.0)
    return value, exponential.mul_(alpha * scale).sub_(positive, alpha=(alpha - 1) * scale)


def mish(x: Tensor) -> tuple[Tensor, Tensor]:
    """x tanh(log(1 + exp(x))) and its derivative, by u = sigmoid(-x): the tanh is 2 / (1 + u^2) - 1."""
    u = torch.sigmoid(-x)
    square = u * u
    inverse = (square + 1.0).reciprocal_()
    slope = torch.addcmul(square, square, u, value=-1.0).mul_(inverse).mul_(inverse)
    gate = inverse.mul_(2.0).sub_(1.0)
    return x * gate, torch.addcmul(gate, x, slope, value=4.0)


class Adam:
    """Adam with decoupled weight decay over a network's vector, with factors for each parameter."""

    def __init__(self, network: Network) -> None:
        self.network = network
        self.first, self.second = torch.zeros_like(network.flat), torch.zeros_like(network.flat)
        self.rates, self.decays = torch.empty_like(network.flat), torch.empty_like(network.flat)
        rates, decays = views(self.rates, network.sizes), views(self.decays, network.sizes)
        for name, (_, rate, decay) in network.sizes.shapes().items():
            rates[name].fill_(rate)
            decays[name].fill_(rate * decay)
        self.steps = 0

    def step(self, rate: float, weight_decay: float) -> None:
        parameters, gradient = self.network.flat, self.network.gradient
        self.steps += 1
        first, second = (1 - beta**self.steps for beta in BETAS)
        self.first.lerp_(gradient, 1 - BETAS[0])
        self.second.mul_(BETAS[1]).addcmul_(gradient, gradient, value=1 - BETAS[1])
        update = torch.sqrt(self.second).mul_(1 / math.sqrt(second)).add_(EPSILON)
        torch.div(self.first, update, out=update)
        parameters.addcmul_(parameters, self.decays, value=-rate * weight_decay)
        parameters.addcmul_(update, self.rates, value=-rate / first)


def dropout_masks(shape: tuple[int, ...], probability: float, rng: np.random.Generator) -> Tensor | None:
    """Factors of dropout, 0 or 1 / (1 - p); the probability p is rounded to 256ths: one random byte is one factor."""
    dropped = round(probability * 256)
    if not dropped:
        return None
    words: NDArray[Any] = rng.bit_generator.random_raw(-(-math.prod(shape) // 8))
    uniform = torch.from_numpy(words.view(np.uint8)[: math.prod(shape)]).float()
    return uniform.sub_(dropped - 1).clamp_(0.0, 1.0).mul_(256 / (256 - dropped)).view(shape)
