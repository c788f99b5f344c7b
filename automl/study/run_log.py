"""The events of a run, for its operators: ``run.log``, JSON lines that nothing reads back, and listeners."""

from __future__ import annotations

import json
import logging
import logging.handlers
import math
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeAlias

Listener: TypeAlias = Callable[[str, Mapping[str, Any]], object]
"""Called with the name of an event and its facts."""

MAX_BYTES, N_OLDER = 10_000_000, 2  # size of a file, and number of older ones kept


class _Handler(logging.handlers.RotatingFileHandler):
    def handleError(self, record: logging.LogRecord) -> None:
        """Ignore a full disk: it ends the run when the study is written, which comes first."""


class RunLog:
    """Appends events to a file, which is rotated, and passes them to listeners; by default, they go nowhere."""

    def __init__(self, file: Path | None = None, listeners: Sequence[Listener] = ()) -> None:
        self._handler: logging.Handler = logging.NullHandler()
        self._listeners = listeners
        if file is not None:
            self._handler = _Handler(file, maxBytes=MAX_BYTES, backupCount=N_OLDER, delay=True, encoding="utf-8")

    def write(self, event: str, **facts: Any) -> None:
        """Append a line with the time (UTC), the event, and the facts (JSON types) that are not None."""
        known = {name: value for name, value in facts.items() if value is not None}
        for listener in self._listeners:
            listener(event, known)
        finite = {
            name: None if isinstance(value, float) and not math.isfinite(value) else value
            for name, value in known.items()
        }
        line = {"time": datetime.now(UTC).isoformat(timespec="milliseconds"), "event": event, **finite}
        record = logging.LogRecord("automl", logging.INFO, "", 0, json.dumps(line, ensure_ascii=False), None, None)
        self._handler.handle(record)

    def close(self) -> None:
        """Close the file."""
        self._handler.close()
