"""The kinds of model inputs, with statistics of the training set.

Each kind transforms raw examples for the first layer, gives a mask of valid positions, and is stored in
preprocessing.json next to the weights.
"""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import torch
    from torch import Tensor

Array = NDArray[Any]


@dataclass(frozen=True)
class Dense:
    """Images, signals, vectors: (n, channels, ...) of any number type, standardised per channel."""

    kind: ClassVar = "dense"
    shape: tuple[int, ...]  # of one example, channels first
    mean: tuple[float, ...]  # of each channel
    std: tuple[float, ...]

    @classmethod
    def of(cls, x: Array) -> Self:
        """With the statistics of the training examples x, (n, channels, ...), ignoring NaN."""
        return cls(x.shape[1:], *channel_statistics(x))

    @classmethod
    def as_is(cls, shape: tuple[int, ...]) -> Self:
        """Never standardised: for fingerprints, where a rare bit would outweigh all others."""
        return cls(shape, (0.0,) * shape[0], (1.0,) * shape[0])

    def refitted(self, x: Array) -> Self:
        """The same kind with the statistics of other training examples."""
        if self == self.as_is(self.shape):
            return self
        mean, std = channel_statistics(x)
        return replace(self, mean=mean, std=std)

    def __call__(self, x: Tensor) -> Tensor:
        """Raw examples (n, *shape), standardised."""
        each = (-1, *(1 for _ in self.shape[1:]))
        mean, std = (constants(values, x.device).reshape(each) for values in (self.mean, self.std))
        return (x.float() - mean) / std

    def mask(self, x: Tensor) -> Tensor | None:
        """The valid steps of raw examples, (n, length); None if all are."""
        return None

    def lengths(self, x: Tensor) -> Tensor | None:
        """The lengths of raw examples, (n,), if batches are truncated to their longest example; else None."""
        return None


@dataclass(frozen=True)
class Padded(Dense):
    """Signals of different lengths: (n, channels, length), padded with NaN."""

    kind: ClassVar = "padded"

    def __call__(self, x: Tensor) -> Tensor:
        return super().__call__(x).nan_to_num(0.0)

    def mask(self, x: Tensor) -> Tensor:
        return ~x.isnan().all(1)


@dataclass(frozen=True)
class Windows(Dense):
    """Windows of a series: (n, channels, steps), the newest step last.

    The first channel is the target's own, the last ones may be known of the time that is forecast.
    """

    kind: ClassVar = "windows"
    horizon: int  # steps from the newest one to the target
    spread: tuple[float, ...]  # of each channel: the root mean square of its values relative to the newest; or 1
    change: float  # the root mean square of the target's change over the horizon; may be 0
    n_known: int = 0  # channels that are known of the time that is forecast

    @classmethod
    def of_series(cls, x: Array, horizon: int, n_known: int = 0) -> Self:
        """With the statistics of the training examples. A change over more than a window is estimated from that over a
        window, as for a random walk."""
        spread = tuple(_size(channel - channel[:, -1:]) or 1.0 for channel in x.swapaxes(0, 1))
        n = min(horizon, x.shape[2] - 1)
        change = _size(x[:, 0, -1] - x[:, 0, -1 - n]) * math.sqrt(horizon / n)
        return cls(x.shape[1:], *channel_statistics(x), horizon, spread, change, n_known)

    def refitted(self, x: Array) -> Self:
        return type(self).of_series(x, self.horizon, self.n_known)


def _size(x: Array) -> float:
    """The root mean square."""
    flat = x.ravel()
    return math.sqrt(float(np.einsum("i,i->", flat, flat, dtype=np.float64)) / len(flat))


@dataclass(frozen=True)
class Tokens:
    """Texts, molecules as SMILES: token ids (n, length), padded with 0."""

    kind: ClassVar = "tokens"
    length: int  # tokens to which examples are truncated or padded
    n_tokens: int  # including padding

    @property
    def shape(self) -> tuple[int, ...]:
        return (self.length,)

    def refitted(self, x: Array) -> Self:
        return self

    def __call__(self, x: Tensor) -> Tensor:
        return x.long()

    def mask(self, x: Tensor) -> Tensor:
        return x != 0

    def lengths(self, x: Tensor) -> Tensor:
        return self.mask(x).sum(1)


@dataclass(frozen=True)
class Texts:
    """Whole texts: (n,) of numpy's ``StringDType``. Learners read them, networks read ``Tokens``."""

    kind: ClassVar = "texts"
    shape: ClassVar[tuple[int, ...]] = ()

    def refitted(self, x: Array) -> Self:
        return self

    def __call__(self, x: Tensor) -> Tensor:
        raise TypeError("tensors hold no texts")

    def mask(self, x: Tensor) -> Tensor | None:
        return None

    def lengths(self, x: Tensor) -> Tensor | None:
        return None


def text_array(texts: Sequence[str]) -> Array:
    """Strings as an array, (n,)."""
    return np.array(texts, np.dtypes.StringDType())


@dataclass(frozen=True)
class Columns:
    """Tables: (n, columns) of float32. Numbers first, NaN if missing; then category codes.

    Category codes start at 1; 0 is a missing or unseen category.
    """

    kind: ClassVar = "columns"
    mean: tuple[float, ...]  # of each column of numbers
    std: tuple[float, ...]
    cardinalities: tuple[int, ...]  # number of codes of each category column, including 0
    complete: tuple[bool, ...]  # whether a column of numbers has no missing value
    steps: int | None = None  # of the window that each of several channels has, one after the other; None: a table

    @classmethod
    def of(cls, x: Array, cardinalities: tuple[int, ...], steps: int | None = None) -> Self:
        """With the statistics of the training examples."""
        # Column by column: all at once would need several copies of data that may fill most of the memory.
        numbers = range(x.shape[1] - len(cardinalities))
        each = [channel_statistics(x[:, i : i + 1]) for i in numbers]
        complete = tuple(not np.isnan(x[:, i]).any() for i in numbers)
        return cls(tuple(mean for (mean,), _ in each), tuple(std for _, (std,) in each), cardinalities, complete, steps)

    @property
    def n_numbers(self) -> int:
        return len(self.mean)

    @property
    def shape(self) -> tuple[int, ...]:
        return (self.n_numbers + len(self.cardinalities),)

    def refitted(self, x: Array) -> Self:
        return type(self).of(x, self.cardinalities, self.steps)

    def filled(self, x: Array) -> Array:
        """The rows with the mean in place of values that are missing in columns without a missing training value.

        A model has not learned what these mean: LightGBM would read them as 0, CatBoost as the lowest value.
        """
        places = np.flatnonzero(self.complete)
        gaps = np.isnan(x[:, places])
        if not gaps.any():
            return x
        found = np.array(x)
        found[:, places] = np.where(gaps, np.array(self.mean)[places], x[:, places])
        return found

    def __call__(self, x: Tensor) -> Tensor:
        """Standardised numbers (0 if missing), missing indicators, and categories: (n, 2 * numbers + categories)."""
        import torch

        numbers, categories = x[:, : self.n_numbers].float(), x[:, self.n_numbers :].float()
        mean, std = (constants(values, x.device) for values in (self.mean, self.std))
        standardised = ((numbers - mean) / std).clamp(-10, 10)  # outliers would destabilise a network
        return torch.cat([standardised.nan_to_num(0.0), numbers.isnan().float(), categories], 1)

    def mask(self, x: Tensor) -> Tensor | None:
        return None

    def lengths(self, x: Tensor) -> Tensor | None:
        return None


@functools.lru_cache(maxsize=32)
def constants(values: tuple[float, ...], device: torch.device) -> Tensor:
    """The values on a device, cached: on a GPU, each copy from the host would stall the batch that needs it."""
    import torch

    with torch.inference_mode(False):  # usable in training even if a prediction created it
        return torch.tensor(values, device=device)


Inputs = Dense | Padded | Windows | Tokens | Columns | Texts
KINDS: dict[str, Any] = {kind.kind: kind for kind in (Dense, Padded, Windows, Tokens, Columns, Texts)}


def inputs_to_json(inputs: Inputs) -> dict[str, Any]:
    """The fields, and the kind as ``inputs``."""
    return {"inputs": inputs.kind} | asdict(inputs)


def inputs_from_json(fields: Mapping[str, Any]) -> Inputs:
    """The inputs among the fields of preprocessing.json."""
    kind = KINDS[fields["inputs"]]
    own: dict[str, Any] = {field.name: fields[field.name] for field in dataclasses.fields(kind) if field.name in fields}
    inputs: Inputs = kind(**{name: tuple(value) if isinstance(value, list) else value for name, value in own.items()})
    return inputs


def channel_statistics(x: Array) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation of each channel of (n, channels, ...); missing values do not count.

    The deviation of a constant channel is 1, so that new data that differ are not blown up.
    """
    axes = (0, *range(2, x.ndim))
    if x.dtype.kind == "f" and np.isnan(x).any():
        present = ~np.isnan(x)
        n = np.maximum(present.sum(axes), 1)
        mean = np.where(present, x, 0).sum(axes, dtype=np.float64) / n
        deviations = np.where(present, x - mean.reshape(-1, *(1 for _ in axes[1:])), 0)
        std = np.sqrt((deviations**2).sum(axes, dtype=np.float64) / n)
    else:
        mean, std = x.mean(axes, dtype=np.float64), x.std(axes, dtype=np.float64)
    is_constant = std <= 1e-8 * np.abs(mean)  # up to rounding, in any unit
    return tuple(map(float, mean)), tuple(map(float, np.where(is_constant, 1.0, std)))
