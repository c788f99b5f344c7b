"""The two files that describe a trained model beside its weights: config.json and preprocessing.json."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def write_description(folder: Path, config: Mapping[str, Any], preprocessing: Mapping[str, Any]) -> None:
    for name, content in (("config", config), ("preprocessing", preprocessing)):
        (folder / f"{name}.json").write_text(json.dumps(dict(content), indent=2) + "\n", encoding="utf-8")


def read_description(folder: Path) -> tuple[Any, Any]:
    """The config and the preprocessing, as they were written."""
    config, preprocessing = (
        json.loads((folder / f"{name}.json").read_text(encoding="utf-8")) for name in ("config", "preprocessing")
    )
    return config, preprocessing
