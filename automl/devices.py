"""Device names (`auto`, `cpu`, `cuda`, `cuda:N` or `cuda:0,cuda:1`), and the GPUs that they mean."""

from __future__ import annotations

import ctypes
import os
import re
import sys
from pathlib import Path
from typing import Any

from automl.errors import UserError

NAMES = re.compile(r"auto|cpu|cuda|cuda:\d+(,cuda:\d+)*")
CONTEXT = 600 * 2**20  # bytes of GPU memory allowed for CUDA, cuBLAS and cuDNN in a process
CROWDED = 0.25  # share of a GPU's memory; if other processes hold more, they may be why a training does not fit
# Messages of failed allocations: from torch on a GPU and on a CPU, and from libraries that allocate GPU memory
# themselves.
OUT_OF_MEMORY = (
    "can't allocate memory", "out of memory", "CUBLAS_STATUS_ALLOC_FAILED", "CUDNN_STATUS_ALLOC_FAILED",
    "CUSOLVER_STATUS_ALLOC_FAILED", "CUFFT_ALLOC_FAILED",
)  # fmt: skip
DRIVERS = {"win32": "nvcuda.dll"}  # the library of NVIDIA's driver by platform; elsewhere libcuda.so.1


def check_device(name: str) -> None:
    """Raise UserError for an invalid device name."""
    if not isinstance(name, str):
        raise UserError(f"device must be a string such as 'cpu' or 'cuda:0', got {name!r}")
    if name == "mps":
        raise UserError("the device 'mps' is not supported: trainings sum in float64, which it lacks; use cpu")
    if not NAMES.fullmatch(name):
        raise UserError(f"device must be auto, cpu, cuda, cuda:N or a list such as cuda:0,cuda:1, got {name!r}")


def cards(name: str) -> tuple[int, ...]:
    """The numbers of the GPUs that a device name means: all of them for `auto` and `cuda`, none for `cpu`.

    UserError if one of them is not available.
    """
    check_device(name)
    if name == "cpu":
        return ()
    n = n_cards()
    if name == "auto":
        return tuple(range(n))
    wanted = tuple(range(max(n, 1))) if name == "cuda" else tuple(int(each[5:]) for each in name.split(","))
    for card in wanted:
        if card >= n:
            raise UserError(f"the device '{name if n == 0 else f'cuda:{card}'}' is not available, {_there(n)}")
    return tuple(dict.fromkeys(wanted))


def n_cards() -> int:
    """The number of GPUs that torch can use. torch is imported only if there is a driver, as that takes seconds."""
    if "torch" not in sys.modules and not has_driver():
        return 0
    import torch

    return torch.cuda.device_count()


def only(card: int) -> dict[str, str]:
    """The environment variables with which a process sees only this GPU, as `cuda:0`, in any framework."""
    seen = os.environ.get("CUDA_VISIBLE_DEVICES")
    return {"CUDA_VISIBLE_DEVICES": str(card) if seen is None else seen.split(",")[card].strip()}


def deterministic() -> dict[str, str]:
    """The environment variables for reproducible training on a GPU; cuBLAS reads them on first use."""
    return {"CUBLAS_WORKSPACE_CONFIG": os.environ.get("CUBLAS_WORKSPACE_CONFIG", ":4096:8")}


def return_memory() -> None:
    """Release the GPU memory that torch caches, so that other processes can use it."""
    torch = _torch()
    if torch is not None and torch.cuda.is_initialized():
        torch.cuda.empty_cache()


def _torch() -> Any:
    """torch if it is fully imported, else None. While another thread is still importing it, it uses no GPU."""
    torch: Any = sys.modules.get("torch")
    return torch if hasattr(torch, "cuda") and hasattr(torch.cuda, "is_initialized") else None


def forget_peak() -> None:
    """Restart the measurement of peak memory."""
    torch = _torch()
    if torch is not None and torch.cuda.is_initialized():
        torch.cuda.reset_peak_memory_stats()


def peak_memory() -> tuple[int, int] | None:
    """This process's peak GPU memory and the GPU's total memory, in bytes; None without a GPU.

    The peak is what torch has reserved plus CONTEXT, for CUDA and its libraries, which torch does not count.
    """
    torch = _torch()
    if torch is None or not torch.cuda.is_initialized():
        return None
    return CONTEXT + torch.cuda.max_memory_reserved(), torch.cuda.mem_get_info()[1]


def crowd(device: Any = None) -> str | None:
    """Describe the GPU memory held by other processes, if that may be why an allocation has just failed.

    ``device``: as torch takes it, by default the current one. None if they hold at most CROWDED of it, or if this
    process uses no GPU.
    """
    torch = _torch()
    if torch is None or not torch.cuda.is_initialized():
        return None
    try:
        free, total = torch.cuda.mem_get_info(device)
    except RuntimeError:  # not even CUDA itself has enough memory
        return "other processes leave no room for one more"
    others = total - free - torch.cuda.memory_reserved(device)
    if others <= CROWDED * total:
        return None
    return f"other processes hold {others / 2**30:.1f} of its {total / 2**30:.1f} GiB"


def says_out_of_memory(text: str) -> bool:
    """Whether an error message, from any library, reports a failed allocation."""
    return any(sign in text for sign in OUT_OF_MEMORY)


def has_driver() -> bool:
    """Whether this machine has a GPU driver."""
    if Path("/dev/kfd").exists():  # AMD's
        return True
    try:
        ctypes.CDLL(DRIVERS.get(sys.platform, "libcuda.so.1"))
    except OSError:
        return False
    return True


def _there(n: int) -> str:
    if n == 0:
        return "torch finds no such GPU; use auto or cpu"
    return f"torch finds {'cuda:0 alone' if n == 1 else f'cuda:0 to cuda:{n - 1}'}; use one of these, auto or cpu"
