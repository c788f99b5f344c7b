"""Isolation for libraries that draw from torch's global generator."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from benchmarks.opponents.base import Isolated


class IsolatedTorch(Isolated):
    """Like ``Isolated``, with its own state of torch's global generator as well."""

    def __init__(self, seed: int) -> None:
        super().__init__(seed)
        self._of_torch = torch.Generator().manual_seed(seed).get_state()

    @contextmanager
    def __call__(self) -> Iterator[None]:
        with super().__call__(), torch.random.fork_rng(devices=[]):
            torch.set_rng_state(self._of_torch)
            yield
            self._of_torch = torch.get_rng_state()
