"""YAML without duplicate keys in a mapping, where PyYAML would silently take the last."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

import yaml

MERGE = "tag:yaml.org,2002:merge"  # the tag of the key <<, whose values may be overridden


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


def load_yaml(text: str) -> Any:
    """The content of a YAML text. yaml.YAMLError if it is invalid, or a key occurs twice in a mapping."""
    return yaml.load(text, _Loader)  # a SafeLoader  # nosec B506
