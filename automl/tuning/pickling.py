"""A task as bytes, for the processes that train it."""

from __future__ import annotations

import functools
import io
import marshal
import sys
from collections import ChainMap, defaultdict
from collections.abc import Callable
from types import CodeType, FunctionType, ModuleType
from typing import TYPE_CHECKING, Any, ClassVar

from automl.errors import UserError
from automl.task import vary

if TYPE_CHECKING:
    from automl.task import Task


MODULE_PREFIX = "automl_user_"  # of the names of modules created from users' files
PICKLED_BY_NAME = (type, FunctionType, functools._lru_cache_wrapper)


class SpaceNotSent:
    """In a training process, the space of a task whose trainings do not read it (``reads_space``)."""


def pickled(task: Task) -> bytes:
    """Pickle with cloudpickle, but keep the file names of code for the tracebacks of failed trials, and the names of
    what a script or a user's file defines. UserError if the task cannot be pickled.

    A space that trainings do not read is left out, as importing ConfigSpace takes most of a second per process.
    """
    import cloudpickle

    if not getattr(task, "reads_space", True):
        not_sent: Any = SpaceNotSent()
        task = vary(task, space=not_sent)

    defined: dict[str, dict[str, Any]] = defaultdict(dict)  # by module and name

    own = {
        CodeType: lambda code: (marshal.loads, (marshal.dumps(code),)),  # the workers run the same interpreter
        functools._lru_cache_wrapper: _reduced,
    }

    class Pickler(cloudpickle.Pickler):  # type: ignore[misc]
        dispatch_table: ClassVar[Any] = ChainMap(own, cloudpickle.Pickler.dispatch_table)

        def reducer_override(self, found: Any) -> Any:
            if isinstance(found, PICKLED_BY_NAME) and _is_of_user(found.__module__):
                module, name = found.__module__, found.__qualname__
                if getattr(sys.modules.get(module), name, None) is found:
                    defined[module][name] = found
            return super().reducer_override(found)

    buffer = io.BytesIO()
    try:
        Pickler(buffer).dump((task, defined))  # in this order: ``defined`` is complete once the task is pickled
    except Exception as error:  # of any __reduce__, such as that of a DataLoader's iterator
        reason = f"{type(error).__name__}: {error}"
        raise UserError(
            f"{task.name!r} cannot be sent to a training process ({reason}); create such objects within the function, "
            "or train in this process: automl.tune with n_workers=1, without a GPU or trial_seconds"
        ) from None
    return buffer.getvalue()


def unpickled(content: bytes) -> tuple[Any, dict[str, dict[str, Any]]]:
    """The task, in a process that trains it, and what its script or file defines, by module and name. It gets these
    names in this process too, so that the training can pickle it, for example for processes that it forks."""
    import cloudpickle

    task, defined = cloudpickle.loads(content)
    for name, found in defined.items():
        module = sys.modules.setdefault(name, ModuleType(name))
        vars(module).update(found)
        if name != "__main__":  # whose content is always pickled by value
            cloudpickle.register_pickle_by_value(module)
    return task, defined


def _is_of_user(module: Any) -> bool:
    """Whether a module is a script, a notebook or created from a user's file, which workers cannot import."""
    return isinstance(module, str) and (module == "__main__" or module.startswith(MODULE_PREFIX))


def _reduced(cached: functools._lru_cache_wrapper[Any]) -> Any:
    """A function under ``functools.cache``, without what it has cached.

    cloudpickle would refer to it by name, which a worker cannot resolve for a script, a notebook or a task's file.
    """
    import cloudpickle

    by_value = {"__main__", *cloudpickle.list_registry_pickle_by_value()}
    if cached.__module__ not in by_value and "<locals>" not in cached.__qualname__:
        return cached.__reduce__()
    return _cached, (cached.__wrapped__, cached.cache_parameters())


def _cached(function: Callable[..., Any], parameters: dict[str, Any]) -> Any:
    return functools.lru_cache(**parameters)(function)
