"""What the user says of their data on the command line, and the kind of data that follows from it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from automl.errors import UserError
from strategies.errors import did_you_mean

KINDS = ("table", "text", "molecules", "images", "sequences", "series", "pairs")
COLUMNS = ("target", "text", "smiles", "time", "group", "source", "into")  # options that name one
USED = {  # options that a kind of data takes, besides --kind
    "table": ("target", "time", "group"),
    "text": ("target", "text", "time", "group"),
    "molecules": ("target", "smiles", "time", "group"),
    "images": (),
    "sequences": (),
    "series": ("target", "time", "horizon", "group"),
    "pairs": ("source", "into", "time", "group"),
}
TARGETS = {"classification": "classes", "regression": "number"}
SMILES_NAMES = ("smiles", "canonical_smiles", "isomeric_smiles")


@dataclass(frozen=True)
class Request:
    """A file or folder, and which column is what. None: not said."""

    data: str
    target: str | None = None
    text: str | None = None
    smiles: str | None = None
    time: str | None = None
    horizon: int | None = None
    group: str | None = None
    source: str | None = None
    into: str | None = None
    kind: str | None = None  # of the data, of the target or both: "table", "regression", "text,classification"
    spelled: bool = False  # classes are those of a model, codes such as 01, which are no numbers in a new file either

    @property
    def path(self) -> Path:
        return Path(self.data)

    @property
    def said(self) -> tuple[str, ...]:
        """The words of ``kind``. UserError for one that is none."""
        words = tuple(word.strip() for word in (self.kind or "").split(",") if word.strip())
        for word in words:
            if word not in (*KINDS, *TARGETS):
                hint = did_you_mean(word, (*KINDS, *TARGETS))
                raise UserError(f"unknown --kind {word!r}; {hint}choose one of: {', '.join((*KINDS, *TARGETS))}")
        for group in (KINDS, tuple(TARGETS)):
            if sum(word in group for word in words) > 1:
                raise UserError(f"--kind {self.kind!r} contradicts itself; choose one of: {', '.join(group)}")
        return words

    @property
    def target_kind(self) -> str | None:
        """classes or number, where it was said."""
        return next((TARGETS[word] for word in self.said if word in TARGETS), None)

    @property
    def data_kind(self) -> str | None:
        """One of KINDS as far as it follows from what was said and from the file's name; None: a file of columns."""
        told = next((word for word in self.said if word in KINDS), None)
        if told:
            return told
        if self.path.is_dir():
            return "images"
        if self.path.suffix.lower() == ".ts":
            return "sequences"
        if self.source or self.into:
            return "pairs"
        if self.smiles:
            return "molecules"
        if self.text:
            return "text"
        return "series" if self.horizon else None

    def checked(self) -> Request:
        """UserError for what contradicts itself or is not there."""
        if not self.path.exists():
            hint = did_you_mean(self.path.name, (path.name for path in self.path.parent.glob("*")))
            raise UserError(f"there is no file or folder {self.data!r}; {hint}give a path that exists")
        for option in COLUMNS:
            same = next((o for o in COLUMNS if o != option and getattr(self, o) == getattr(self, option)), None)
            if getattr(self, option) is not None and same is not None:
                raise UserError(f"--{option} and --{same} must be two columns, got {getattr(self, option)!r} for both")
        if self.horizon is not None and self.horizon < 1:
            raise UserError(f"--horizon must be 1 step or more, got {self.horizon}")
        if self.horizon is not None and not self.time:
            raise UserError("--horizon needs the column of time: --time date")
        return replace(self, data=str(self.path.resolve()))


def check_used(request: Request, kind: str) -> None:
    """UserError where an option was given that data of this kind have no use for."""
    for option in (*COLUMNS, "horizon"):
        if getattr(request, option) is not None and option not in USED[kind]:
            taken = ", ".join(f"--{name}" for name in USED[kind])
            told = f"they take {taken}" if taken else "their labels are the folders' names or stand in the file"
            raise UserError(f"data of the kind {kind} have no use for --{option}; {told}")


def spelled_target(request: Request) -> dict[str, bool]:
    """That the target is no number, where its classes count as they are spelled. See ``read_table``."""
    return {request.target: False} if request.target is not None and request.spelled else {}


def column(name: str, columns: Sequence[str], option: str) -> str:
    """The name, where there is such a column; UserError with the nearest otherwise."""
    if name in columns:
        return name
    has = ", ".join(map(str, columns[:20]))
    raise UserError(f"{option} {name!r} is not a column of the file; {did_you_mean(name, columns)}it has: {has}")
