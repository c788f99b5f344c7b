"""Models of several targets: one folder with a complete model for each."""

from __future__ import annotations

import json
import re
import shutil
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from automl.deployment.model_card import CARD, README, about_baseline, commands, usage
from automl.deployment.model_files import read_card, targets, version_of
from automl.deployment.predictor import Predictor, load_predictor, model_folder
from automl.errors import UserError
from automl.metrics import METRICS
from automl.study.run_folder import replace_folder
from automl.wording import significant

if TYPE_CHECKING:
    import pandas as pd


class JointPredictor:
    """Predicts several targets, each with its own model."""

    def __init__(self, parts: Mapping[str, Predictor], card: Mapping[str, Any]) -> None:
        """``parts``: by target."""
        self.parts, self.card = dict(parts), card

    @property
    def target(self) -> str:
        """The names of the targets."""
        return ", ".join(self.parts)

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of the columns that ``stream`` predicts."""
        return tuple(self.parts)

    @property
    def predicts_rows(self) -> bool:
        """As ``Predictor.predicts_rows``."""
        return next(iter(self.parts.values())).predicts_rows

    @property
    def about_predictions(self) -> str | None:
        """As ``Predictor.about_predictions``."""
        return next(iter(self.parts.values())).about_predictions

    def predict(self, examples: Any) -> NDArray[np.float64]:
        """The predicted numbers, (n, n_targets); ``examples``: as ``Predictor`` takes them."""
        return np.column_stack([part.predict(examples) for part in self.parts.values()])

    def predict_proba(self, examples: Any) -> NDArray[np.float64]:
        """Raises UserError, since the targets are numbers."""
        raise UserError("only classifiers have probabilities; use predict")

    def stream(self, path: Path, unusable: Counter[str] | None = None) -> Iterator[pd.DataFrame]:
        """As ``Predictor.stream``, with a column for each target."""
        import pandas as pd

        counters: list[Counter[str]] = [Counter() for _ in self.parts]
        streams = [
            part.stream(path, each, self.columns) for part, each in zip(self.parts.values(), counters, strict=True)
        ]
        for first, *others in zip(*streams, strict=True):
            columns = [chunk[[name]] for name, chunk in zip(self.columns[1:], others, strict=True)]
            joined = pd.concat([first, *columns], axis=1)
            joined.attrs = first.attrs
            yield joined
        if unusable is not None:
            for each in counters:  # the models read nearly the same columns
                unusable.update(each - unusable)


def load(run: str | Path) -> Predictor | JointPredictor:
    """Load the model of a run from the run's folder, or from a copy of its folder ``model``.

    UserError if there is no such folder, or no model in it that predicts.
    """
    folder = model_folder(run)
    card = read_card(folder / CARD)
    if parts := targets(card, folder):
        return JointPredictor({name: load_predictor(place) for name, place in parts.items()}, card)
    return load_predictor(folder)


def folder_names(names: Sequence[str]) -> dict[str, str]:
    """A folder name for each target: its own name if that is a plain word, not too long, and a number otherwise."""
    numbered = {name: f"target-{i}" for i, name in enumerate(names, 1)}
    found = {name: name if re.fullmatch(r"\w[\w-]{0,199}", name, re.ASCII) else numbered[name] for name in names}
    different = {place.lower() for place in found.values()} - {"model"}  # file systems may ignore case
    return found if len(different) == len(names) else numbered


def join(models: Mapping[str, Path], out: Path) -> dict[str, Any]:
    """Copy the model of each target into one folder, which is created as a whole; returns its card."""
    aside = out.with_name(f"{out.name}.writing")
    shutil.rmtree(aside, ignore_errors=True)
    places = folder_names(list(models))
    for name, model in models.items():
        shutil.copytree(model, aside / places[name])
    cards = {name: read_card(aside / place / CARD) for name, place in places.items()}
    name, first = next(iter(cards.items()))
    valid = [each["validation"] for each in cards.values()]
    scored = [metric for metric in first["test"] if all(metric in each["test"] for each in cards.values())]
    card = {
        "format": 1,
        "task": "-".join((first["task"].removesuffix(f"-{name}"), *places)),
        "kind": first["kind"],
        "targets": places,
        "made": "joint",
        "metric": first["metric"],
        "maximize": first["maximize"],
        "validation": None if None in valid else float(np.mean(valid)),
        "test": {metric: float(np.mean([each["test"][metric] for each in cards.values()])) for metric in scored},
        "version": max(map(version_of, cards.values())),
        **{name: first.get(name) for name in ("started", "versions")},
    }
    if all("milliseconds_per_row" in each for each in cards.values()):  # of the default plan
        card["milliseconds_per_row"] = round(sum(each["milliseconds_per_row"] for each in cards.values()), 4)
    (aside / CARD).write_text(json.dumps(card, indent=2) + "\n", encoding="utf-8")
    (aside / README).write_text(_readme(card, cards), encoding="utf-8")
    replace_folder(out, aside)
    return card


def score_rows(card: Mapping[str, Any], cards: Mapping[str, Mapping[str, Any]]) -> list[tuple[str, list[float | None]]]:
    """A row for each target and one for all: the validation score in the metric of the joint card, and its test scores.

    None in the last row for a metric in the units of the targets, which has no mean.
    """

    def scores(each: Mapping[str, Any]) -> list[float | None]:
        return [each["validation"], *(each["test"][name] for name in card["test"])]

    means = zip((card["metric"], *card["test"]), scores(card), strict=True)
    last = [None if METRICS[metric].has_unit else mean for metric, mean in means]
    return [*((name, scores(each)) for name, each in cards.items()), ("mean of all", last)]


def _readme(card: Mapping[str, Any], cards: Mapping[str, Mapping[str, Any]]) -> str:
    """The README, from the joint card and the card of each target."""
    metric, scores = card["metric"], list(card["test"])
    lines = [f"# A model of {card['task']}", "", f"This predicts {len(cards)} targets, each with its own model.", ""]
    lines += [f"| target | {metric} on validation |" + "".join(f" {name} on test |" for name in scores)]
    lines += ["|---|---|" + "---|" * len(scores)]
    for name, values in score_rows(card, cards):
        lines += [f"| {name} | {' | '.join('-' if value is None else significant(value) for value in values)} |"]
    lines += [""]
    for name, each in cards.items():
        lines += [f"- {name}, in `{card['targets'][name]}/`: {each['said']}. {about_baseline(each)}".rstrip()]
    lines += ["", *usage("a file's path or a frame; (n, k), a column for each target"), *commands("ONNX files")]
    lines += ["`automl.load` also reads the folder of one of these models.", ""]
    return "\n".join(lines)
