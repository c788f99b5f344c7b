"""What stands beside a model's weights: model.json for programs, README.md for people."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from automl.task import Task

if TYPE_CHECKING:
    pass

if TYPE_CHECKING:
    from automl.task import Task

CARD = "model.json"
README = "README.md"


def write_card(
    folder: Path,
    task: Task,
    kept: Kept,
    data: Mapping[str, Any] | None,
    about: Mapping[str, Any],
    validation: float | None,
) -> dict[str, Any]:
    """Writes both files, and gives what stands in model.json."""
    encoder = folder / "encoder.json"
    facts = json.loads(encoder.read_text(encoding="utf-8")) if encoder.exists() else {}
    card = {
        "format": 1,
        "task": task.name,
        "kind": facts.get("kind"),
        "target": facts.get("target"),
        "made": kept.made,
        "said": kept.said,
        "metric": task.metric,
        "maximize": task.maximize,
        "validation": validation,
        "test": kept.scores,
        "temperature": kept.temperature,
        "members": kept.members,
        "data": data,
        **about,
    }
    (folder / CARD).write_text(json.dumps(card, indent=2) + "\n", encoding="utf-8")
    (folder / README).write_text(_readme(card), encoding="utf-8")
    return card


def _readme(card: Mapping[str, Any]) -> str:
    lines = [f"# A model of {card['task']}", "", f"It is {card['said']}.", ""]
    if card["test"]:
        lines += ["| on the test set | |", "|---|---|"]
        lines += [f"| {name} | {value:.4f} |" for name, value in card["test"].items()]
        lines += [""]
    if card["temperature"] != 1.0:
        lines += [f"Its probabilities are calibrated: temperature {card['temperature']:.3f}, by validation data.", ""]
    what = "the path of a file, a frame, or a list" if card["kind"] else "an array of raw examples"
    lines += [
        "```python",
        "import automl",
        "",
        'model = automl.load("path/of/this/folder")',
        f"model.predict(examples)  # {what}",
        "```",
        "",
    ]
    if card["kind"]:
        lines += [
            "From a terminal, with the folder of the run:",
            "",
            "```sh",
            "automl predict RUN --data new.csv --out answers.csv",
            "automl serve RUN           # answers over HTTP",
            "automl export RUN --onnx   # a file of ONNX",
            "```",
            "",
        ]
    lines += [
        "| file | |",
        "|---|---|",
        "| `model.safetensors` or `model.skops` | weights, in formats that hold no code |",
        "| `config.json` | the hyperparameters |",
        "| `preprocessing.json`, `encoder.json` | what comes before the model, as learnt from the training part |",
        "| `members/` | of an ensemble, its models |",
        "| `model.json` | all of this for programs, with versions and a fingerprint of the data |",
        "",
        f"Made by `{card['strategy']}` with seed {card['seed']}: {card['n_trials']} trials, started {card['started']}.",
    ]
    if card["data"]:
        sizes = ", ".join(f"{card['data'][part]:,} {name}" for part, name in PARTS.items())
        lines.append(f"Data: {sizes} (SHA-256 {card['data']['sha256'][:16]}).")
    return "\n".join(lines) + "\n"


PARTS = {"train": "to train on", "valid": "to choose by", "test": "to test on"}


@dataclass
class Kept:
    """A model on its way to its folder: its members with their weights, and what is to be said of it."""

    made: str  # single, refit or ensemble
    said: str
    members: list[dict[str, Any]] = field(default_factory=list)  # folder, weight; of an ensemble also trial, config
    temperature: float = 1.0
    scores: dict[str, float] = field(default_factory=dict)  # on the test set
