"""Where a model computes: the device, and what it must not change around it."""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch

from automl.errors import UserError


def find_device(name: str) -> torch.device:
    """`auto` is the GPU if there is one."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if name.startswith("cuda") and not torch.cuda.is_available():
        raise UserError(f"the device must be there, got '{name}' and torch finds no GPU; use auto or cpu")
    return torch.device(name)


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


def autocast(device: torch.device) -> torch.autocast:
    return torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda")
