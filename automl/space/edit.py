"""Conversion of a ConfigurationSpace to the short form, and edits of the short form."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from automl.space.hyperparameters import SpaceError, number
from automl.space.parse import load_space
from strategies.encoding import plain
from strategies.errors import did_you_mean

if TYPE_CHECKING:
    from ConfigSpace import ConfigurationSpace
    from ConfigSpace.hyperparameters import Hyperparameter


def space_to_dict(space: ConfigurationSpace) -> dict[str, Any]:
    """The short form of a space; ``load_space`` inverts it. SpaceError if the short form cannot express it."""
    forms: dict[str, Any] = {}
    for name in (space.meta or {}).get("order", list(space)):
        forms[name] = _form(space[name])
        when = _when(space, name)
        if when:
            forms[name]["when"] = when
    clauses = [_clause(clause) for clause in space.forbidden_clauses]
    return {**forms, "forbidden": clauses} if clauses else forms


def merge(space: ConfigurationSpace, changes: Mapping[str, Any]) -> dict[str, Any]:
    """The short form of a space with the hyperparameters in ``changes`` replaced, e.g. by narrower ranges.

    SpaceError for a hyperparameter that the space does not have.
    """
    form = space_to_dict(space)
    for name, change in changes.items():
        if name != "forbidden" and name not in form:
            hint = did_you_mean(name, form)
            raise SpaceError(name, f"this task has no such hyperparameter; {hint}it has: {', '.join(form)}")
        form[name] = change
    return form


def fix(form: Mapping[str, Any], name: str, value: Any) -> dict[str, Any]:
    """The short form of a space with one hyperparameter fixed to a value.

    Hyperparameters that require another value are removed, as are conditions that always hold.
    """
    space = load_space(form)
    if not isinstance(value, (bool, int, float, str)):
        raise SpaceError(name, f"--set needs one value, got {value!r}")
    if name not in space:
        hint = did_you_mean(name, space)
        raise SpaceError(name, f"there is no such hyperparameter to set; {hint}choose one of: {', '.join(space)}")
    asked, own = value, form[name].get("choice") or form[name].get("ordinal") or []
    kind = next((kind for kind in ("float", "int") if kind in form[name]), None)
    if kind is not None and isinstance(value, (int, float)):
        value = number(name, kind, value, "value")  # 64.0 and 1e3 are whole too
    if not space[name].legal_value(value) or (own and not any(_same(value, known) for known in own)):
        raise SpaceError(name, f"{asked!r} is not one of its values: {form[name]}")
    gone: set[str] = set()
    while more := {other for other in space if other not in gone and _is_gone(form[other], name, value, gone)}:
        gone |= more
    fixed: dict[str, Any] = {}
    for other, its in form.items():
        if other in gone or other not in space:
            continue
        when = {parent: wanted for parent, wanted in its.get("when", {}).items() if parent != name}
        rest = {key: part for key, part in its.items() if key != "when"}
        fixed[other] = ({"constant": value} if other == name else rest) | ({"when": when} if when else {})
    clauses = []
    for clause in form.get("forbidden", []):
        rest = dict(clause)
        wanted = rest.pop(name, value)
        if value in _as_list(wanted) and not gone & rest.keys():
            if not rest:
                raise SpaceError(name, f"{value!r} is forbidden by the space")
            clauses.append(rest)
    return {**fixed, "forbidden": clauses} if clauses else fixed


def _form(hp: Hyperparameter[Any, Any]) -> dict[str, Any]:
    from ConfigSpace import CategoricalHyperparameter, Constant, OrdinalHyperparameter
    from ConfigSpace.hyperparameters import UniformFloatHyperparameter, UniformIntegerHyperparameter

    if isinstance(hp, Constant):
        return {"constant": plain(hp.value)}
    if isinstance(hp, OrdinalHyperparameter):
        values = [plain(v) for v in hp.sequence]
        if hp.meta and "step" in hp.meta:
            kind = hp.meta["kind"]
            return {kind: [values[0], values[-1]], "step": hp.meta["step"], "default": plain(hp.default_value)}
        return {"ordinal": values, "default": plain(hp.default_value)}
    if isinstance(hp, CategoricalHyperparameter):
        return {"choice": [plain(v) for v in hp.choices], "default": plain(hp.default_value), **_prior(hp)}
    if isinstance(hp, (UniformFloatHyperparameter, UniformIntegerHyperparameter)):
        kind = "float" if isinstance(hp, UniformFloatHyperparameter) else "int"
        form: dict[str, Any] = {kind: [plain(hp.lower), plain(hp.upper)], "default": plain(hp.default_value)}
        return {**form, **({"log": True} if hp.log else {}), **_prior(hp)}
    raise SpaceError(hp.name, f"the short form does not support {type(hp).__name__}; use a uniform range")


def _prior(hp: Hyperparameter[Any, Any]) -> dict[str, Any]:
    return {"prior": dict(hp.meta["prior"])} if hp.meta and "prior" in hp.meta else {}


def _when(space: ConfigurationSpace, name: str) -> dict[str, Any]:
    from ConfigSpace import AndConjunction, EqualsCondition, InCondition

    when: dict[str, Any] = {}
    for condition in space.parent_conditions_of[name]:
        for part in condition.components if isinstance(condition, AndConjunction) else [condition]:
            if isinstance(part, EqualsCondition):
                when[part.parent.name] = plain(part.value)
            elif isinstance(part, InCondition):
                when[part.parent.name] = [plain(v) for v in part.value]
            else:
                raise SpaceError(name, f"the short form does not support the condition {part}")
    return when


def _clause(clause: Any) -> dict[str, Any]:
    from ConfigSpace import ForbiddenAndConjunction, ForbiddenEqualsClause, ForbiddenInClause

    form: dict[str, Any] = {}
    for part in clause.components if isinstance(clause, ForbiddenAndConjunction) else [clause]:
        if isinstance(part, ForbiddenEqualsClause):
            form[part.hyperparameter.name] = plain(part.value)
        elif isinstance(part, ForbiddenInClause):
            form[part.hyperparameter.name] = [plain(v) for v in part.values]
        else:
            raise SpaceError("forbidden", f"the short form does not support the clause {part}")
    return form


def _is_gone(its: Mapping[str, Any], name: str, value: Any, gone: set[str]) -> bool:
    """Whether a hyperparameter can no longer exist once ``name`` has this value."""
    when = its.get("when", {})
    return bool(gone & when.keys()) or value not in _as_list(when.get(name, value))


def _as_list(wanted: Any) -> list[Any]:
    return list(wanted) if isinstance(wanted, (list, tuple)) else [wanted]


def _same(a: Any, b: Any) -> bool:
    return bool(a == b) and isinstance(a, bool) == isinstance(b, bool)
