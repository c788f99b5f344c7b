"""Examples parsed from JSON. Values treated as missing in a file are refused, since a client can fix them at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from automl.errors import UserError

MAX_FLOAT32 = float(np.finfo(np.float32).max)
MAX_SHOWN = 40  # characters of a value in a message
TYPES: dict[type, str] = {list: "a list", dict: "an object"}

Schema = dict[str, Any]  # a JSON Schema, as in OpenAPI 3.1
TEXT: Schema = {"type": "string"}
NUMBER: Schema = {"type": "number"}
NUMBER_OR_NULL: Schema = {"type": ["number", "null"]}


def shown(value: Any) -> str:
    """A value as shown in a message."""
    text = TYPES.get(type(value)) or (
        "null" if value is None else repr(value[:MAX_SHOWN] if isinstance(value, str) else value)
    )
    return text if len(text) <= MAX_SHOWN + 4 else f"{text[:MAX_SHOWN]}..."


def as_number(value: Any, where: str, *, nullable: bool = True) -> float:
    """A number within the range of float32; NaN for null. UserError for anything else."""
    if value is None and nullable:
        return float("nan")
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise UserError(f"{where} must be a number{' or null' if nullable else ''}, got {shown(value)}")
    if not abs(value) <= MAX_FLOAT32:
        raise UserError(f"{where} must be a number of at most {MAX_FLOAT32:.3g} in size, got {shown(value)}")
    return float(value)


def as_string(value: Any, where: str) -> str:
    """A string that can be written as UTF-8. UserError for anything else."""
    if not isinstance(value, str):
        raise UserError(f"{where} must be a string, got {shown(value)}")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise UserError(f"{where} contains a lone surrogate; send valid Unicode") from None
    return value


def as_columns(records: Sequence[Any], names: Sequence[str]) -> dict[str, list[Any]]:
    """The values of objects by name; other keys are ignored. UserError if one is missing."""
    for row, record in enumerate(records, 1):
        if not isinstance(record, dict):
            raise UserError(f"example {row} must be an object with {', '.join(map(repr, names))}, got {shown(record)}")
        for name in names:
            if name not in record:
                raise UserError(f"example {row} lacks {name!r}, an input of the model; send null if it is missing")
    return {name: [record[name] for record in records] for name in names}


def as_strings(records: Sequence[Any], name: str) -> list[str]:
    """Strings, or objects with a string under a name."""
    values = [record.get(name) if isinstance(record, dict) else record for record in records]
    return [as_string(value, f"example {row}") for row, value in enumerate(values, 1)]


def strings_schema(name: str) -> Schema:
    """The schema of ``as_strings``' records."""
    return {"anyOf": [TEXT, {"type": "object", "properties": {name: TEXT}, "required": [name]}]}


def objects_schema(properties: Schema) -> Schema:
    """The schema of ``as_columns``' records."""
    return {"type": "object", "properties": properties, "required": list(properties)}
