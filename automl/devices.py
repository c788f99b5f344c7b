"""Devices by name, `auto`, `cpu`, `cuda`, `cuda:N` or `cuda:0,cuda:1`, and the cards among them."""

from __future__ import annotations

import ctypes
import os
import re
import sys
from pathlib import Path
from typing import Any

from automl.errors import UserError

NAMES = re.compile(r"auto|cpu|cuda|cuda:\d+(,cuda:\d+)*")
CONTEXT = 600 * 2**20  # bytes of a card that a process takes for CUDA, cuBLAS and cuDNN, as an allowance
CROWDED = 0.25  # share of a card; where other processes hold more, they may be why a training has no room
# What errors say where memory could not be allocated: torch on a card and on a CPU, and libraries that allocate a
# card's memory themselves.
OUT_OF_MEMORY = (
    "can't allocate memory", "out of memory", "CUBLAS_STATUS_ALLOC_FAILED", "CUDNN_STATUS_ALLOC_FAILED",
    "CUSOLVER_STATUS_ALLOC_FAILED", "CUFFT_ALLOC_FAILED",
)  # fmt: skip
DRIVERS = {"win32": "nvcuda.dll"}  # the library of NVIDIA's driver by platform; elsewhere libcuda.so.1


def check_device(name: str) -> None:
    """UserError if this is no name of devices."""
    if name == "mps":
        raise UserError("the device 'mps' is not supported: trainings sum in float64, which it lacks; use cpu")
    if not NAMES.fullmatch(name):
        raise UserError(f"device must be auto, cpu, cuda, cuda:N or a list such as cuda:0,cuda:1, got {name!r}")


def cards(name: str) -> tuple[int, ...]:
    """The numbers of the cards that a name means: all of them for `auto` and `cuda`, none for `cpu`.

    UserError if one of them is not there.
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
    """The number of cards that torch can use. It is imported only where there is a driver: that takes seconds."""
    if "torch" not in sys.modules and not has_driver():
        return 0
    import torch

    return torch.cuda.device_count()


def only(card: int) -> dict[str, str]:
    """The environment of a process that sees this card alone, as `cuda:0`, whatever framework it uses."""
    seen = os.environ.get("CUDA_VISIBLE_DEVICES")
    return {"CUDA_VISIBLE_DEVICES": str(card) if seen is None else seen.split(",")[card].strip()}


def deterministic() -> dict[str, str]:
    """The environment in which trainings on a card repeat themselves: cuBLAS reads it when it is first used."""
    return {"CUBLAS_WORKSPACE_CONFIG": os.environ.get("CUBLAS_WORKSPACE_CONFIG", ":4096:8")}


def return_memory() -> None:
    """Return the memory that torch keeps for later to the card, where other processes may need it."""
    torch = _torch()
    if torch is not None and torch.cuda.is_initialized():
        torch.cuda.empty_cache()


def _torch() -> Any:
    """torch, if it is there: another thread, such as a tracker's, may be importing it, and then it uses no card."""
    torch: Any = sys.modules.get("torch")
    return torch if hasattr(torch, "cuda") and hasattr(torch.cuda, "is_initialized") else None


def forget_peak() -> None:
    """Measure the peak of memory anew from here."""
    torch = _torch()
    if torch is not None and torch.cuda.is_initialized():
        torch.cuda.reset_peak_memory_stats()


def peak_memory() -> tuple[int, int] | None:
    """The bytes that this process has had of its card at most, and those that the card has; None without a card.

    Of the first, torch knows what it has reserved. The context of CUDA and its libraries, which it does not count, is
    taken to be CONTEXT.
    """
    torch = _torch()
    if torch is None or not torch.cuda.is_initialized():
        return None
    return CONTEXT + torch.cuda.max_memory_reserved(), torch.cuda.mem_get_info()[1]


def crowd(device: Any = None) -> str | None:
    """What other processes hold of a card, in words, where they may be why an allocation has just failed.

    ``device``: as torch takes it, by default the one that is used now. None where they hold at most CROWDED of it, and
    where this process uses no card.
    """
    torch = _torch()
    if torch is None or not torch.cuda.is_initialized():
        return None
    try:
        free, total = torch.cuda.mem_get_info(device)
    except RuntimeError:  # there is no room for what CUDA itself needs
        return "other processes leave no room for one more"
    others = total - free - torch.cuda.memory_reserved(device)
    if others <= CROWDED * total:
        return None
    return f"other processes hold {others / 2**30:.1f} of its {total / 2**30:.1f} GiB"


def says_out_of_memory(text: str) -> bool:
    """Whether an error's text says that memory could not be allocated, by whichever library."""
    return any(sign in text for sign in OUT_OF_MEMORY)


def has_driver() -> bool:
    """Whether this machine has a driver for graphics cards."""
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
