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

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from automl.errors import UserError
from automl.space.hyperparameters import SpaceError, hyperparameter, scalar
from strategies.errors import did_you_mean

if TYPE_CHECKING:
    from ConfigSpace import ConfigurationSpace

MAX_NESTING = 12  # levels of conditions; ConfigSpace's time grows exponentially with them


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
    hyperparameters = {name: hyperparameter(name, form) for name, form in forms.items()}
    space.add(*hyperparameters.values())
    _add_conditions(space, forms)
    for clause in clauses:
        _add_forbidden(space, clause)
    return space


def read_yaml(path: Path) -> Mapping[str, Any]:
    """The content of a YAML file. UserError if it is missing or not a mapping."""
    import yaml

    from automl.space.yaml_text import about_yaml, load_yaml

    try:
        content = load_yaml(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"cannot read the space file {str(path)!r}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise UserError(f"the space file {str(path)!r} is not text") from None
    except yaml.YAMLError as error:
        raise UserError(f"the space file {str(path)!r} is not YAML: {about_yaml(error)}") from None
    if not isinstance(content, dict):
        raise UserError(f"the space file {str(path)!r} must map names to hyperparameters, e.g. lr: {{float: [0.1, 1]}}")
    return content


def _add_conditions(space: ConfigurationSpace, forms: Mapping[str, Mapping[str, Any]]) -> None:
    from ConfigSpace import AndConjunction, EqualsCondition, InCondition

    levels = _levels(forms)
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
        if levels[name] > MAX_NESTING:
            raise SpaceError(name, f"its conditions are nested in more than {MAX_NESTING} levels, or circular")
        try:
            space.add(conditions[0] if len(conditions) == 1 else AndConjunction(*conditions))
        except Exception as error:  # ConfigSpace has no common class for these errors, such as cycles
            raise SpaceError(name, f"when {dict(when)} cannot hold: {' '.join(str(error).split())}") from None


def _levels(forms: Mapping[str, Mapping[str, Any]]) -> dict[str, int]:
    """In how many levels the conditions of each hyperparameter are nested, up to one more than MAX_NESTING."""
    parents = {
        name: tuple(when) if isinstance(when := form.get("when"), Mapping) else () for name, form in forms.items()
    }
    levels = dict.fromkeys(forms, 0)
    for _ in range(MAX_NESTING + 1):
        levels = {name: max((1 + levels.get(parent, 0) for parent in parents[name]), default=0) for name in forms}
    return levels


def _legal_values(space: ConfigurationSpace, name: str, where: str, other: Any, wanted: Any) -> list[Any]:
    if other not in space:
        hint, known = did_you_mean(other, space), ", ".join(space)
        raise SpaceError(name, f"{where} names {other!r}, which is not in this space; {hint}it has: {known}")
    values = [scalar(value) for value in (wanted if isinstance(wanted, (list, tuple)) else [wanted])]
    for value in values:
        if not isinstance(value, (bool, int, float, str)):
            raise SpaceError(name, f"{where} needs a value or a list of values of {other!r}, got {wanted!r}")
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
