"""The kinds of data, by name: each has a module with a function ``read`` and an encoder, imported on first use."""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from typing import Any

from automl.data.ingest.encoder import ENCODER, Reader

ENCODERS = {  # kind of data -> module in this package with read(request), and the name of its encoder
    "table": "table:TableEncoder",
    "text": "text:TextEncoder",
    "molecules": "molecules:MoleculesEncoder",
    "images": "images:ImagesEncoder",
    "sequences": "sequences:SequencesEncoder",
    "series": "series:SeriesEncoder",
    "pairs": "pairs:PairsEncoder",
}


def kind_module(kind: str) -> Any:
    """The module of a kind of data, which has the function ``read``."""
    return importlib.import_module(f"automl.data.ingest.{ENCODERS[kind].partition(':')[0]}")


def encoder_class(kind: str) -> Any:
    """The encoder class of a kind of data."""
    return getattr(kind_module(kind), ENCODERS[kind].partition(":")[2])


def load_encoder(folder: Path) -> tuple[Reader, dict[str, Any]]:
    """The encoder saved in a folder, and the facts saved with it."""
    content = json.loads((folder / ENCODER).read_text(encoding="utf-8"))
    encoder: Reader = encoder_class(content["kind"]).from_json(content)
    return encoder, content
