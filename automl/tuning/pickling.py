"""A task as bytes, for the processes that train it."""

from __future__ import annotations

import functools
import io
import marshal
from collections import ChainMap
from collections.abc import Callable
from types import CodeType
from typing import TYPE_CHECKING, Any, ClassVar

from automl.errors import UserError

if TYPE_CHECKING:
    from automl.task import Task


def pickled(task: Task) -> bytes:
    """Pickle with cloudpickle, but keep the file names of code for the tracebacks of failed trials. UserError if the
    task cannot be pickled."""
    import cloudpickle

    own = {
        CodeType: lambda code: (marshal.loads, (marshal.dumps(code),)),  # the workers run the same interpreter
        functools._lru_cache_wrapper: _reduced,
    }

    class Pickler(cloudpickle.Pickler):  # type: ignore[misc]
        dispatch_table: ClassVar[Any] = ChainMap(own, cloudpickle.Pickler.dispatch_table)

    buffer = io.BytesIO()
    try:
        Pickler(buffer).dump(task)
    except Exception as error:  # of any __reduce__, such as that of a DataLoader's iterator
        reason = f"{type(error).__name__}: {error}"
        raise UserError(f"{task.name!r} cannot be sent to a training process: {reason}") from None
    return buffer.getvalue()


def _reduced(cached: functools._lru_cache_wrapper[Any]) -> Any:
    """A function under ``functools.cache``, without what it has cached.

    cloudpickle would look it up by its name, under which a worker does not find one of a script, a notebook or
    a task's file.
    """
    import cloudpickle

    by_value = {"__main__", *cloudpickle.list_registry_pickle_by_value()}
    if cached.__module__ not in by_value and "<locals>" not in cached.__qualname__:
        return cached.__reduce__()
    return _cached, (cached.__wrapped__, cached.cache_parameters())


def _cached(function: Callable[..., Any], parameters: dict[str, Any]) -> Any:
    return functools.lru_cache(**parameters)(function)
