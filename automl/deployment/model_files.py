"""Reading the files of a model folder, which may come from anywhere; damage is reported in one line."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from automl.errors import UserError, abridged
from automl.metrics import DEFAULT_THRESHOLD


@contextmanager
def loading(place: Path) -> Iterator[None]:
    """Raise a one-line UserError if a file loaded in the context is missing, damaged or does not fit the model."""
    try:
        yield
    except UserError:
        raise
    except Exception as error:  # LightGBM and CatBoost raise exceptions of their own
        name = error.filename if isinstance(error, OSError) and error.filename else place
        reason = " ".join(abridged(str(error), 300).split())
        raise UserError(
            f"the model cannot be loaded: {str(name)!r} is missing, damaged or of another model "
            f"({type(error).__name__}: {reason}); copy the folder again or train again"
        ) from error


def read_card(file: Path) -> dict[str, Any]:
    """The content of model.json; empty if there is none. UserError if it is damaged."""
    if not file.is_file():
        return {}
    with loading(file):
        card = json.loads(file.read_text(encoding="utf-8"))
        if not isinstance(card, dict):
            raise ValueError("it holds no object")
        if not _is_positive(card.get("temperature", 1.0)):
            raise ValueError("its temperature is not a number above 0")
        if not _is_positive(card.get("threshold", DEFAULT_THRESHOLD)) or card.get("threshold", DEFAULT_THRESHOLD) >= 1:
            raise ValueError("its threshold is not a number between 0 and 1")
        shifts = card.get("shifts", [])
        if not isinstance(shifts, list) or not all(map(_is_finite, shifts)):
            raise ValueError("its shifts are not a list of finite numbers")
        return card


def version_of(card: Mapping[str, Any]) -> int:
    """The number of the model's version: 1 for that of a run, more for that of an update."""
    return int(card.get("version", 1))


def members(card: Mapping[str, Any], folder: Path) -> list[tuple[Path, float]]:
    """The folders of the models in a model folder, with their weights. UserError if one lies outside."""
    with loading(folder):
        found = [
            (folder / place["folder"], place["weight"])
            for place in card.get("members") or [{"folder": ".", "weight": 1.0}]
        ]
        for place, weight in found:
            if not place.resolve().is_relative_to(folder.resolve()):
                raise ValueError(f"the member {str(place)!r} lies outside of the folder")
            if not _is_positive(weight):
                raise ValueError("the weight of a member is not a number above 0")
        return found


def targets(card: Mapping[str, Any], folder: Path) -> dict[str, Path]:
    """The folder of each target's model, if there are several targets. UserError if one lies outside."""
    with loading(folder):
        found = {str(name): folder / place for name, place in (card.get("targets") or {}).items()}
        for place in found.values():
            if not place.resolve().is_relative_to(folder.resolve()):
                raise ValueError(f"the model {str(place)!r} lies outside of the folder")
        return found


def _is_finite(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _is_positive(value: Any) -> bool:
    return _is_finite(value) and value > 0
