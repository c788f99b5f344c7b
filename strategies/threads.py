"""Limiting a strategy's linear algebra to one thread."""

from __future__ import annotations

import functools
import sys
from typing import Any


def one_thread() -> Any:
    """A context with one thread for linear algebra: on small matrices, more threads are many times slower."""
    return _threadpools(len(sys.modules)).limit(limits=1)


@functools.lru_cache(maxsize=1)
def _threadpools(n_modules: int) -> Any:
    # Finding the libraries takes milliseconds, so it is repeated only after further imports.
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()
