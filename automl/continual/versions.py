"""The versions of a run's model: their folders, their facts, and the current one.

``versions/N/`` holds the result of update N: update.json, the merged data, and ``model`` if it was promoted. The run's
own ``model`` is a link to the current version, so that switching is atomic. Version 1 is the run's.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from automl.deployment.model_card import CARD, without_nan
from automl.deployment.model_files import read_card
from automl.errors import UserError
from automl.study.run_folder import RunFolder, write_atomic

FACTS = "update.json"
MODEL = "model"
UNUSED = ".unused"  # in a promoted version until it has become the current one


@dataclass(frozen=True)
class Lineage:
    """The versions of one model."""

    models: Mapping[int, Path]  # those that can be used
    current: int
    coming: int  # the number of the next version


class Versions:
    """The versions of one run."""

    def __init__(self, folder: RunFolder) -> None:
        self.folder, self.root = folder, folder.versions

    def place(self, number: int) -> Path:
        return self.root / str(number)

    @property
    def numbers(self) -> list[int]:
        """The numbers of all completed updates, promoted or not, and 1 for the run itself."""
        if not self.root.is_dir():
            return [1]
        return sorted({1} | {int(path.name) for path in self.root.iterdir() if path.name.isdigit()})

    @property
    def current(self) -> int:
        """The current version."""
        model = self.folder.model
        if model.is_symlink():
            return int(model.readlink().parent.name)
        if len(self.numbers) < 2:
            return 1
        # Archives and cloud storage copy what the link leads to; of several targets, each has a card of its own.
        cards = map(read_card, (model / CARD, *model.glob(f"*/{CARD}")))
        return max(int(card.get("version", 1)) for card in cards)

    @property
    def latest(self) -> Path:
        """The folder of the latest update, or of the run."""
        number = self.numbers[-1]
        return self.folder.path if number == 1 else self.place(number)

    @property
    def data(self) -> Path:
        """The data of the latest update, or of the run: all data seen, whichever version is current."""
        return RunFolder(self.latest).data

    def bases(self, file: Path, options: Mapping[str, Any]) -> list[Path]:
        """The folders of the versions that an update with this file and these options may build on, by preference.

        The latest comes first. If this file was just refused, with other options, the version before that is the
        second: its data do not have the examples yet, so that the update can be repeated.
        """
        numbers = self.numbers
        while numbers[-1] > 1 and self._was_refused(self.facts(numbers[-1]), file, options):
            numbers.pop()
        before = self.place(numbers[-1]) if numbers[-1] > 1 else self.folder.path
        return list(dict.fromkeys((self.latest, before)))

    def facts(self, number: int) -> dict[str, Any]:
        """The content of an update's update.json; empty for the run itself."""
        file = self.place(number) / FACTS
        facts: dict[str, Any] = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
        return facts

    @property
    def models(self) -> dict[int, Path]:
        """The folders of the models that can be used, by version; a refused candidate is not kept."""
        found = {} if self.folder.model.is_symlink() else {1: self.folder.model}
        kept = {number: self.place(number) / MODEL for number in self.numbers}
        return found | {number: place for number, place in kept.items() if place.is_dir()}

    @property
    def history(self) -> list[dict[str, Any]]:
        """The facts of each version with its ``number`` and whether it is ``in_use``; empty without an update."""
        numbers, current = self.numbers, self.current
        if len(numbers) < 2:
            return []
        return [self.facts(number) | {"number": number, "in_use": number == current} for number in numbers]

    def history_of(self, target: str) -> list[dict[str, Any]]:
        """As ``history``, for the target with this folder: a version of the whole may have an earlier model of it."""
        used = int(read_card(self.folder.model / target / CARD).get("version", 1))
        return [_facts_of(facts, target) | {"in_use": facts["number"] == used} for facts in self.history]

    def lineage(self, target: str = "") -> Lineage:
        """The versions of the model, or of the model of the target with this folder."""
        models = {number: place / target for number, place in self.models.items()}
        return Lineage(models, self.current, self.numbers[-1] + 1)

    def begin(self) -> Path:
        """An empty folder for the next version; leftovers of an interrupted update are deleted."""
        self.recover()
        place = self.root / f"{self.numbers[-1] + 1}.writing"
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir(parents=True)
        return place

    def finish(self, writing: Path, facts: Mapping[str, Any]) -> int:
        """Turn the prepared folder into a version; if it has a model, make it the current one."""
        number = int(writing.name.removesuffix(".writing"))
        write_atomic(writing / FACTS, json.dumps(without_nan(dict(facts)), indent=2, allow_nan=False) + "\n")
        is_promoted = (writing / MODEL).is_dir()
        if is_promoted:
            self._keep_first()
            (writing / UNUSED).touch()
        writing.rename(self.place(number))
        if is_promoted:
            self.use(number)
        return number

    def use(self, number: int) -> None:
        """Make a version the current one. UserError if it has no model."""
        self._end_switch()
        known = self.models
        if number not in known:
            raise UserError(f"version {number} has no model; choose one of: {', '.join(map(str, known))}")
        self._keep_first()
        link = self.folder.path / f".model.{os.getpid()}"
        link.unlink(missing_ok=True)
        link.symlink_to(Path("versions") / str(number) / MODEL, target_is_directory=True)
        if self.folder.model.is_symlink():
            link.replace(self.folder.model)
        else:
            before = self.folder.model_before  # a folder cannot be replaced by a link atomically
            self.folder.model.rename(before)
            link.replace(self.folder.model)
            shutil.rmtree(before)
        (self.place(self.numbers[-1]) / UNUSED).unlink(missing_ok=True)

    def recover(self) -> None:
        """Complete what an update that was killed left behind; to be called with the folder locked."""
        self._end_switch()
        latest = self.numbers[-1]
        if (self.place(latest) / UNUSED).exists():
            self.use(latest)

    def _end_switch(self) -> None:
        """Undo a first switch that was killed between its steps, or end it."""
        for link in self.folder.path.glob(".model.*"):
            link.unlink()
        before = self.folder.model_before
        if not before.is_dir():
            return
        if self.folder.model.exists():
            shutil.rmtree(before)
        else:
            before.rename(self.folder.model)

    def _was_refused(self, facts: Mapping[str, Any], file: Path, options: Mapping[str, Any]) -> bool:
        """Whether these are the facts of a refused update with this file and other options."""
        if facts["promoted"] or facts["data"] != str(file.resolve()):
            return False
        return bool(facts["options"] != options)

    def _keep_first(self) -> None:
        first = self.place(1)
        if (first / MODEL).is_dir():
            return
        first.mkdir(parents=True, exist_ok=True)
        aside = first / "model.writing"
        shutil.rmtree(aside, ignore_errors=True)
        shutil.copytree(self.folder.model, aside)
        aside.rename(first / MODEL)


def _facts_of(facts: Mapping[str, Any], target: str) -> dict[str, Any]:
    parts = facts.get("targets", {}).values()
    found: dict[str, Any] = next((part for part in parts if part["folder"] == target), {})
    return found | {"number": facts["number"]}
