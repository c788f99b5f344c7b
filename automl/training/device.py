"""The data of a training on its device, and out-of-memory errors."""

import functools
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from automl.data.datasets.registry import load_data
from automl.task import TrainingFailed


@functools.lru_cache(maxsize=6)
def device_data(
    data: str, train_size: int | None, device: torch.device, with_valid: bool = False
) -> dict[str, tuple[Tensor, Tensor]]:
    """Examples and labels of the three sets as tensors on the device: no loader, batches are taken by index.

    On the CPU they share memory with the arrays: those of the user's own data are memory-mapped files.
    """
    splits = load_data(data, train_size, with_valid)
    parts = {
        "train": (splits.x_train, splits.y_train),
        "valid": (splits.x_valid, splits.y_valid),
        "test": (splits.x_test, splits.y_test),
    }
    return {name: (torch.from_numpy(x).to(device), torch.from_numpy(y).to(device)) for name, (x, y) in parts.items()}


@contextmanager
def memory_errors(where: str) -> Iterator[None]:
    try:
        yield
    except (torch.OutOfMemoryError, MemoryError, RuntimeError) as error:
        # On a CPU torch raises a plain RuntimeError, recognisable only by its message.
        if isinstance(error, torch.OutOfMemoryError | MemoryError) or "can't allocate memory" in str(error):
            raise TrainingFailed(f"out of memory {where}; a smaller batch or model would fit") from error
        raise
