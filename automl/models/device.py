"""The device of a model, and the isolation of global state."""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch

from automl.errors import UserError


def find_device(name: str) -> torch.device:
    """The device of a name; `auto` is the GPU if there is one."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if name.startswith("cuda") and not torch.cuda.is_available():
        raise UserError(f"the device '{name}' is not available, torch finds no such GPU; use auto or cpu")
    return torch.device(name)


@contextmanager
def isolated(device: torch.device, *seed: int) -> Iterator[None]:
    """Seed torch, use one CPU thread and TF32, and restore the caller's state on exit."""
    threads, precision = torch.get_num_threads(), torch.get_float32_matmul_precision()
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        if seed:
            derived = int(np.random.SeedSequence(seed).generate_state(1, np.uint64)[0])
            torch.default_generator.manual_seed(derived)  # torch.manual_seed would seed every GPU, used or not
            if device.type == "cuda":
                with torch.cuda.device(device):
                    torch.cuda.manual_seed(derived)
        torch.set_num_threads(1)  # one process per trial: more threads would compete for the cores
        torch.set_float32_matmul_precision("high")
        try:
            yield
        finally:
            torch.set_num_threads(threads)
            torch.set_float32_matmul_precision(precision)


def autocast(device: torch.device) -> torch.autocast:
    return torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda")
