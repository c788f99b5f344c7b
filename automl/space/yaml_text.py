"""YAML whose numbers may be written as 1e-3, and without duplicate keys in a mapping.

PyYAML follows YAML 1.1: it would read 1e-3 as a string, as a dot is missing, 16:9 as a number in base 60, and on, off,
yes and no as booleans. It would silently take the last of duplicate keys.
"""

from __future__ import annotations

import re
from collections.abc import Hashable, Mapping
from typing import Any

import yaml

MERGE = "tag:yaml.org,2002:merge"  # the tag of the key <<, whose values may be overridden
FLOAT, EXPONENT = "tag:yaml.org,2002:float", re.compile(r"[-+]?(\d+\.?\d*|\.\d+)[eE][-+]?\d+$")
BOOL, BOOLEAN = "tag:yaml.org,2002:bool", re.compile(r"(true|True|TRUE|false|False|FALSE)$")
STRING, BASE_60 = "tag:yaml.org,2002:str", re.compile(r"[-+]?[0-9][0-9_]*(:[0-5]?[0-9])+(\.[0-9_]*)?$")


class _Loader(yaml.SafeLoader):
    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen = set()
        for key_node, _ in node.value:
            key = None if key_node.tag == MERGE else self.construct_object(key_node, deep=True)
            if key is not None and isinstance(key, Hashable):
                if key in seen:
                    raise yaml.constructor.ConstructorError(
                        problem=f"the key {key!r} occurs twice", problem_mark=key_node.start_mark
                    )
                seen.add(key)
        return super().construct_mapping(node, deep)


class _Dumper(yaml.SafeDumper):
    """Quotes the strings that would be read as numbers."""


_Loader.yaml_implicit_resolvers = {  # the first that matches decides
    first: [(STRING, BASE_60), *((tag, pattern) for tag, pattern in resolvers if tag != BOOL)]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver(BOOL, BOOLEAN, list("tTfF"))
for each in (_Loader, _Dumper):
    each.add_implicit_resolver(FLOAT, EXPONENT, list("-+.0123456789"))


def dump_yaml(content: Mapping[str, Any]) -> str:
    """A mapping as YAML that ``load_yaml`` reads."""
    text: str = yaml.dump(content, Dumper=_Dumper, sort_keys=False)
    return text


def about_yaml(error: Exception) -> str:
    """An error of ``load_yaml`` in one line, with the place in the text."""
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark is not None:
        return f"line {error.problem_mark.line + 1}, column {error.problem_mark.column + 1}: {error.problem}"
    return " ".join(str(error).split())


def load_yaml(text: str) -> Any:
    """The content of a YAML text. yaml.YAMLError if it is invalid, or a key occurs twice in a mapping."""
    return yaml.load(text, _Loader)  # a SafeLoader  # nosec B506
