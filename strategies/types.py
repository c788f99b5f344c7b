"""Types used in the strategy interface."""

from __future__ import annotations

from typing import TypeAlias

Value: TypeAlias = bool | int | float | str

Config: TypeAlias = dict[str, Value]

JSON: TypeAlias = "bool | int | float | str | list[JSON] | dict[str, JSON] | None"
