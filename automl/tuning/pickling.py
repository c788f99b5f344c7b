"""A task as bytes, for the processes that train it."""

from __future__ import annotations

import io
import marshal
import pickle
from collections import ChainMap
from types import CodeType
from typing import TYPE_CHECKING, Any, ClassVar

from automl.errors import UserError

if TYPE_CHECKING:
    from automl.task import Task


def pickled(task: Task) -> bytes:
    """Pickle with cloudpickle, but keep the file names of code for the tracebacks of failed trials. UserError if the
    task cannot be pickled."""
    import cloudpickle

    # The workers run the same interpreter, as marshal requires.
    by_marshal = {CodeType: lambda code: (marshal.loads, (marshal.dumps(code),))}

    class Pickler(cloudpickle.Pickler):  # type: ignore[misc]
        dispatch_table: ClassVar[Any] = ChainMap(by_marshal, cloudpickle.Pickler.dispatch_table)

    buffer = io.BytesIO()
    try:
        Pickler(buffer).dump(task)
    except (TypeError, pickle.PicklingError) as error:
        raise UserError(f"{task.name!r} cannot be sent to a training process: {error}") from None
    return buffer.getvalue()
