"""The versions of a run's model: their folders, their facts, and the current one.

``versions/N/`` holds the result of update N: update.json, the merged data, and ``model`` if it was promoted. The run's
own ``model`` is a link to the current version, so that switching is atomic. Version 1 is the run's.

An update builds on the data of the version in use. The data of refused and rolled-back updates only show
which examples were judged already.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from automl.deployment.model_card import CARD, without_nan
from automl.deployment.model_files import read_card, version_of
from automl.errors import UserError
from automl.study.run_folder import RunFolder, write_atomic

FACTS = "update.json"
MODEL = "model"
BUILT_ON = "built_on"  # in update.json: the version whose model and data the update started from
UNUSED = ".unused"  # in a promoted version until it has become the current one


@dataclass(frozen=True)
class Lineage:
    """The version of one model that an update starts from."""

    models: Mapping[int, Path]  # of this version and those that it was built on, none of which has seen later data
    current: int
    coming: int  # the number of the next version
    data: Path  # what the current version was built from
    older: Sequence[Path]  # the data of the versions that it was built on, of which ``data`` may have a part only
    tried: Sequence[Path]  # the data of updates that started from it with the same options, refused or rolled back


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
        # Archives and cloud storage copy the link's target instead; with several targets, each has its own card.
        cards = map(read_card, (model / CARD, *model.glob(f"*/{CARD}")))
        return max(map(version_of, cards))

    def in_use(self, target: str = "") -> int:
        """The current version, or that of one target's model, which may be older than the joint model's."""
        if not target or len(self.numbers) < 2:
            return self.current
        return version_of(read_card(self.folder.model / target / CARD))

    def data(self, number: int, target: str = "") -> Path:
        """The merged data of a version, or of its target with this folder."""
        place = self.folder if number == 1 else RunFolder(self.place(number))
        return RunFolder(place.targets / target).data if target else place.data

    def facts(self, number: int, target: str = "") -> dict[str, Any]:
        """The content of an update's update.json, or its part on a target; empty for the run itself.

        UserError if it is missing or damaged.
        """
        if number == 1:
            return {}
        file = self.place(number) / FACTS
        try:
            facts: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
            _ = facts["promoted"]
            if not target:
                return facts
            return next((part for part in facts.get("targets", {}).values() if part["folder"] == target), {})
        except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
            reason = "it is missing" if isinstance(error, FileNotFoundError) else error
            first = "use an earlier version with --rollback and " if number <= self.current else ""
            raise UserError(
                f"{str(file)!r} is damaged ({reason}); copy it back, or {first}delete {str(file.parent)!r}"
            ) from error

    @property
    def models(self) -> dict[int, Path]:
        """The folders of the models that can be used, by version; a refused candidate is not kept."""
        found = {} if self.folder.model.is_symlink() else {1: self.folder.model}
        kept = {number: self.place(number) / MODEL for number in self.numbers}
        return found | {number: place for number, place in kept.items() if place.is_dir()}

    def history(self, target: str = "") -> list[dict[str, Any]]:
        """The facts of each version with its ``number`` and whether it is ``in_use``; empty without an update."""
        numbers, used = self.numbers, self.in_use(target)
        if len(numbers) < 2:
            return []
        return [self.facts(number, target) | {"number": number, "in_use": number == used} for number in numbers]

    def lineage(self, options: Mapping[str, Any], target: str = "") -> Lineage:
        """What an update with these options starts from, for the model or for that of the target with this folder."""
        current, numbers, models = self.in_use(target), self.numbers, self.models
        tried = [number for number in numbers if self._was_tried(self.facts(number, target), current, options)]
        built_on = self._built_on(current, target)
        return Lineage(
            {number: models[number] / target for number in built_on if number in models},
            current,
            numbers[-1] + 1,
            self.data(current, target),
            [place for n in built_on if n != current and (place := self.data(n, target)).is_dir()],
            [self.data(number, target) for number in tried],
        )

    @contextmanager
    def writing(self) -> Iterator[Path]:
        """The folder that `begin` returns, deleted if it does not become a version: its data may fill the disk."""
        place = self.begin()
        try:
            yield place
        finally:
            shutil.rmtree(place, ignore_errors=True)

    def begin(self) -> Path:
        """An empty folder for the next version; what a killed update has left in it is deleted."""
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
        """Complete what a killed update has left behind; call with the folder locked."""
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

    def _was_tried(self, facts: Mapping[str, Any], current: int, options: Mapping[str, Any]) -> bool:
        """Whether these are the facts of an update that started from the current version with these options."""
        return facts.get(BUILT_ON) == current and bool(facts["options"] == options)

    def _built_on(self, number: int, target: str) -> list[int]:
        """The versions whose data are part of a version's data, and the version itself."""
        if number == 1:
            return [1]
        before = self.facts(number, target).get(BUILT_ON)
        if before is None:  # by an older release: built on all earlier updates, even refused ones
            return [other for other in self.numbers if other <= number]
        return [*self._built_on(before, target), number]

    def _keep_first(self) -> None:
        first = self.place(1)
        if self.current != 1 or (first / MODEL).is_dir():
            return
        first.mkdir(parents=True, exist_ok=True)
        aside = first / "model.writing"
        shutil.rmtree(aside, ignore_errors=True)
        shutil.copytree(self.folder.model, aside)
        aside.rename(first / MODEL)
