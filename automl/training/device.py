"""The data of a training on its device, and out-of-memory errors."""

import functools
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal

import torch
from numpy.typing import NDArray
from torch import Tensor

from automl.data.datasets.registry import load_data
from automl.devices import crowd, says_out_of_memory
from automl.task import OutOfMemory

Part = Literal["train", "valid", "test"]
MAX_SHARE = 0.25  # of a card's free memory for a part of the data; models and others need the rest


@functools.lru_cache(maxsize=12)
def device_data(
    data: str, train_size: int | None, device: torch.device, part: Part, with_valid: bool = False
) -> tuple[Tensor, Tensor]:
    """Examples and labels of a set as tensors on the device; batches are taken by index, without a loader.

    Examples that would fill too much of a card stay on the CPU, from where each batch is copied. There they share
    memory with the arrays, which are memory-mapped files.
    """
    splits = load_data(data, train_size, with_valid)
    x, y = getattr(splits, f"x_{part}"), getattr(splits, f"y_{part}")
    return torch.from_numpy(x).to(home_of(x, device)), torch.from_numpy(y).to(device)


def home_of(x: NDArray[Any] | Tensor, device: torch.device) -> torch.device:
    """Where examples are kept: on the device, if they fit."""
    if device.type != "cuda" or x.nbytes <= MAX_SHARE * free_memory(device):
        return device
    return torch.device("cpu")


def free_memory(device: torch.device) -> int:
    """The free memory of a card in bytes."""
    free: int = torch.cuda.mem_get_info(device)[0]
    return free


@contextmanager
def memory_errors(device: torch.device, when: str) -> Iterator[None]:
    """Turn a failed allocation into OutOfMemory, and free what the training had allocated."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not isinstance(error, MemoryError) and not says_out_of_memory(str(error)):
            raise
        others = crowd(device) if device.type == "cuda" else None
        traceback.clear_frames(error.__traceback__)  # they hold the tensors of the batch
    else:
        return
    way_out = "a smaller batch or model would fit" if others is None else f"{others}: use fewer --workers"
    raise OutOfMemory(f"out of memory on {device} {when}; {way_out}", crowded=others is not None)


def warm_up(device: torch.device) -> None:
    """Load the libraries of a card with a first training step, so that no epoch is timed with it."""
    if device.type != "cuda" or device in _warm:
        return
    _warm.add(device)
    with torch.random.fork_rng([device]):
        x = torch.zeros(8, 8, 16, device=device)
        module = torch.nn.Sequential(torch.nn.Conv1d(8, 8, 3), torch.nn.Flatten(), torch.nn.Linear(112, 8)).to(device)
        module(x).sum().backward()
    torch.cuda.synchronize(device)


_warm: set[torch.device] = set()
