"""The data options of the command line, and the kind of data they imply."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from automl.errors import UserError
from strategies.errors import did_you_mean

KINDS = ("table", "text", "molecules", "images", "sequences", "series", "pairs")
COLUMNS = ("target", "text", "smiles", "time", "group", "source", "into", "weight")  # options that name a column
USED = {  # options of each kind of data, besides --kind
    "table": ("target", "time", "group", "weight"),
    "text": ("target", "text", "time", "group"),
    "molecules": ("target", "smiles", "time", "group"),
    "images": (),
    "sequences": (),
    "series": ("target", "time", "horizon", "group"),
    "pairs": ("source", "into", "time", "group"),
}
TARGETS = {"classification": "classes", "regression": "number"}
MAX_WHOLE_CLASSES = 20  # distinct integers; with more, the target is a number unless said otherwise
MAX_CLASSES = 500
MAX_LISTED, LAST_LISTED = 20, 5  # columns that an error lists
SMILES_NAMES = ("smiles", "canonical_smiles", "isomeric_smiles")


@dataclass(frozen=True)
class Request:
    """A file or folder, and the roles of its columns. None: not given."""

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
    as_given: bool = False  # whether the columns were chosen as inputs, even if they are like ids or the target
    no_test: bool = False  # whether all rows are for training, so that no test score is possible
    spelled: bool = False  # whether classes are strings as spelled (01 is not 1), as in a model with such classes
    weight: str | None = None  # column with row weights
    quantiles: Sequence[float] | None = None  # of the target, to predict instead of its mean; between 0 and 1
    others: Sequence[str] = ()  # columns that other models predict, which are not inputs
    n_test: int | None = None  # number of last rows that are the test set; None: it is drawn
    decimals: Mapping[str, str] = field(default_factory=dict)  # of a model: signs by column, where a file is ambiguous
    time_form: str | None = None  # of a model: the format of times, if it fits all of a file

    @property
    def path(self) -> Path:
        return Path(self.data)

    @property
    def kind_words(self) -> tuple[str, ...]:
        """The words of ``kind``. UserError for an unknown one."""
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
        """classes or number, if given."""
        given = next((TARGETS[word] for word in self.kind_words if word in TARGETS), None)
        return given or ("number" if self.quantiles else None)

    @property
    def data_kind(self) -> str | None:
        """One of KINDS, if the options or the file's name determine it; None: a file of columns."""
        given = next((word for word in self.kind_words if word in KINDS), None)
        if given:
            return given
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
        """The request with an absolute path. UserError if options conflict or the path does not exist."""
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
            raise UserError("--horizon needs a time column: --time NAME")
        if self.quantiles is not None:
            if self.target_kind != "number":
                raise UserError("--quantiles are of numbers; leave --kind classification out")
            if not self.quantiles or not all(0 < level < 1 for level in self.quantiles):
                raise UserError(
                    f"--quantiles must lie between 0 and 1, such as 0.1,0.5,0.9, got {_listed(self.quantiles)}"
                )
            return replace(self, data=str(self.path.resolve()), quantiles=sorted(set(self.quantiles)))
        return replace(self, data=str(self.path.resolve()))


def _listed(levels: Sequence[float]) -> str:
    return ",".join(f"{level:g}" for level in levels) or "none"


def as_quantiles(text: str | None) -> tuple[float, ...] | None:
    """The levels in a comma-separated list. UserError if one is not a number."""
    if text is None:
        return None
    try:
        return tuple(float(part) for part in text.split(",") if part.strip())
    except ValueError:
        raise UserError(f"--quantiles must be numbers such as 0.1,0.5,0.9, got {text!r}") from None


def check_used(request: Request, kind: str) -> None:
    """Raise UserError if an option was given that does not apply to this kind of data."""
    for option in (*COLUMNS, "horizon"):
        if getattr(request, option) is not None and option not in USED[kind]:
            taken = ", ".join(f"--{name}" for name in USED[kind])
            allowed = f"it takes {taken}" if taken else "its labels are the folders' names or in the file"
            raise UserError(f"--{option} does not apply to data of kind {kind}; {allowed}")
    if request.quantiles and kind not in ("table", "series"):
        raise UserError(f"--quantiles are for tables and series; these data are of kind {kind}")
    if request.no_test and kind in ("series", "pairs"):
        raise UserError(f"--no-test does not apply to data of kind {kind}: leave it out")


def spelled_target(request: Request) -> dict[str, bool]:
    """Marks the target as non-numeric if its classes are kept as spelled. See ``read_table``."""
    return {request.target: False} if request.target is not None and request.spelled else {}


def spelled_group(request: Request) -> dict[str, bool]:
    """Marks the group as non-numeric: as numbers, 01 would be 1, and long ones would equal others."""
    return {} if request.group is None else {request.group: False}


def formats(request: Request, decimals: Mapping[str, str], time_form: str | None) -> dict[str, Any]:
    """How the columns beside the inputs are written in a file, as fields of a request to read another like it."""
    signs = {name: sign for name, sign in decimals.items() if name in (request.target, request.weight)}
    return {"decimals": signs, "time_form": time_form}


def target_classes(request: Request) -> dict[str, int]:
    """The target, unless it was said to be a number, as ``classes`` of ``read_table``."""
    if request.target is None or request.target_kind == "number":
        return {}
    return {request.target: MAX_WHOLE_CLASSES if request.target_kind is None else MAX_CLASSES}


class MissingColumn(UserError):
    """A column that an option names is not in the file."""

    def __init__(self, option: str, name: str, way_out: str) -> None:
        super().__init__(f"{option} {name!r} is not a column of the file; {way_out}")
        self.option, self.name = option, name


def column(name: str, columns: Sequence[str], option: str) -> str:
    """The name, if there is such a column; otherwise MissingColumn with the closest match."""
    if name in columns:
        return name
    has = listed(columns)
    raise MissingColumn(option, name, f"{did_you_mean(name, columns)}it has: {has}")


def listed(columns: Sequence[str]) -> str:
    """Column names for an error message; if many, the first and the last ones, where targets usually are."""
    names = [str(name) for name in columns]
    if len(names) > MAX_LISTED:
        names[MAX_LISTED - LAST_LISTED : -LAST_LISTED] = [f"({len(names) - MAX_LISTED:,} more)"]
    return ", ".join(names)
