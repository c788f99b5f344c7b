"""Training of RealMLP's network: its schedules, its epochs, and when to stop."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from automl.models.learners.base import Rounds
from automl.models.learners.realmlp_network import LAYERS, Adam, Network, Sizes, dropout_masks
from automl.task import TooSlow, TrainingFailed

BATCH = 256
ROWS_AT_ONCE = 1_024  # in predictions
INITIAL_ROWS = 4_096  # on which the network is initialised
PATIENCE = 0.15  # of all epochs, see is_settled; 1/15 lost a little on small tables
MIN_EPOCHS = 32  # a shorter schedule is not worth its time
PROBE_BATCHES = 8  # that tell the time of an epoch
TIME_SHARE = 0.9  # share of the time left that the epochs are planned for
N_UNITS = 15  # of four cycles of the learning rate: 1 + 2 + 4 + 8


@dataclass(frozen=True)
class Encoded:
    """Rows for the network."""

    x: Tensor  # (features, n)
    codes: Tensor  # (embedded columns, n)
    y: Tensor  # (n,), class indices or standardised numbers
    weights: Tensor | None = None  # (n,), how much a row counts; None: all the same

    def __len__(self) -> int:
        return self.x.shape[1]

    def __getitem__(self, rows: Any) -> Encoded:
        weights = None if self.weights is None else self.weights[rows]
        return Encoded(self.x[:, rows], self.codes[:, rows], self.y[rows], weights)

    def order(self, rng: np.random.Generator) -> Tensor:
        """The rows of an epoch, (n,): each once in random order, or sampled in proportion to the weights."""
        if self.weights is None:
            return torch.from_numpy(rng.permutation(len(self)))
        shares = self.weights.double().numpy()
        return torch.from_numpy(rng.choice(len(self), len(self), p=shares / shares.sum()))


def fit_network(
    sizes: Sizes,
    config: Mapping[str, Any],
    train: Encoded,
    valid: Encoded | None,
    rounds: Rounds,
    seed: int,
    deadline: float | None = None,
    aborts_if_late: bool = True,
) -> tuple[Network, Rounds]:
    """A trained network, and its epoch and the epochs of its schedule.

    The schedule is that of ``rounds``, else of ``config["epochs"]``. With ``valid``, the network of the epoch with the
    lowest validation loss; without, that of the first number of ``rounds``, or of the last epoch. With ``valid`` and
    without ``rounds``, the schedule is shortened, to MIN_EPOCHS at most, so that it ends before ``deadline``, which
    is on the clock of ``time.perf_counter``. TrainingFailed if training diverges; TooSlow if it ``aborts_if_late`` and
    MIN_EPOCHS would take longer.
    """
    rng = np.random.Generator(np.random.SFC64(seed))
    network = Network(sizes)
    some = train[torch.from_numpy(rng.permutation(len(train))[:INITIAL_ROWS])]
    network.initialise(some.x, some.codes, rng)
    last = rounds[0] if rounds else 0
    epochs = rounds[1] if len(rounds) > 1 else int(config["epochs"])
    if valid is not None and deadline is not None and not rounds:
        epochs = epochs_affordable(deadline, network, train, valid, config, aborts_if_late)
    best, at, kept = math.inf, 0, network.flat
    for epoch in train_epochs(network, train, config, epochs, rng):
        if valid is None:
            at = epoch
            if epoch == last:
                break
            continue
        loss = validation_loss(network, valid, train.y)
        if loss < best:
            best, at, kept = loss, epoch, network.flat.clone()
        if not math.isfinite(loss) or is_settled(epoch, at, epochs):
            break
    network.flat.copy_(kept)
    if not at or not bool(network.flat.isfinite().all()):
        raise TrainingFailed(f"RealMLP diverged with a learning rate of {config['lr']:g}")
    return network, (at, epochs)


def epochs_affordable(
    deadline: float, network: Network, train: Encoded, valid: Encoded, config: Mapping[str, Any], aborts_if_late: bool
) -> int:
    """The epochs of the config, or as many as end before the deadline, judging by a few batches."""
    before, rng = network.flat.clone(), np.random.Generator(np.random.SFC64(0))
    few = train[torch.arange(min(len(train), PROBE_BATCHES * BATCH))]
    of_batches = of_validation = math.inf
    for _ in range(3):  # the first time is not representative
        start = time.perf_counter()
        for _ in train_epochs(network, few, config, 1, rng):
            pass
        middle = time.perf_counter()
        validation_loss(network, valid, train.y)
        of_batches = min(of_batches, middle - start)
        of_validation = min(of_validation, time.perf_counter() - middle)
    network.flat.copy_(before)
    an_epoch, seconds = of_batches * len(train) / len(few) + of_validation, max(0.0, deadline - time.perf_counter())
    most = int(config["epochs"])
    least = min(MIN_EPOCHS, most)
    if aborts_if_late and least * an_epoch > seconds:
        raise TooSlow(
            f"{least} epochs would take {least * an_epoch:.3g} s, longer than the {seconds:.3g} s left for this fit"
        )
    return max(least, min(most, int(TIME_SHARE * seconds / an_epoch)))


def train_epochs(
    network: Network, train: Encoded, config: Mapping[str, Any], epochs: int, rng: np.random.Generator
) -> Iterator[int]:
    """Train on a schedule of so many epochs, yielding the number of each when it ends."""
    optimizer = Adam(network)
    batch = min(BATCH, len(train))
    n_batches = len(train) // batch  # the rest of the shuffled rows is left out
    for epoch in range(epochs):
        shuffled = train[train.order(rng)]
        for i in range(n_batches):
            progress = (epoch + i / n_batches) / epochs
            strength = flat_cosine(progress)
            masks = dropout_masks((LAYERS, batch, config["width"]), config["dropout"] * strength, rng)
            rows = shuffled[i * batch : (i + 1) * batch]
            network.backpropagate(rows.x, rows.codes, rows.y, masks)
            optimizer.step(config["lr"] * learning_rate(progress), config["weight_decay"] * strength)
        yield epoch + 1


def learning_rate(progress: float) -> float:
    """The factor of the learning rate at ``progress`` in [0, 1]: cosine cycles, each twice as long as the last."""
    return 0.5 - 0.5 * math.cos(2 * math.pi * math.log2(1 + N_UNITS * progress))


def flat_cosine(progress: float) -> float:
    """The factor of dropout and weight decay: 1 in the first half, then falling to 0."""
    return 1.0 if progress < 0.5 else 0.5 - 0.5 * math.cos(2 * math.pi * progress)


def outputs_of(network: Network, x: Tensor, codes: Tensor) -> Tensor:
    """The outputs for any number of rows, (n, n_outputs)."""
    parts = zip(torch.split(x, ROWS_AT_ONCE, 1), torch.split(codes, ROWS_AT_ONCE, 1), strict=True)
    return torch.cat([network(*part) for part in parts])


def validation_loss(network: Network, valid: Encoded, y: Tensor) -> float:
    """Log loss, or the squared error of numbers clipped to the range of the training labels ``y``."""
    outputs = outputs_of(network, valid.x, valid.codes)
    if network.sizes.classes:
        losses = F.cross_entropy(outputs, valid.y, reduction="none")
    else:
        losses = (outputs[:, 0].clamp(y.min(), y.max()) - valid.y) ** 2
    return (losses if valid.weights is None else losses * valid.weights).mean().item()


def is_settled(epoch: int, best: int, epochs: int) -> bool:
    """Whether a full cycle, and a little more, has passed without a better epoch.

    Losses are lowest where a cycle ends. If the best epoch is there, at progress p, the next cycle ends at 2 p + 1/15.
    """
    return epoch > settled_after(best, epochs)


def settled_after(best: int, epochs: int) -> int:
    """The last epoch of that cycle and a little more."""
    return int(2 * best + PATIENCE * epochs)
