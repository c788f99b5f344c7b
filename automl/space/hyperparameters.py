"""The short form of one hyperparameter, converted to ConfigSpace; see ``automl.space.parse`` for examples."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from automl.errors import UserError, abridged
from strategies.encoding import plain
from strategies.errors import did_you_mean

if TYPE_CHECKING:
    from ConfigSpace.hyperparameters import Hyperparameter

MAX_EXACT_INT = 2**53  # floats, and so JSON, represent all ints up to it exactly
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


def hyperparameter(name: Any, form: Any) -> Hyperparameter[Any, Any]:
    """A hyperparameter from its short form, without conditions. Raises SpaceError on the first broken rule."""
    if not isinstance(name, str) or not name:
        raise SpaceError(str(name), f"a name must be a non-empty string, got {name!r}")
    if not isinstance(form, Mapping):
        raise SpaceError(name, f"expected a mapping such as {{float: [0, 1]}}, got {form!r}")
    kinds = [kind for kind in KINDS if kind in form]
    if len(kinds) != 1:
        if name == "forbidden":
            raise SpaceError(name, f"expected a list of entries such as [{{name: value}}], got {dict(form)!r}")
        seen = ", ".join(map(str, form)) or "nothing"
        hint = "" if kinds else "".join(did_you_mean(str(key), KINDS) for key in form)
        raise SpaceError(name, f"{hint}give exactly one of {', '.join(KINDS)}; got {seen}")
    kind = kinds[0]
    for option in form:
        if option != kind and option not in OPTIONS[kind]:
            hint, known = did_you_mean(option, OPTIONS[kind]), ", ".join(sorted(OPTIONS[kind]))
            raise SpaceError(name, f"unknown option {option!r} for {kind}; {hint}choose one of: {known}")
    if kind == "constant":
        return _constant(name, form["constant"])
    if kind in ("float", "int"):
        return _range(name, kind, form)
    values, default = _listed(name, kind, form[kind]), scalar(form.get("default"))
    meta: dict[Hashable, Any] | None = None
    if form.get("prior") is not None:
        around, sure = _belief(name, form["prior"])
        around = _one_of(name, values, around, "a prior must lie around")
        meta, default = {"prior": {"around": around, "sure": sure}}, around if default is None else default
    return _values(name, kind, values, default, meta)


def _constant(name: str, value: Any) -> Hyperparameter[Any, Any]:
    from ConfigSpace import Constant

    value = scalar(value)
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
        default = number(name, kind, default, "default")
        if not low <= default <= high:
            raise SpaceError(name, f"the default must lie in [{low}, {high}], got {default}")
    if low == high:
        return _constant(name, low)
    meta = None
    if form.get("prior") is not None:
        if step is not None:
            raise SpaceError(name, "step and prior exclude each other; leave one of them out")
        around, sure = _belief(name, form["prior"])
        around = number(name, kind, around, "prior")
        if not low <= around <= high:
            raise SpaceError(name, f"a prior must lie around a value in [{low}, {high}], got {around}")
        meta, default = {"prior": {"around": around, "sure": sure}}, around if default is None else default
    if step is not None:
        return _grid(name, kind, (low, high), log, number(name, kind, step, "step"), default)
    if kind == "float":
        return Float(name, (low, high), log=log, default=default, meta=meta)
    whole = None if default is None else int(default)
    return Integer(name, (int(low), int(high)), log=log, default=whole, meta=meta)


def _belief(name: str, prior: Any) -> tuple[Any, float]:
    """The value around which the user believes the optimum to lie, and how sure they are."""
    if not isinstance(prior, Mapping) or prior.keys() != {"around", "sure"}:
        raise SpaceError(name, f"prior needs {{around: value, sure: share}}, got {prior!r}")
    sure = number(name, "float", prior["sure"], "prior's sure")
    if not 0 < sure < 1:
        raise SpaceError(name, f"sure must lie between 0 (a guess) and 1 (certain), got {sure:g}")
    return scalar(prior["around"]), sure


def _grid(
    name: str, kind: str, bounds: tuple[float, float], log: bool, step: float, default: Any
) -> Hyperparameter[Any, Any]:
    low, high = bounds
    if log:
        raise SpaceError(name, "step and log exclude each other; use an ordinal for a grid on a log scale")
    if not 0 < step <= high - low:
        raise SpaceError(name, f"step must lie in (0, {high - low}], got {step}")
    count = int((high - low) // step if kind == "int" else (high - low) / step + 1e-9) + 1
    if count > 10_000:
        raise SpaceError(name, f"step {step} gives {count} values, at most 10000 are allowed; leave step out")
    values = [low + i * step for i in range(count)]
    if kind == "float":
        # Of 0.1 + 2 * 0.1, the digits that the bounds and the step do not have are noise.
        digits = 12 + max(0, math.ceil(math.log10(max(abs(low), abs(high)) / step)))
        values = [min(max(float(f"{value:.{min(15, digits)}g}"), low), high) for value in values]
    return _values(name, "ordinal", values, default, meta={"step": step, "kind": kind})


def _listed(name: str, kind: str, values: Any) -> list[Any]:
    if not isinstance(values, Sequence) or isinstance(values, str) or not values:
        raise SpaceError(name, f"{kind} needs a list of values, got {values!r}")
    return [scalar(value) for value in values]


def _values(
    name: str, kind: str, values: list[Any], default: Any, meta: Mapping[Hashable, Any] | None = None
) -> Hyperparameter[Any, Any]:
    from ConfigSpace import Categorical, OrdinalHyperparameter

    for value in values:
        _check_value(name, value)
    if any(isinstance(v, bool) for v in values) and not all(isinstance(v, bool) for v in values):
        raise SpaceError(
            name,
            f"true/false are mixed with other values in {values}; quote those that are names, as in 'true'",
        )
    if len(set(values)) != len(values):
        raise SpaceError(name, f"the values must differ, got {values}")
    if default is None:
        default = values[0] if kind == "choice" else values[(len(values) - 1) // 2]
    default = _one_of(name, values, default, "the default must be")
    if len(values) == 1:
        return _constant(name, values[0])
    if kind == "choice":
        return Categorical(name, values, default=default, meta=None if meta is None else dict(meta))
    return OrdinalHyperparameter(name, values, default_value=default, meta=meta)


def _one_of(name: str, values: list[Any], wanted: Any, rule: str) -> Any:
    """The value that is equal, of the same type if one of them is true or false."""
    for value in values:
        if value == wanted and isinstance(value, bool) == isinstance(wanted, bool):
            return value
    raise SpaceError(name, f"{rule} one of {values}, got {wanted!r}")


def _bounds(name: str, kind: str, bounds: Any) -> tuple[float, float]:
    if not isinstance(bounds, Sequence) or isinstance(bounds, str) or len(bounds) != 2:
        raise SpaceError(name, f"{kind} needs [low, high], got {bounds!r}")
    low, high = (number(name, kind, bound, "bound") for bound in bounds)
    if low > high:
        raise SpaceError(name, f"the lower bound must not exceed the upper, got [{low}, {high}]")
    if kind == "int" and max(abs(low), abs(high)) > MAX_EXACT_INT:
        raise SpaceError(name, f"a bound of an int must lie within +-{MAX_EXACT_INT}, got [{low}, {high}]")
    rounded = round(low, DECIMALS), round(high, DECIMALS)
    changed = any(abs(kept - bound) > 1e-6 * abs(bound) for kept, bound in zip(rounded, (low, high), strict=True))
    if kind == "float" and (changed or (low < high and rounded[0] == rounded[1])):
        raise SpaceError(
            name, f"ConfigSpace keeps {DECIMALS} decimals of a bound, too few for [{low}, {high}]; rescale it"
        )
    if kind == "float" and not math.isfinite(2 * 10**DECIMALS * max(abs(low), abs(high))):  # as when it is rounded
        raise SpaceError(name, f"the range [{low}, {high}] is too wide for floating-point numbers")
    return low, high


def number(name: str, kind: str, value: Any, what: str) -> float:
    """The number of a float or int hyperparameter. SpaceError if it is none; ``what`` says what it is for."""
    if isinstance(value, str):
        raise SpaceError(name, f"a {what} must be a number, got the string {value!r}; write it without quotes")
    value = scalar(value)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not _is_finite(value):
        raise SpaceError(name, f"a {what} must be a finite number, got {abridged(repr(value), 60)}")
    if kind == "int" and value != int(value):
        raise SpaceError(name, f"a {what} of an int must be whole, got {value!r}")
    return int(value) if kind == "int" else float(value)


def scalar(value: Any) -> Any:
    """One of NumPy's scalars as a plain Python value; anything else as it is."""
    return plain(value) if getattr(value, "shape", None) == () else value


def _is_finite(value: float) -> bool:
    try:
        return math.isfinite(value)
    except OverflowError:  # of an int that no float can hold
        return False


def _check_value(name: str, value: Any) -> None:
    if not isinstance(value, (bool, int, float, str)):
        shown = "null" if value is None else abridged(repr(value), 60)
        raise SpaceError(
            name,
            f"a value must be true/false, a number or a string, got {shown}; name the values, and map the names in "
            "your function",
        )
    if isinstance(value, float) and not math.isfinite(value):
        raise SpaceError(name, f"a value must be finite, got {value!r}")
