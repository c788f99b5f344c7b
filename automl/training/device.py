"""Where a training computes: the device, the data on it, and what it must not change around it."""

import functools
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor

from automl.data.datasets.registry import load_data
from automl.errors import UserError
from automl.task import TrainingFailed


def find_device(name: str) -> torch.device:
    """`auto` is the GPU if there is one."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if name.startswith("cuda") and not torch.cuda.is_available():
        raise UserError(f"the device must be there, got '{name}' and torch finds no GPU; use auto or cpu")
    return torch.device(name)


@functools.lru_cache(maxsize=6)
def device_data(
    data: str, train_size: int | None, device: torch.device, with_valid: bool = False
) -> dict[str, tuple[Tensor, Tensor]]:
    """Examples and labels of the three parts as tensors on the device: no loader, batches are taken by index.

    On the CPU they are the arrays themselves: those of the user's own data stay in files that processes share.
    """
    splits = load_data(data, train_size, with_valid)
    parts = {
        "train": (splits.x_train, splits.y_train),
        "valid": (splits.x_valid, splits.y_valid),
        "test": (splits.x_test, splits.y_test),
    }
    return {name: (torch.from_numpy(x).to(device), torch.from_numpy(y).to(device)) for name, (x, y) in parts.items()}


@contextmanager
def isolated(device: torch.device, *seed: int) -> Iterator[None]:
    """Random numbers that follow from the seed alone, one CPU thread, TF32; the caller's state comes back after it."""
    threads, precision = torch.get_num_threads(), torch.get_float32_matmul_precision()
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        if seed:
            derived = int(np.random.SeedSequence(seed).generate_state(1, np.uint64)[0])
            torch.default_generator.manual_seed(derived)  # torch.manual_seed would seed every GPU, used or not
            if device.type == "cuda":
                with torch.cuda.device(device):
                    torch.cuda.manual_seed(derived)
        torch.set_num_threads(1)  # one process a trial: more threads would fight over the cores
        torch.set_float32_matmul_precision("high")
        try:
            yield
        finally:
            torch.set_num_threads(threads)
            torch.set_float32_matmul_precision(precision)


@contextmanager
def memory_errors(where: str) -> Iterator[None]:
    try:
        yield
    except (torch.OutOfMemoryError, MemoryError, RuntimeError) as error:
        # On a CPU torch raises a bare RuntimeError, to be told by its text alone.
        if isinstance(error, torch.OutOfMemoryError | MemoryError) or "can't allocate memory" in str(error):
            raise TrainingFailed(f"out of memory {where}; a smaller batch or model would fit") from error
        raise


def autocast(device: torch.device) -> torch.autocast:
    return torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda")
