"""The parameters of an estimator as a space: scikit-learn's lists and scipy's distributions beside the short form."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from automl.errors import UserError
from automl.space.parse import SpaceError, load_space
from strategies.encoding import plain
from strategies.types import Config, Value

if TYPE_CHECKING:
    from ConfigSpace import ConfigurationSpace

TAIL = 1e-3  # share of a distribution that is left out where it goes to infinity
WHICH = "space"  # the hyperparameter that says which one of several spaces
Read = Callable[[Value], Any]


@dataclass
class Parameters:
    """A space, and what its configs mean to an estimator: any object can be a value there."""

    space: ConfigurationSpace
    read: dict[str, tuple[str, Read]] = field(default_factory=dict)  # of those that are not what they mean

    def of(self, config: Config) -> dict[str, Any]:
        """The estimator's parameters at a config."""
        parameters = {}
        for name, value in config.items():
            parameter, read = self.read.get(name, (name, _itself))
            if parameter:
                parameters[parameter] = read(value)
        return parameters


def load_parameters(source: Any) -> Parameters:
    """From anything that ``load_space`` takes; or a dict whose values may also be a list of any objects, or a
    distribution of scipy.stats; or a list of such dicts, of which each candidate takes one.

    Numbers in a list that rise or fall are ordered values, and all else is a choice.
    Raises SpaceError on the first broken rule.
    """
    if not isinstance(source, (list, tuple, Mapping)):
        return Parameters(load_space(source))
    if not isinstance(source, Mapping) and len(source) == 1:
        return load_parameters(source[0])
    forms, read = _several(source) if not isinstance(source, Mapping) else _one(source)
    return Parameters(load_space(forms), read)


def _itself(value: Value) -> Any:
    return value


def _one(source: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, tuple[str, Read]]]:
    """The short form of one dict, and how to read the values of those in it that are not in the short form."""
    forms: dict[str, Any] = {}
    read: dict[str, tuple[str, Read]] = {}
    objects: dict[str, list[Any]] = {}  # by hyperparameter: its values, where they stand for an index
    written = dict(source)
    clauses = written.pop("forbidden") if _is_clauses(written.get("forbidden")) else []
    for name, form in written.items():
        if isinstance(form, Mapping):
            forms[name] = dict(form)
            kind = next((kind for kind in ("choice", "ordinal", "constant") if kind in form), None)
            if kind is not None:
                values = [form[kind]] if kind == "constant" else form[kind]
                if _is_list(values) and not all(isinstance(value, (bool, int, float, str)) for value in values):
                    objects[name] = list(values)
                    forms[name].pop("constant", None)
                    forms[name]["choice" if kind == "constant" else kind] = list(range(len(values)))
        elif hasattr(form, "ppf") or hasattr(form, "rvs"):
            forms[name], read[name] = _distribution(name, form)
        elif _is_list(form):
            objects[name] = list(form)
            forms[name] = {"ordinal" if _is_ordered(objects[name]) else "choice": list(range(len(form)))}
        else:
            raise SpaceError(
                name, f"expected a list of values, a distribution or a mapping such as {{float: [0, 1]}}, got {form!r}"
            )
    for name, values in objects.items():
        read[name] = (name, values.__getitem__)  # type: ignore[assignment]
    for name, form in forms.items():
        if name in objects and "default" in form:
            form["default"] = _place(name, objects[name], form["default"])
        if isinstance(form.get("when"), Mapping):
            form["when"] = _places(form["when"], objects)
    if clauses:
        forms["forbidden"] = [_places(clause, objects) for clause in clauses]
    return forms, read


def _several(sources: Sequence[Any]) -> tuple[dict[str, Any], dict[str, tuple[str, Read]]]:
    """All of several dicts side by side, each under the condition that it is the one."""
    if not sources or not all(isinstance(source, Mapping) for source in sources):
        raise UserError(f"a space as a list holds dicts, each from names to values, got {sources!r}")
    forms: dict[str, Any] = {WHICH: {"choice": list(range(len(sources)))}}
    read: dict[str, tuple[str, Read]] = {WHICH: ("", _itself)}
    clauses: list[dict[str, Any]] = []
    for i, source in enumerate(sources):
        own, own_read = _one(source)
        for clause in own.pop("forbidden", []):
            clauses.append({f"{i} {name}": value for name, value in clause.items()})
        for name, form in own.items():
            when = {f"{i} {parent}": value for parent, value in form.get("when", {}).items()}
            forms[f"{i} {name}"] = form | {"when": {WHICH: i, **when}}
            read[f"{i} {name}"] = own_read.get(name, (name, _itself))
    return (forms | {"forbidden": clauses} if clauses else forms), read


def _distribution(name: str, distribution: Any) -> tuple[dict[str, Any], tuple[str, Read]]:
    """A distribution by its quantiles: uniform there is distributed so here."""
    if not hasattr(distribution, "ppf"):
        raise SpaceError(name, f"a distribution needs ppf, as scipy.stats' have; {distribution!r} has only rvs")
    low, high = (float(end) for end in distribution.support())
    discrete = hasattr(distribution, "pmf")
    if discrete and getattr(getattr(distribution, "dist", None), "name", "") == "randint":
        return {"int": [int(low), int(high)]}, (name, _itself)
    ends = [0.0 if math.isfinite(low) and not discrete else TAIL, 1.0 if math.isfinite(high) else 1.0 - TAIL]

    def quantile(share: Value) -> Any:
        value = plain(distribution.ppf(share))
        return int(value) if discrete else value

    return {"float": ends}, (name, quantile)


def _is_list(values: Any) -> bool:
    return (isinstance(values, Sequence) and not isinstance(values, str)) or getattr(values, "ndim", 0) == 1


def _is_ordered(values: list[Any]) -> bool:
    numbers = [plain(value) for value in values]
    if len(numbers) < 3 or any(isinstance(number, bool) or not isinstance(number, (int, float)) for number in numbers):
        return False
    steps = [after - before for before, after in itertools.pairwise(numbers)]
    return all(step > 0 for step in steps) or all(step < 0 for step in steps)


def _is_clauses(clauses: Any) -> bool:
    return isinstance(clauses, list) and all(isinstance(clause, Mapping) for clause in clauses)


def _places(wanted: Mapping[str, Any], objects: Mapping[str, list[Any]]) -> dict[str, Any]:
    """A condition or a forbidden clause, with the places of those values that stand for an index."""
    return {name: _place(name, objects[name], value) if name in objects else value for name, value in wanted.items()}


def _place(name: str, values: list[Any], wanted: Any) -> int | list[int]:
    found = list(_found(values, wanted))
    if found:
        return found[0]
    if isinstance(wanted, (list, tuple)):
        places = [next(_found(values, value), None) for value in wanted]
        if None not in places:
            return places  # type: ignore[return-value]
    raise SpaceError(name, f"{wanted!r} is none of its values {values}")


def _found(values: list[Any], wanted: Any) -> Iterator[int]:
    for i, value in enumerate(values):
        if value is wanted or (type(value) is type(wanted) and bool(value == wanted)):
            yield i
