"""Which hyperparameter divides a space into families: a choice that most others depend on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from strategies.encoding import Encoding

if TYPE_CHECKING:
    from ConfigSpace import ConfigurationSpace

N_SAMPLED = 64  # configs sampled to check that a family has allowed ones
MIN_SHARE = 2 / 3  # of the others that depend on the choice; shared ones are better learnt by one surrogate


def family_choice(space: ConfigurationSpace) -> str | None:
    """The unconditional choice that most other hyperparameters depend on, if there is exactly one."""
    encoding = Encoding(space)
    roots = [dim for dim in encoding.dimensions if dim.kind == "choice" and dim.n_values > 1]
    roots = [dim for dim in roots if not space.parents_of[dim.name]]
    others = len([dim for dim in encoding.dimensions if dim.n_values > 1]) - 1
    found = []
    for dim in roots:
        parts = [Encoding(space, {dim.name: value}) for value in dim.values]
        everywhere = set(encoding.names).intersection(*(part.names for part in parts))
        depending = [d for d in encoding.dimensions if d.n_values > 1 and d.name not in everywhere]
        if others > 0 and len(depending) >= MIN_SHARE * others and all(_has_configs(part) for part in parts):
            found.append(dim.name)
    return found[0] if len(found) == 1 else None


def _has_configs(part: Encoding) -> bool:
    """Whether a family has allowed configs."""
    points = np.random.default_rng(0).random((N_SAMPLED, len(part.dimensions)))
    return any(part.allows(config) for config in [part.default, *map(part.decode, points)])
