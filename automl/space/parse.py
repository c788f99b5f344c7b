"""The short form of a search space, as YAML or a dict, converted to ConfigSpace.

lr:        {float: [1.0e-5, 1.0e-1], log: true, default: 1.0e-3}
layers:    {int: [1, 4], default: 2}
width:     {ordinal: [16, 32, 64]}
dropout:   {float: [0.0, 0.5], step: 0.1}                 # a regular grid of values
optimizer: {choice: [sgd, adamw], default: adamw}
momentum:  {float: [0.0, 0.99], when: {optimizer: sgd}}   # active only then
beta:      {float: [0.8, 0.99], when: {optimizer: adamw, layers: [2, 3]}}   # all conditions must hold
decay:     {float: [1.0e-6, 1.0], log: true, prior: {around: 1.0e-3, sure: 0.5}}   # a belief about the best value
forbidden:
  - {optimizer: sgd, width: [32, 64]}                     # never together
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from automl.errors import UserError
from strategies.errors import did_you_mean

if TYPE_CHECKING:
    from ConfigSpace import ConfigurationSpace
    from ConfigSpace.hyperparameters import Hyperparameter

LARGEST_INT = 2**53  # the largest range of ints that floats, and so JSON, represent exactly
DECIMALS = 9
KINDS = ("float", "int", "choice", "ordinal", "constant")
OPTIONS = {
    "float": {"log", "step", "default", "prior", "when"},
    "int": {"log", "step", "default", "prior", "when"},
    "choice": {"default", "prior", "when"},
    "ordinal": {"default", "when"},
    "constant": {"when"},
}


class SpaceError(UserError):
    """The space breaks a rule of the short form; names the hyperparameter, the rule and the value seen."""

    def __init__(self, name: str, rule: str) -> None:
        super().__init__(f"space: {name!r}: {rule}")


def load_space(source: str | Path | Mapping[str, Any] | ConfigurationSpace) -> ConfigurationSpace:
    """Build a ConfigurationSpace from a YAML file's path, a dict in the short form, or a ConfigurationSpace.

    The hyperparameters' order is kept in the space's ``meta["order"]``, since ConfigSpace sorts them.
    Raises SpaceError on the first broken rule.
    """
    from ConfigSpace import ConfigurationSpace

    if isinstance(source, ConfigurationSpace):
        return source
    if not isinstance(source, (str, Path, Mapping)):
        raise UserError(f"a space must be a YAML file, a mapping or a ConfigurationSpace, got {source!r}")
    written = dict(read_yaml(Path(source)) if isinstance(source, (str, Path)) else source)
    clauses = written.pop("forbidden") if isinstance(written.get("forbidden"), list) else []
    forms: dict[str, Any] = written
    if not forms:
        raise UserError("a space needs at least one hyperparameter, e.g. lr: {float: [1.0e-5, 1.0e-1], log: true}")
    space = ConfigurationSpace(meta={"order": list(forms)})
    hyperparameters = {name: _hyperparameter(name, form) for name, form in forms.items()}
    space.add(*hyperparameters.values())
    _add_conditions(space, forms)
    for clause in clauses:
        _add_forbidden(space, clause)
    return space


def read_yaml(path: Path) -> Mapping[str, Any]:
    """The content of a YAML file. UserError if it is missing or not a mapping."""
    import yaml

    from automl.space.yaml_text import load_yaml

    try:
        content = load_yaml(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"cannot read the space file {str(path)!r}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise UserError(f"the space file {str(path)!r} is not text") from None
    except yaml.YAMLError as error:
        raise UserError(f"the space file {str(path)!r} is not YAML: {' '.join(str(error).split())}") from None
    if not isinstance(content, dict):
        raise UserError(f"the space file {str(path)!r} must map names to hyperparameters, e.g. lr: {{float: [0.1, 1]}}")
    return content


def _hyperparameter(name: Any, form: Any) -> Hyperparameter[Any, Any]:
    if not isinstance(name, str) or not name:
        raise SpaceError(str(name), f"a name must be a non-empty string, got {name!r}")
    if not isinstance(form, Mapping):
        raise SpaceError(name, f"expected a mapping such as {{float: [0, 1]}}, got {form!r}")
    kinds = [kind for kind in KINDS if kind in form]
    if len(kinds) != 1:
        seen = ", ".join(map(str, form)) or "nothing"
        raise SpaceError(name, f"give exactly one of {', '.join(KINDS)}; got {seen}")
    kind = kinds[0]
    for option in form:
        if option != kind and option not in OPTIONS[kind]:
            hint, known = did_you_mean(option, OPTIONS[kind]), ", ".join(sorted(OPTIONS[kind]))
            raise SpaceError(name, f"unknown option {option!r} for {kind}; {hint}choose one of: {known}")
    if kind == "constant":
        return _constant(name, form["constant"])
    if kind in ("float", "int"):
        return _range(name, kind, form)
    meta: dict[Hashable, Any] | None = None
    default = form.get("default")
    if form.get("prior") is not None:
        around, sure = _belief(name, form["prior"])
        if around not in form[kind]:
            raise SpaceError(name, f"a prior must lie around one of {form[kind]}, got {around!r}")
        meta, default = {"prior": {"around": around, "sure": sure}}, around if default is None else default
    return _values(name, kind, form[kind], default, meta)


def _constant(name: str, value: Any) -> Hyperparameter[Any, Any]:
    from ConfigSpace import Constant

    _check_value(name, value)
    return Constant(name, value)


def _range(name: str, kind: str, form: Mapping[str, Any]) -> Hyperparameter[Any, Any]:
    from ConfigSpace import Float, Integer

    low, high = _bounds(name, kind, form[kind])
    log, step, default = form.get("log", False), form.get("step"), form.get("default")
    if not isinstance(log, bool):
        raise SpaceError(name, f"log must be true or false, got {log!r}")
    if log and low <= 0:
        raise SpaceError(name, f"a log scale needs a lower bound above 0, got {low}")
    if default is not None:
        default = _number(name, kind, default, "default")
        if not low <= default <= high:
            raise SpaceError(name, f"the default must lie in [{low}, {high}], got {default}")
    if low == high:
        return _constant(name, low)
    meta = None
    if form.get("prior") is not None:
        if step is not None:
            raise SpaceError(name, "step and prior exclude each other; leave one of them out")
        around, sure = _belief(name, form["prior"])
        around = _number(name, kind, around, "prior")
        if not low <= around <= high:
            raise SpaceError(name, f"a prior must lie around a value in [{low}, {high}], got {around}")
        meta, default = {"prior": {"around": around, "sure": sure}}, around if default is None else default
    if step is not None:
        return _grid(name, kind, (low, high), log, _number(name, kind, step, "step"), default)
    if kind == "float":
        return Float(name, (low, high), log=log, default=default, meta=meta)
    whole = None if default is None else int(default)
    return Integer(name, (int(low), int(high)), log=log, default=whole, meta=meta)


def _belief(name: str, prior: Any) -> tuple[Any, float]:
    """The value around which the user believes the optimum to lie, and how sure they are."""
    if not isinstance(prior, Mapping) or prior.keys() != {"around", "sure"}:
        raise SpaceError(name, f"prior needs {{around: value, sure: share}}, got {prior!r}")
    sure = _number(name, "float", prior["sure"], "prior's sure")
    if not 0 < sure < 1:
        raise SpaceError(name, f"sure must lie between 0 (a guess) and 1 (certain), got {sure:g}")
    return prior["around"], sure


def _grid(
    name: str, kind: str, bounds: tuple[float, float], log: bool, step: float, default: Any
) -> Hyperparameter[Any, Any]:
    low, high = bounds
    if log:
        raise SpaceError(name, "step and log exclude each other; use an ordinal for a grid on a log scale")
    if not 0 < step <= high - low:
        raise SpaceError(name, f"step must lie in (0, {high - low}], got {step}")
    count = int((high - low) / step + 1e-9) + 1
    if count > 10_000:
        raise SpaceError(name, f"step {step} gives {count} values, at most 10000 are allowed; leave step out")
    cast = int if kind == "int" else float
    values = [cast(float(f"{low + i * step:.12g}")) for i in range(count)]
    return _values(name, "ordinal", values, default, meta={"step": step, "kind": kind})


def _values(
    name: str, kind: str, values: Any, default: Any, meta: Mapping[Hashable, Any] | None = None
) -> Hyperparameter[Any, Any]:
    from ConfigSpace import Categorical, OrdinalHyperparameter

    if not isinstance(values, Sequence) or isinstance(values, str) or not values:
        raise SpaceError(name, f"{kind} needs a list of values, got {values!r}")
    for value in values:
        _check_value(name, value)
    if any(isinstance(v, bool) for v in values) and not all(isinstance(v, bool) for v in values):
        raise SpaceError(
            name,
            f"true/false are mixed with other values in {list(values)}; YAML parses yes/no/on/off as such: quote them",
        )
    if len(set(values)) != len(values):
        raise SpaceError(name, f"the values must differ, got {list(values)}")
    if default is None:
        default = values[0] if kind == "choice" else values[(len(values) - 1) // 2]
    if default not in values:
        raise SpaceError(name, f"the default must be one of {list(values)}, got {default!r}")
    if len(values) == 1:
        return _constant(name, values[0])
    if kind == "choice":
        return Categorical(name, list(values), default=default, meta=None if meta is None else dict(meta))
    return OrdinalHyperparameter(name, list(values), default_value=default, meta=meta)


def _bounds(name: str, kind: str, bounds: Any) -> tuple[float, float]:
    if not isinstance(bounds, Sequence) or isinstance(bounds, str) or len(bounds) != 2:
        raise SpaceError(name, f"{kind} needs [low, high], got {bounds!r}")
    low, high = (_number(name, kind, bound, "bound") for bound in bounds)
    if low > high:
        raise SpaceError(name, f"the lower bound must not exceed the upper, got [{low}, {high}]")
    if kind == "int" and max(abs(low), abs(high)) > LARGEST_INT:
        raise SpaceError(name, f"a bound of an int must lie within +-{LARGEST_INT}, got [{low}, {high}]")
    if kind == "float" and any(abs(round(bound, DECIMALS) - bound) > 1e-6 * abs(bound) for bound in (low, high)):
        raise SpaceError(
            name, f"ConfigSpace keeps {DECIMALS} decimals of a bound, too few for [{low}, {high}]; rescale it"
        )
    if kind == "float" and not math.isfinite(high - low):
        raise SpaceError(name, f"the range [{low}, {high}] is too wide for floating-point numbers")
    return low, high


def _number(name: str, kind: str, value: Any, what: str) -> float:
    if isinstance(value, str):
        raise SpaceError(
            name, f"a {what} must be a number, got the string {value!r} (YAML wants 1.0e-5, with a dot, not 1e-5)"
        )
    if isinstance(value, bool) or not isinstance(value, (int, float)) or value != value or abs(value) == float("inf"):
        raise SpaceError(name, f"a {what} must be a finite number, got {value!r}")
    if kind == "int" and value != int(value):
        raise SpaceError(name, f"a {what} of an int must be whole, got {value!r}")
    return int(value) if kind == "int" else float(value)


def _check_value(name: str, value: Any) -> None:
    if value is None:
        raise SpaceError(name, "null is not allowed as a value; use a string, e.g. none")
    if not isinstance(value, (bool, int, float, str)):
        raise SpaceError(name, f"a value must be true/false, a number or a string, got {value!r}")
    if isinstance(value, float) and not math.isfinite(value):
        raise SpaceError(name, f"a value must be finite, got {value!r}")


def _add_conditions(space: ConfigurationSpace, forms: Mapping[str, Mapping[str, Any]]) -> None:
    from ConfigSpace import AndConjunction, EqualsCondition, InCondition

    for name, form in forms.items():
        when = form.get("when")
        if when is None:
            continue
        if not isinstance(when, Mapping) or not when:
            raise SpaceError(name, f"when needs {{parent: value}} or {{parent: [values]}}, got {when!r}")
        conditions = []
        for parent, wanted in when.items():
            values = _legal_values(space, name, "when", parent, wanted)
            if parent == name:
                raise SpaceError(name, "when must not name the hyperparameter itself")
            child, owner = space[name], space[parent]
            single = len(values) == 1
            conditions.append(EqualsCondition(child, owner, values[0]) if single else InCondition(child, owner, values))
        try:
            space.add(conditions[0] if len(conditions) == 1 else AndConjunction(*conditions))
        except Exception as error:  # ConfigSpace has no common class for these errors, such as cycles
            raise SpaceError(name, f"when {dict(when)} cannot hold: {' '.join(str(error).split())}") from None


def _legal_values(space: ConfigurationSpace, name: str, where: str, other: Any, wanted: Any) -> list[Any]:
    if other not in space:
        hint, known = did_you_mean(other, space), ", ".join(space)
        raise SpaceError(name, f"{where} names {other!r}, which is not in this space; {hint}it has: {known}")
    values = list(wanted) if isinstance(wanted, (list, tuple)) else [wanted]
    for value in values:
        if not space[other].legal_value(value):
            raise SpaceError(name, f"{where} names {other} = {value!r}, which is not a value of {other!r}")
    if not values:
        raise SpaceError(name, f"{where} gives no value for {other!r}")
    return values


def _add_forbidden(space: ConfigurationSpace, clause: Any) -> None:
    from ConfigSpace import ForbiddenAndConjunction, ForbiddenEqualsClause, ForbiddenInClause

    if not isinstance(clause, Mapping) or not clause:
        raise SpaceError("forbidden", f"each entry needs {{name: value, ...}}, got {clause!r}")
    parts: list[Any] = []
    for name, wanted in clause.items():
        values = _legal_values(space, "forbidden", "an entry", name, wanted)
        single = len(values) == 1
        parts.append(
            ForbiddenEqualsClause(space[name], values[0]) if single else ForbiddenInClause(space[name], values)
        )
    forbidden = parts[0] if len(parts) == 1 else ForbiddenAndConjunction(*parts)
    # ConfigSpace raises on a forbidden default but keeps the clause, so check first.
    if forbidden.is_forbidden_value(dict(space.get_default_configuration())):
        raise SpaceError("forbidden", f"{dict(clause)} forbids the default config; change a default or the entry")
    space.add(forbidden)
