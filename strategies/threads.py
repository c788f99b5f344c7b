"""One thread for the linear algebra of a strategy."""

from __future__ import annotations

import functools
import sys
from typing import Any


def one_thread() -> Any:
    """A context with one thread for linear algebra: on small matrices two busy ones are many times slower."""
    return _threadpools(len(sys.modules)).limit(limits=1)


@functools.lru_cache(maxsize=1)
def _threadpools(n_modules: int) -> Any:
    # To find the libraries takes milliseconds, so it is done again only when something was imported since.
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()
