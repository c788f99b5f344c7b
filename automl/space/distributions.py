"""The parameters of an estimator as a space: the short form, scikit-learn's lists and scipy's distributions."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from automl.errors import UserError
from automl.space.hyperparameters import SpaceError, scalar
from automl.space.parse import load_space
from strategies.encoding import plain
from strategies.types import Config, Value

if TYPE_CHECKING:
    from ConfigSpace import ConfigurationSpace

MAX_LISTED = 1_000  # values of a discrete distribution whose probabilities are looked at
TAIL = 1e-3  # probability mass cut off at each end of a distribution that is unbounded or has many values
SELECTOR = "space"  # the hyperparameter that selects one of several spaces
Read = Callable[[Value], Any]


@dataclass
class Parameters:
    """A space, and the mapping of its configs to an estimator's parameters, whose values can be any objects."""

    space: ConfigurationSpace
    read: dict[str, tuple[str, Read]] = field(default_factory=dict)  # only for hyperparameters that need a conversion

    def of(self, config: Config) -> dict[str, Any]:
        """The estimator's parameters at a config."""
        parameters = {}
        for name, value in config.items():
            parameter, read = self.read.get(name, (name, _identity))
            if parameter:
                parameters[parameter] = read(value)
        return parameters


def load_parameters(source: Any) -> Parameters:
    """Load anything that ``load_space`` takes, a dict whose values may also be lists of any objects or scipy.stats
    distributions, or a list of such dicts, of which each candidate uses one.

    A list of increasing or decreasing numbers is ordinal, any other list categorical.
    Raises SpaceError on the first broken rule.
    """
    if not isinstance(source, (list, tuple, Mapping)):
        return Parameters(load_space(source))
    if not isinstance(source, Mapping) and len(source) == 1:
        return load_parameters(source[0])
    forms, read = _several(source) if not isinstance(source, Mapping) else _one(source)
    return Parameters(load_space(forms), read)


def _identity(value: Value) -> Any:
    return value


def _one(source: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, tuple[str, Read]]]:
    """The short form of one dict, and the conversions for entries that are not in the short form."""
    forms: dict[str, Any] = {}
    read: dict[str, tuple[str, Read]] = {}
    objects: dict[str, list[Any]] = {}  # hyperparameter -> its values, where the space holds their indices
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
        if name in objects and isinstance(form.get("prior"), Mapping) and "around" in form["prior"]:
            form["prior"] = {**form["prior"], "around": _place(name, objects[name], form["prior"]["around"])}
        if isinstance(form.get("when"), Mapping):
            form["when"] = _places(form["when"], objects)
    if clauses:
        forms["forbidden"] = [_places(clause, objects) for clause in clauses]
    return forms, read


def _several(sources: Sequence[Any]) -> tuple[dict[str, Any], dict[str, tuple[str, Read]]]:
    """Several dicts in one space, each conditional on being selected."""
    if not sources or not all(isinstance(source, Mapping) for source in sources):
        raise UserError(f"a space given as a list must hold dicts of names to values, got {sources!r}")
    forms: dict[str, Any] = {SELECTOR: {"choice": list(range(len(sources)))}}
    read: dict[str, tuple[str, Read]] = {SELECTOR: ("", _identity)}
    clauses: list[dict[str, Any]] = []
    for i, source in enumerate(sources):
        own, own_read = _one(source)
        for clause in own.pop("forbidden", []):
            clauses.append({f"{i} {name}": value for name, value in clause.items()})
        for name, form in own.items():
            when = {f"{i} {parent}": value for parent, value in form.get("when", {}).items()}
            forms[f"{i} {name}"] = form | {"when": {SELECTOR: i, **when}}
            read[f"{i} {name}"] = own_read.get(name, (name, _identity))
    return (forms | {"forbidden": clauses} if clauses else forms), read


def _distribution(name: str, distribution: Any) -> tuple[dict[str, Any], tuple[str, Read]]:
    """A distribution as its quantile function, applied to a uniform hyperparameter."""
    if not hasattr(distribution, "ppf"):
        raise SpaceError(name, f"a distribution needs ppf, as those of scipy.stats have; {distribution!r} has only rvs")
    try:
        low, high = (float(end) for end in distribution.support())
    except TypeError:  # not frozen
        name_of = getattr(distribution, "name", "the distribution")
        raise SpaceError(name, f"{name_of} needs its arguments, as in loguniform(1e-4, 1)") from None
    if not low <= high or math.isnan(distribution.ppf(0.5)):
        raise SpaceError(name, f"the distribution has no range, but ends at {low:g} and {high:g}; check its arguments")
    if hasattr(distribution, "pmf"):
        return _whole_numbers(distribution, low, high), (name, _identity)
    shares = [0.0 if math.isfinite(low) else TAIL, 1.0 if math.isfinite(high) else 1.0 - TAIL]
    return {"float": shares}, (name, lambda share: plain(distribution.ppf(share)))


def _whole_numbers(distribution: Any, low: float, high: float) -> dict[str, Any]:
    """The values of a discrete distribution, since many shares have the same quantile."""
    if getattr(getattr(distribution, "dist", None), "name", "") == "randint":
        return {"int": [int(low), int(high)]}
    if high - low > MAX_LISTED:
        low, high = distribution.ppf(TAIL), distribution.ppf(1.0 - TAIL)
    values = range(int(low), int(high) + 1)
    possible = [value for value in values if distribution.pmf(value) > 0] if len(values) <= MAX_LISTED else values
    return {"int": [int(low), int(high)]} if len(possible) == len(values) else {"ordinal": possible}


def _is_list(values: Any) -> bool:
    return (isinstance(values, Sequence) and not isinstance(values, str)) or getattr(values, "ndim", 0) == 1


def _is_ordered(values: list[Any]) -> bool:
    numbers = [scalar(value) for value in values]
    if len(numbers) < 3 or any(isinstance(number, bool) or not isinstance(number, (int, float)) for number in numbers):
        return False
    steps = [after - before for before, after in itertools.pairwise(numbers)]
    return all(step > 0 for step in steps) or all(step < 0 for step in steps)


def _is_clauses(clauses: Any) -> bool:
    return isinstance(clauses, list) and all(isinstance(clause, Mapping) for clause in clauses)


def _places(wanted: Mapping[str, Any], objects: Mapping[str, list[Any]]) -> dict[str, Any]:
    """A condition or a forbidden clause, with values replaced by their indices where the space holds those."""
    return {name: _place(name, objects[name], value) if name in objects else value for name, value in wanted.items()}


def _place(name: str, values: list[Any], wanted: Any) -> int | list[int]:
    found = list(_found(values, wanted))
    if found:
        return found[0]
    if isinstance(wanted, (list, tuple)):
        places = [next(_found(values, value), None) for value in wanted]
        if None not in places:
            return places  # type: ignore[return-value]
    raise SpaceError(name, f"{wanted!r} is not one of its values {values}")


def _found(values: list[Any], wanted: Any) -> Iterator[int]:
    for i, value in enumerate(values):
        if value is wanted or (type(value) is type(wanted) and _equal(value, wanted)):
            yield i


def _equal(value: Any, wanted: Any) -> bool:
    return np.array_equal(value, wanted) if isinstance(value, np.ndarray) else bool(np.all(value == wanted))
