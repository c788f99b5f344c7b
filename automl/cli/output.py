"""Standard output that may be closed early, as by ``| head -1``: the command continues silently to its end.

If it is a file on a full disk, the command ends.
"""

from __future__ import annotations

import contextlib
import io
import os
import sys
from typing import TYPE_CHECKING, TextIO

from automl.errors import FULL

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer


class _Output(io.FileIO):
    """Writes to a file descriptor, and discards output once nobody reads from it."""

    def __init__(self, descriptor: int, note: str) -> None:
        super().__init__(descriptor, "w", closefd=False)
        self._note = note

    def write(self, data: ReadableBuffer) -> int:
        try:
            return super().write(data)
        except OSError as error:
            if not isinstance(error, BrokenPipeError) and error.errno not in FULL:
                raise
            silence = os.open(os.devnull, os.O_WRONLY)  # for this output, and for what is still buffered at exit
            os.dup2(silence, self.fileno())
            os.close(silence)
            if error.errno in FULL:
                error.filename = "standard output"
                raise
            if self._note:
                with contextlib.suppress(OSError):  # standard error may be closed too, as with 2>&1
                    print(self._note, file=sys.stderr)
            return super().write(data)


def may_be_closed(note: str = "") -> None:
    """Keep commands from failing if the reader closes standard output or standard error.

    ``note``: a line for standard error when standard output is closed.
    """
    if sys.stdout is sys.__stdout__ and sys.stdout is not None:
        sys.stdout = _over(sys.stdout, note)
    if sys.stderr is sys.__stderr__ and sys.stderr is not None:
        sys.stderr = _over(sys.stderr, "")


def _over(stream: TextIO, note: str) -> TextIO:
    stream.flush()
    assert isinstance(stream, io.TextIOWrapper)
    return io.TextIOWrapper(
        io.BufferedWriter(_Output(stream.fileno(), note)), stream.encoding, stream.errors,
        line_buffering=stream.line_buffering, write_through=stream.write_through,
    )  # fmt: skip
