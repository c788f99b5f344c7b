"""Which values of a config others must share to have the same key."""

from __future__ import annotations

from collections.abc import Callable, Hashable

from strategies.encoding import Dimension, Encoding
from strategies.types import Config, Value


def shared_values(encoding: Encoding, config: Config, key: Callable[[Config], Hashable]) -> Config:
    """The values of the hyperparameters that change the config's key when changed alone.

    The ends of a range and all values of a choice are tried. This assumes that hyperparameters affect the key
    independently of each other, as the sizes of a network do.
    """
    own = key(config)

    def changed(dim: Dimension, value: Value) -> Config:
        return encoding.build(lambda each: value if each is dim else config.get(each.name, each.default))

    return {
        dim.name: config[dim.name]
        for dim in encoding.dimensions
        if dim.name in config and any(key(changed(dim, value)) != own for value in dim.values or (dim.low, dim.high))
    }
