"""The device of a model, and the isolation of global state."""

import functools
import os
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch

from automl.devices import cards


def find_device(name: str) -> torch.device:
    """The device with a name: for `auto` the GPU if there is one, for a list its first. UserError if not available.

    A list is for several processes, each of which sees one GPU.
    """
    found = cards(name)
    return torch.device("cuda", found[0]) if found else torch.device("cpu")


@contextmanager
def isolated(device: torch.device, *seed: int) -> Iterator[None]:
    """Seed torch, use one CPU thread and TF32, and restore the caller's state on exit.

    On a GPU, only deterministic algorithms are used if the environment variable CUBLAS_WORKSPACE_CONFIG is set, as by
    `automl.devices.deterministic`: cuBLAS needs it, and it cannot be set later.
    """
    threads, precision = torch.get_num_threads(), torch.get_float32_matmul_precision()
    repeats = device.type == "cuda" and "CUBLAS_WORKSPACE_CONFIG" in os.environ
    with torch.random.fork_rng([device] if device.type == "cuda" else []), _deterministic(repeats):
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


@contextmanager
def _deterministic(wanted: bool) -> Iterator[None]:
    if not wanted:
        yield
        return
    before, warns = torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
    tries = torch.backends.cudnn.benchmark
    torch.use_deterministic_algorithms(True, warn_only=True)  # some operators have no deterministic version
    torch.backends.cudnn.benchmark = False
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before, warn_only=warns)
        torch.backends.cudnn.benchmark = tries


def autocast(device: torch.device) -> torch.autocast:
    """Training steps in bfloat16 on GPUs that support it; scores are computed in float32."""
    return torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda" and has_bfloat16(device))


@functools.cache
def has_bfloat16(device: torch.device) -> bool:
    """Whether the GPU supports bfloat16 natively; emulated, it is slower than float32."""
    with torch.cuda.device(device):
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
