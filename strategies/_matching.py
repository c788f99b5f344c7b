"""Hyperparameters shared by two spaces, and the transfer of configs from one space to the other."""

from __future__ import annotations

from strategies.encoding import Dimension, Encoding
from strategies.types import Config, Value


def shared(a: Encoding, b: Encoding) -> list[str]:
    """Names of the hyperparameters that both spaces have, with the same type and overlapping values."""
    theirs = {dim.name: dim for dim in b.dimensions}
    return [dim.name for dim in a.dimensions if dim.name in theirs and _overlap(dim, theirs[dim.name])]


def carried(config: Config, to: Encoding, names: list[str]) -> Config | None:
    """A config of space ``to`` with this config's values for the hyperparameters ``names``, and defaults elsewhere.

    Numbers outside the range of ``to`` are clipped. None if a choice lacks the value or the result is forbidden.
    """
    values: Config = {}
    for dim in to.dimensions:
        if dim.name in names and dim.name in config:
            value = _moved(config[dim.name], dim)
            if value is None:
                return None
            values[dim.name] = value
    built = to.build(lambda dim: values.get(dim.name, dim.default))
    return built if to.allows(built) else None


def known_part(config: Config, to: Encoding, names: list[str]) -> Config:
    """The values of a config that exist in the other space, clipped to its ranges, whether active there or not."""
    places = [dim for dim in to.dimensions if dim.name in names and dim.name in config]
    moved = {dim.name: _moved(config[dim.name], dim) for dim in places}
    return {name: value for name, value in moved.items() if value is not None}


def _overlap(a: Dimension, b: Dimension) -> bool:
    if _is_number(a) != _is_number(b):
        return False
    if not _is_number(a):
        return any(_moved(value, b) is not None for value in a.values)
    (low_a, high_a), (low_b, high_b) = _range(a), _range(b)
    return max(low_a, low_b) <= min(high_a, high_b)


def _is_number(dim: Dimension) -> bool:
    """Whether distances between values mean something: a range, an ordinal of numbers, or a constant number."""
    if not dim.values:
        return True
    return (dim.kind == "ordinal" or len(dim.values) == 1) and not any(isinstance(v, (bool, str)) for v in dim.values)


def _range(dim: Dimension) -> tuple[float, float]:
    values = [float(value) for value in dim.values]
    return (min(values), max(values)) if values else (dim.low, dim.high)


def _moved(value: Value, dim: Dimension) -> Value | None:
    """The nearest value of a hyperparameter; None if it is a choice without this value."""
    if not _is_number(dim):
        same = (v for v in dim.values if v == value and isinstance(v, bool) == isinstance(value, bool))
        return next(same, None)
    if isinstance(value, (bool, str)):
        return None
    if dim.values:
        return min(dim.values, key=lambda v: abs(float(v) - float(value)))
    inside = min(max(float(value), dim.low), dim.high)
    return round(inside) if dim.kind == "int" else inside
