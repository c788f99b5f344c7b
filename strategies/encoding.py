"""Encoding of configs as points in the unit cube, and back.

Each hyperparameter is one coordinate in [0, 1]. Floats are mapped linearly or on a log scale; integers and categories
get cells of equal width (log-spaced for log-scaled ints), and a value is encoded as its cell's centre. Inactive
hyperparameters are at their default.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

if TYPE_CHECKING:
    from ConfigSpace import ConfigurationSpace

    from strategies.types import Config, Value


@dataclass(frozen=True)
class Dimension:
    """One hyperparameter: its kind, its range or values, and its mapping to [0, 1] and back."""

    name: str
    kind: Literal["float", "int", "choice", "ordinal"]
    default: Value
    low: float = 0.0
    high: float = 0.0
    log: bool = False
    values: tuple[Value, ...] = ()  # of a choice (unordered) or an ordinal; a constant is a choice of one value
    belief: tuple[Value, float] | None = None  # the user's: value around which the optimum lies; certainty, 0 to 1

    @property
    def numeric(self) -> bool:
        """Whether nearby coordinates mean nearby values."""
        return self.kind != "choice"

    @property
    def n_values(self) -> float:
        """How many values it can take; infinite for a float."""
        if self.kind == "float":
            return math.inf
        return len(self.values) if self.values else self.high - self.low + 1

    def to_unit(self, value: Value) -> float:
        """The coordinate of a value, in [0, 1]. Raises ValueError for a value outside the range or the choices."""
        if self.values:
            return (self._index(value) + 0.5) / len(self.values)
        if isinstance(value, (bool, str)) or not self.low <= value <= self.high:
            raise ValueError(f"{self.name!r} must be a number in [{self.low}, {self.high}], got {value!r}")
        if self.kind == "int" and value != int(value):
            raise ValueError(f"{self.name!r} must be a whole number, got {value!r}")
        low, high = self._edges
        return ((math.log(value) if self.log else float(value)) - low) / (high - low)

    def from_unit(self, u: float) -> Value:
        """The value at a coordinate; coordinates outside [0, 1] are clipped."""
        u = min(max(float(u), 0.0), 1.0)
        if self.values:
            return self.values[min(int(u * len(self.values)), len(self.values) - 1)]
        low, high = self._edges
        position = low + u * (high - low)
        number = math.exp(position) if self.log else position
        if self.kind == "int":
            return int(min(max(round(number), self.low), self.high))
        # Rounded, so that a value survives the round trip through its coordinate and equal configs compare equal.
        return min(max(float(f"{number:.{self._digits}g}"), self.low), self.high)

    def grid(self, n: int) -> list[float]:
        """Coordinates that span the range: the centre for n = 1, n evenly spaced values for n >= 3.

        All values if there are at most n. A choice has no centre and gives its first value or all of them.
        """
        if n == 1:
            return [0.5 / len(self.values) if self.kind == "choice" else 0.5]
        if self.n_values <= n or self.kind == "choice":
            return [self.to_unit(v) for v in self.values or range(int(self.low), int(self.high) + 1)]
        return [i / (n - 1) for i in range(n)]

    @cached_property
    def _edges(self) -> tuple[float, float]:
        # An int's outermost cells extend half a step beyond the range, so that all cells have equal width.
        margin = 0.5 if self.kind == "int" else 0.0
        low, high = self.low - margin, self.high + margin
        return (math.log(low), math.log(high)) if self.log else (low, high)

    @cached_property
    def _digits(self) -> int:
        # Ten, plus as many as the two ends of a narrow range share.
        shared = math.log10(max(abs(self.low), abs(self.high)) / (self.high - self.low))
        return min(17, 10 + max(0, math.ceil(shared)))

    def _index(self, value: Value) -> int:
        for i, known in enumerate(self.values):
            if known == value and isinstance(known, bool) == isinstance(value, bool):
                return i
        raise ValueError(f"{self.name!r} must be one of {list(self.values)}, got {value!r}")


class Encoding:
    """A ConfigurationSpace compiled for fast use by the strategies."""

    def __init__(self, space: ConfigurationSpace, fixed: Mapping[str, Value] | None = None) -> None:
        """``fixed``: values of unconditional hyperparameters; those that can never be active with them are dropped."""
        from ConfigSpace.types import NotSet

        fixed = fixed or {}
        self._unset = dict.fromkeys(space, NotSet)
        order = [name for name in (space.meta or {}).get("order", list(space)) if name in space]
        order += [name for name in space if name not in order]
        order = [name for name in order if _can_be_active(name, space, fixed)] if fixed else order
        self.dimensions = tuple(
            Dimension(name, "choice", fixed[name], values=(fixed[name],)) if name in fixed else _dimension(space[name])
            for name in order
        )
        self.names = tuple(order)
        self._conditions = {name: list(space.parent_conditions_of[name]) for name in order}
        self._parents = {name: list(space.parents_of[name]) for name in order}
        self._forbidden = list(space.forbidden_clauses)
        self._monotone = [clause for clause in self._forbidden if _is_monotone(clause)]
        self._by_name = {dimension.name: dimension for dimension in self.dimensions}
        rank = {name: i for i, name in enumerate(space)}  # ConfigSpace lists parents before their children
        self._parents_first = sorted(range(len(order)), key=lambda i: rank[order[i]])
        self.default: Config = self.build(lambda dim: dim.default)

    @property
    def finite(self) -> bool:
        """Whether the space has a finite number of configs."""
        return not any(dimension.kind == "float" for dimension in self.dimensions)

    @property
    def kind(self) -> Literal["numeric", "mixed", "discrete"]:
        """``numeric``: only floats and ints; ``discrete``: no floats, so finite; ``mixed``: anything else."""
        if self.finite:
            return "discrete"
        return "numeric" if all(dimension.kind in ("float", "int") for dimension in self.dimensions) else "mixed"

    @property
    def conditional(self) -> bool:
        """Whether some hyperparameter is conditional."""
        return any(self._conditions.values())

    @cached_property
    def parents(self) -> list[int]:
        """Indices of the hyperparameters that conditions depend on."""
        asked = {parent.name for name in self.names for parent in self._parents[name]}
        return [i for i, name in enumerate(self.names) if name in asked]

    def decode(self, point: np.ndarray) -> Config:
        """The config at a point of [0,1]^d, shape (d,): active hyperparameters only, in the order of the space."""
        values = {dim.name: dim.from_unit(u) for dim, u in zip(self.dimensions, point, strict=True)}
        return self.build(lambda dim: values[dim.name])

    def build(self, choose: Callable[[Dimension], Value]) -> Config:
        """The config built by calling ``choose`` for each active hyperparameter, parents before children."""
        chosen: Config = {}
        for i in self._parents_first:
            if self._is_active(self.names[i], chosen):
                chosen[self.names[i]] = choose(self.dimensions[i])
        return {name: chosen[name] for name in self.names if name in chosen}

    def encode(self, config: Config) -> np.ndarray:
        """The point of a config, shape (d,); missing hyperparameters are set to their default."""
        return np.array([dim.to_unit(config.get(dim.name, dim.default)) for dim in self.dimensions])

    def allows(self, config: Config) -> bool:
        """Whether no forbidden clause holds."""
        return not any(clause.is_forbidden_value(config) for clause in self._forbidden)

    def check(self, config: Config) -> None:
        """Raise ValueError unless the config is in the space: known names, legal values, exactly the active ones."""
        unknown = [name for name in config if name not in self._by_name]
        if unknown:
            raise ValueError(f"unknown hyperparameter {unknown[0]!r}; the space has: {', '.join(self.names)}")
        full = {dim.name: config.get(dim.name, dim.default) for dim in self.dimensions}
        for dim in self.dimensions:
            dim.to_unit(full[dim.name])
        active = self.build(lambda dim: full[dim.name])
        if active.keys() != config.keys():
            wrong = sorted(active.keys() ^ config.keys())[0]
            rule = "is missing" if wrong in active else "is set although it is inactive"
            raise ValueError(f"{wrong!r} {rule} in the config {config}")
        if not self.allows(config):
            raise ValueError(f"the config {config} is forbidden by the space")

    def neighbour(self, config: Config, rng: np.random.Generator, n_changes: int = 1) -> Config:
        """A config with n_changes hyperparameters changed: numbers move; choices are redrawn, perhaps as before."""
        point = self.encode(config)
        candidates = [i for i, dim in enumerate(self.dimensions) if dim.n_values > 1 and dim.name in config]
        if not candidates:
            return config
        for i in rng.choice(candidates, size=min(n_changes, len(candidates)), replace=False):
            dim = self.dimensions[i]
            if dim.numeric:
                # At least one cell of an int or ordinal, and a tenth of the range on average.
                step = max(rng.exponential(0.1), 1.0 / dim.n_values)
                moved = point[i] + step * rng.choice([-1.0, 1.0])
                point[i] = moved if 0 <= moved <= 1 else rng.random()
            else:
                point[i] = rng.random()
        return self.decode(point)

    def cells(self) -> Iterator[Config]:
        """Every allowed config of a finite space, once each, lazily."""
        values = [dim.values or range(int(dim.low), int(dim.high) + 1) for dim in self.dimensions]
        yield from (config for config, _ in self.combinations(values) if self.allows(config))

    def combinations(self, values: Sequence[Sequence[Value]]) -> Iterator[tuple[Config, dict[int, int]]]:
        """The distinct configs of these values of each hyperparameter, lazily, without those that monotone clauses
        forbid; each with the indices of its values in ``values``, by active hyperparameter."""
        yield from self._walk(values, {}, {}, self._parents_first)

    def _walk(
        self, values: Sequence[Sequence[Value]], chosen: Config, places: dict[int, int], rest: list[int]
    ) -> Iterator[tuple[Config, dict[int, int]]]:
        if not rest:
            yield {name: chosen[name] for name in self.names if name in chosen}, places
            return
        i = rest[0]
        name = self.names[i]
        if not self._is_active(name, chosen):
            yield from self._walk(values, chosen, places, rest[1:])
            return
        for place, value in enumerate(values[i]):
            longer = {**chosen, name: value}
            if not any(clause.is_forbidden_value(longer) for clause in self._monotone):
                yield from self._walk(values, longer, {**places, i: place}, rest[1:])

    def _is_active(self, name: str, chosen: Config) -> bool:
        conditions = self._conditions[name]
        if not conditions:
            return True
        values: dict[str, Any] = self._unset | chosen
        return all(condition.satisfied_by_value(values) for condition in conditions)


def _can_be_active(name: str, space: ConfigurationSpace, fixed: Mapping[str, Value]) -> bool:
    """Whether this hyperparameter is active in some config with the fixed values."""
    return all(_is_satisfiable(condition, space, fixed) for condition in space.parent_conditions_of[name])


def _is_satisfiable(condition: Any, space: ConfigurationSpace, fixed: Mapping[str, Value]) -> bool:
    from ConfigSpace.conditions import AndConjunction, OrConjunction

    if isinstance(condition, AndConjunction | OrConjunction):
        parts = [_is_satisfiable(part, space, fixed) for part in condition.components]
        return all(parts) if isinstance(condition, AndConjunction) else any(parts)
    parent = condition.parent.name
    if parent in fixed:
        return bool(condition.satisfied_by_value({parent: fixed[parent]}))
    return _can_be_active(parent, space, fixed)


def _is_monotone(clause: Any) -> bool:
    """Whether a partial config that the clause forbids stays forbidden whatever the other values are."""
    from ConfigSpace import ForbiddenAndConjunction, ForbiddenEqualsClause, ForbiddenInClause

    if isinstance(clause, ForbiddenAndConjunction):
        return all(map(_is_monotone, clause.components))
    return isinstance(clause, ForbiddenEqualsClause | ForbiddenInClause)


def _dimension(hp: Any) -> Dimension:
    from ConfigSpace import CategoricalHyperparameter, Constant, OrdinalHyperparameter
    from ConfigSpace.hyperparameters import UniformFloatHyperparameter, UniformIntegerHyperparameter

    if isinstance(hp, Constant):
        (value,) = _stored(hp, [hp.value])
        return Dimension(hp.name, "choice", value, values=(value,))
    if isinstance(hp, CategoricalHyperparameter):
        values = _stored(hp, hp.choices)
        return Dimension(hp.name, "choice", plain(hp.default_value), values=values, belief=_belief(hp))
    if isinstance(hp, OrdinalHyperparameter):
        return Dimension(hp.name, "ordinal", plain(hp.default_value), values=_stored(hp, hp.sequence))
    if isinstance(hp, (UniformFloatHyperparameter, UniformIntegerHyperparameter)):
        kind: Literal["float", "int"] = "float" if isinstance(hp, UniformFloatHyperparameter) else "int"
        return Dimension(
            hp.name, kind, plain(hp.default_value), low=plain(hp.lower), high=plain(hp.upper), log=bool(hp.log),
            belief=_belief(hp),
        )  # fmt: skip
    raise ValueError(f"{hp.name!r}: a {type(hp).__name__} is not supported; use a uniform float or int")


def _stored(hp: Any, values: Iterable[Any]) -> tuple[Value, ...]:
    """The values as plain ones; ValueError for those that a study, which is JSON, would change."""
    found = tuple(map(plain, values))
    for value in found:
        if not isinstance(value, bool | int | float | str):
            raise ValueError(f"{hp.name!r}: values must be numbers, strings or booleans, got {value!r}")
    return found


def _belief(hp: Any) -> tuple[Value, float] | None:
    prior = (hp.meta or {}).get("prior")
    return None if prior is None else (plain(prior["around"]), float(prior["sure"]))


def plain(value: Any) -> Any:
    """Convert numpy scalars to plain Python values."""
    return value.item() if hasattr(value, "item") else value
