"""Database errors as errors in one line."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import ParamSpec

from automl.errors import UserError, abridged

P = ParamSpec("P")


class ConnectionLost(UserError):
    """The only connection by which a process may write to a run is gone; another process may lead the run now."""


def reason(error: BaseException) -> str:
    """The first line of the database's own message."""
    cause = error.__cause__ or error
    text = str(getattr(cause, "orig", cause)).strip()
    return abridged(text.splitlines()[0], 300) if text else type(cause).__name__


def writing(method: Callable[P, None]) -> Callable[P, None]:
    """Turn failed writes, such as on a full disk, into a UserError: nothing recorded before is lost."""

    @functools.wraps(method)
    def write(*args: P.args, **kwargs: P.kwargs) -> None:
        with written("earlier results are safe: free space and continue with --resume"):
            method(*args, **kwargs)

    return write


@contextmanager
def written(way_out: str) -> Iterator[None]:
    """Turn failed writes in the context into a UserError that ends with ``way_out``."""
    from optuna.exceptions import StorageInternalError
    from sqlalchemy.exc import SQLAlchemyError

    try:
        yield
    except (StorageInternalError, SQLAlchemyError, OSError) as error:
        if is_disconnected(error):
            raise ConnectionLost(f"the connection to the study was lost ({reason(error)})") from error
        message = reason(error)
        if "locked" in message:
            way_out = way_out.replace("free space", "close the program that has locked it")
        raise UserError(f"cannot write the study ({message}); {way_out}") from error


@contextmanager
def reading(what: str) -> Iterator[None]:
    """Turn errors from reading a damaged study into a UserError."""
    from optuna.exceptions import StorageInternalError
    from sqlalchemy.exc import SQLAlchemyError

    try:
        yield
    except UserError:
        raise
    except (StorageInternalError, SQLAlchemyError, ValueError, LookupError, TypeError, AttributeError) as error:
        if is_disconnected(error):
            raise ConnectionLost(f"the connection to the study was lost ({reason(error)})") from error
        raise UserError(
            f"the study {what} is damaged ({reason(error)}); restore it from a copy, or start again"
        ) from error


def is_disconnected(error: BaseException) -> bool:
    """Whether the database server ended the connection, or can no longer be reached."""
    return any(getattr(each, "connection_invalidated", False) for each in (error, error.__cause__))
