"""The initial configs of a search: the user's own, and those recommended by past studies."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from automl.errors import UserError
from automl.space.hyperparameters import scalar
from strategies.base import Start
from strategies.encoding import Encoding
from strategies.errors import did_you_mean

if TYPE_CHECKING:
    from ConfigSpace import ConfigurationSpace

    from strategies.encoding import Dimension
    from strategies.portfolio import PastStudy
    from strategies.types import Config, Value


MAX_PRIOR_CONFIGS = 5  # in a search without a trial budget


def most_configs(n_trials: int | None) -> int:
    """The maximum number of configs from past studies: a fifth of the budget."""
    return MAX_PRIOR_CONFIGS if n_trials is None else n_trials // 5


def starts(
    space: ConfigurationSpace, task: str, n_trials: int | None, given: Any = (), studies: Sequence[PastStudy] = ()
) -> list[Start]:
    """The configs to try after the default: the user's own, then those recommended by past studies.

    ``given``: one config or several; omitted hyperparameters take their defaults. UserError for one that does not fit
    the space.
    """
    encoding = Encoding(space)
    configs = [given] if isinstance(given, Mapping) else given
    if not isinstance(configs, (list, tuple)) or not all(isinstance(config, Mapping) for config in configs):
        raise UserError(f"configs to start from must be a list of mappings, e.g. - {{lr: 0.01}}; got {given!r}")
    own = [Start(completed(config, encoding)) for config in configs]
    if not studies:
        return own
    from strategies.portfolio import portfolio

    return own + portfolio(space, studies, task, most_configs(n_trials))


def completed(config: Mapping[Any, Any], encoding: Encoding) -> Config:
    """The config with defaults for omitted hyperparameters, and for NaN, which a table has for inactive ones."""
    values = {name: scalar(value) for name, value in config.items()}
    given = {name: value for name, value in values.items() if not (isinstance(value, float) and math.isnan(value))}
    for name, value in given.items():
        if name not in encoding.names:
            hint = did_you_mean(name, encoding.names)
            raise UserError(f"start: no hyperparameter {name!r}; {hint}the space has: {', '.join(encoding.names)}")
        if not isinstance(value, (bool, int, float, str)):
            raise UserError(f"start: {name!r} needs one value, got {value!r}")
    dimensions = {dim.name: dim for dim in encoding.dimensions}
    try:
        full = encoding.build(lambda dim: given.get(dim.name, dim.default))
        encoding.check(full | given)
    except ValueError as error:
        raise UserError(f"start: {error}") from None
    return {name: _own_value(dimensions[name], value) for name, value in full.items()}


def _own_value(dimension: Dimension, value: Value) -> Value:
    """The space's own form of a value: the 16 of an ordinal for 16.0, which a table of floats may have made of it."""
    if dimension.values:
        return dimension.from_unit(dimension.to_unit(value))
    return int(value) if dimension.kind == "int" else float(value)


def read_starts(file: Path) -> Any:
    """The config or configs in a YAML file, such as a run's best.yaml. UserError if it cannot be read."""
    import yaml

    from automl.space.yaml_text import about_yaml, load_yaml

    try:
        return load_yaml(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"cannot read the configs to start from, {str(file)!r}: {error.strerror}") from None
    except (UnicodeDecodeError, yaml.YAMLError) as error:
        raise UserError(f"the file {str(file)!r} is not YAML: {about_yaml(error)}") from None


def to_json(prior: Sequence[Start]) -> list[dict[str, Any]]:
    """The configs as JSON, for the settings of a study."""
    return [{"config": start.config, "study": start.study} for start in prior]


def from_json(content: Sequence[Mapping[str, Any]] | None) -> list[Start]:
    """The inverse of ``to_json``; empty for a study without initial configs."""
    return [Start(entry["config"], entry["study"]) for entry in content or []]


def in_words(prior: Sequence[Start]) -> str:
    """One line that describes the initial configs."""
    own = sum(start.study is None for start in prior)
    parts = [f"{_configs(own)} of yours"] if own else []
    return ", ".join(["starts from the default configuration", *parts, *recommended(prior)])


def recommended(prior: Sequence[Start]) -> list[str]:
    """The number of configs from past studies, as a phrase; empty if there are none.

    The studies are not named: those on the user's data are named by file paths, which may look like data in use.
    """
    n = sum(start.study is not None for start in prior)
    if not n:
        return []
    return [f"{_configs(n)} recommended by past studies (hyperparameters only); --prior none leaves them out"]


def _configs(count: int) -> str:
    return f"{count} configuration" + ("s" if count != 1 else "")
