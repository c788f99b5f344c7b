"""The description stored with a model's weights: model.json for programs, README.md for people."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from automl.analysis.formatting import shares_below_quantiles
from automl.metrics import DEFAULT_THRESHOLD
from automl.wording import significant

if TYPE_CHECKING:
    from automl.task import Task

CARD = "model.json"
README = "README.md"
FILES = {  # what a model's folder may have, besides the two files written here
    "model.safetensors": "`model.safetensors` | weights, in a format that cannot contain code",
    "model.skops": "`model.skops` | the fitted estimator, in a format that cannot contain code",
    "config.json": "`config.json` | the hyperparameters",
    "preprocessing.json": "`preprocessing.json` | preprocessing, fitted to the training set",
    "encoder.json": "`encoder.json` | from raw data to arrays",
    "members": "`members/` | the fitted models, each in a folder with its hyperparameters and preprocessing",
}


def write_card(
    folder: Path,
    task: Task,
    kept: ModelDraft,
    data: Mapping[str, Any] | None,
    about: Mapping[str, Any],
    validation: float | None,
) -> dict[str, Any]:
    """Write both files, and return the content of model.json."""
    encoder = folder / "encoder.json"
    facts = json.loads(encoder.read_text(encoding="utf-8")) if encoder.exists() else {}
    content = {
        "format": 1,
        "task": task.name,
        "kind": facts.get("kind"),
        "target": facts.get("target"),
        "made": kept.made,
        "said": kept.description,
        "metric": task.metric,
        "maximize": task.maximize,
        "validation": validation,
        "test": {name: score for name, score in kept.scores.items() if math.isfinite(score)},
        "temperature": kept.temperature,
        "threshold": kept.threshold,
        "shifts": list(kept.shifts),
        "below_quantiles": {f"{level:g}": share for level, share in kept.below_quantiles.items()},
        "members": kept.members,
        "baseline": _compared(kept, task, validation),
        "data": data,
        **about,
    }
    card: dict[str, Any] = without_nan(content)
    (folder / CARD).write_text(json.dumps(card, indent=2, allow_nan=False) + "\n", encoding="utf-8")
    (folder / README).write_text(_readme(card, folder), encoding="utf-8")
    return card


def without_nan(content: Any) -> Any:
    """Replace NaN and infinity, which JSON does not have, by None."""
    if isinstance(content, dict):
        return {name: without_nan(value) for name, value in content.items()}
    if isinstance(content, (list, tuple)):
        return [without_nan(value) for value in content]
    return None if isinstance(content, float) and not math.isfinite(content) else content


def _compared(kept: ModelDraft, task: Task, validation: float | None) -> dict[str, Any] | None:
    """The baseline with ``beaten``, whether the model is better than it; None if one of them has no score."""
    baseline = kept.baseline
    if baseline is None or "score" not in baseline:
        return None
    on_test = baseline["split"] == "test"
    reached = kept.scores.get(task.metric) if on_test else validation
    if reached is None or not (math.isfinite(reached) and math.isfinite(baseline["score"])):
        return None
    beaten = reached > baseline["score"] if task.maximize else reached < baseline["score"]
    return {**baseline, "beaten": bool(beaten)}


def _readme(card: Mapping[str, Any], folder: Path) -> str:
    lines = [f"# A model of {card['task']}", "", f"This is {card['said']}.", ""]
    if card["test"]:
        lines += ["| test set | |", "|---|---|"]
        lines += [f"| {name} | {value:.4f} |" for name, value in card["test"].items()]
        lines += [""]
    if baseline := about_baseline(card):
        lines += [baseline, ""]
    if card["temperature"] != 1.0:
        lines += [f"Its probabilities are calibrated on validation data: temperature {card['temperature']:.3f}.", ""]
    if card["threshold"] != DEFAULT_THRESHOLD:
        lines += [
            f"It predicts the second of its two classes where this has a probability above {card['threshold']:.4g}, "
            f"with which {card['metric']} is best out of fold.",
            "",
        ]
    if shares := card["below_quantiles"]:
        lines += [f"Shares of the {shares_below_quantiles(shares)}.", ""]
    lines += [
        *usage("a file's path, a frame, or a list" if card["kind"] else "an array of raw examples"),
        *(commands("an ONNX file, if all members have that form") if card["kind"] else []),
        "| file | |",
        "|---|---|",
        *(f"| {row} |" for name, row in FILES.items() if (folder / name).exists()),
        "| `model.json` | all of this page as JSON, with a fingerprint of the data |",
        "",
        _origin(card),
    ]
    if card["data"]:
        sizes = ", ".join(f"{card['data'][part]:,} {name}" for part, name in PARTS.items())
        lines.append(f"Examples: {sizes} (SHA-256 {card['data']['sha256'][:16]}).")
    return "\n".join(lines) + "\n"


def about_baseline(card: Mapping[str, Any]) -> str:
    """A sentence on the score of the baseline; empty if none was scored."""
    baseline = card.get("baseline")
    if baseline is None:
        return ""
    than = "" if baseline["beaten"] else ", and the model is not better"
    on = "on the test set" if baseline["split"] == "test" else baseline["split"]
    rows = f" {baseline['rows']}" if "rows" in baseline else ""  # of an update
    return f"The baseline, {baseline['name']}, has {card['metric']} {significant(baseline['score'])} {on}{than}.{rows}"


def usage(examples: str) -> list[str]:
    """How to use the model from Python. ``examples``: a description of what it takes."""
    return [
        "```python",
        "import automl",
        "",
        'model = automl.load("path/of/this/folder")',
        f"model.predict(examples)  # {examples}",
        "```",
        "",
    ]


def commands(exported: str) -> list[str]:
    """The commands that use the model. ``exported``: what ``automl export`` writes."""
    return [
        "From the command line, with the folder of the run:",
        "",
        "```sh",
        "automl predict RUN --data new.csv --out predictions.csv",
        "automl serve RUN           # predictions over HTTP",
        f"automl export RUN --onnx   # {exported}",
        "```",
        "",
    ]


def _origin(card: Mapping[str, Any]) -> str:
    n = card["n_trials"]
    trials = f"{n} {'trial' if n == 1 else 'trials'}"
    found = f"Made by `{card['strategy']}` with seed {card['seed']}: {trials}, started {card['started']}."
    if "updated" not in card:
        return found
    return f"{found} Updated with new data at {card['updated']}: version {card['version']}."


PARTS = {"train": "training", "valid": "validation", "test": "test"}


@dataclass
class ModelDraft:
    """A model being written: its members with their weights, and its description."""

    made: str  # single, refit or ensemble
    description: str
    members: list[dict[str, Any]] = field(default_factory=list)  # folder, weight; in an ensemble also trial, config
    temperature: float = 1.0
    threshold: float = DEFAULT_THRESHOLD  # of two classes, see automl.metrics.measure
    shifts: Sequence[float] = ()  # of quantiles, one per level, see automl.deployment.calibration
    scores: dict[str, float] = field(default_factory=dict)  # on the test set
    below_quantiles: dict[float, float] = field(default_factory=dict)  # by level of quantiles, on the test set
    baseline: Mapping[str, Any] | None = None  # name, score and split of a prediction without a model
