"""Images in one folder per class, or in such folders below train and test."""

from __future__ import annotations

import base64
import hashlib
import io
import itertools
import struct
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from automl.data.ingest import encoder
from automl.data.ingest.json_examples import Schema, as_string, shown
from automl.data.ingest.request import Request, listed
from automl.data.ingest.split import SplitRows, share
from automl.data.inputs import Array, Dense, Inputs
from automl.data.splits import stratified
from automl.errors import UserError, abridged

if TYPE_CHECKING:
    import pandas as pd
    from PIL import Image

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff")
SIDES = (16, 64)  # smallest and largest side of the training images, in pixels: what a CPU can train on
FORMATS = ("PNG", "JPEG", "BMP", "GIF", "WEBP", "TIFF")  # whatever the suffix; none of them runs an external program
MAX_PIXELS = 50_000_000  # maximum for an image sent as bytes, and for any resized one before it is cropped
UNREADABLE = (OSError, SyntaxError, ValueError, struct.error)  # raised by Pillow for a broken file
PART_NAMES = ("train", "training", "test", "testing", "val", "valid", "validation")
SAMPLE = 200  # images from which size and colour mode are chosen


class ImagesEncoder(encoder.Encoder):
    """Images centre-cropped to one size, in colour or greyscale."""

    kind = "images"
    id_columns = ("file",)
    views = encoder.Views("pixels")

    def __init__(self, side: int, mode: str) -> None:
        self.side, self.mode = side, mode
        self._decoded: dict[str | bytes, NDArray[np.uint8]] = {}  # pixels that were read but not encoded yet

    @classmethod
    def fit(cls, frame: pd.DataFrame, details: Mapping[str, Any]) -> Self:
        fitted: Self = details["encoder"]
        return fitted

    @classmethod
    def of_sizes(cls, files: Sequence[Path]) -> Self:
        """An encoder for the median size of these images, in colour if one of them is; only headers are read."""
        sides, grey = [], True
        for file in files[:: max(1, len(files) // SAMPLE)]:
            with suppress(UserError), opened(str(file)) as picture:
                sides.append(min(picture.size))
                grey = grey and picture.mode in ("1", "L", "LA", "I", "I;16", "F")
        side = int(np.clip(np.median(sides or SIDES), *SIDES)) // 8 * 8
        return cls(side, "L" if grey else "RGB")

    def decode(self, files: Sequence[str | bytes]) -> list[str | None]:
        """Read images and keep them for ``encode``; returns an error for each, None if it can be read."""

        def read(file: str | bytes) -> str | None:
            try:
                self._decoded[file] = self._read(file)
            except UserError as error:
                return str(error)
            return None

        with ThreadPoolExecutor() as pool:  # decoders release the interpreter's lock
            return list(pool.map(read, files))

    def encode(self, frame: pd.DataFrame) -> dict[str, Array]:
        channels = 1 if self.mode == "L" else 3
        pixels = np.zeros((len(frame), channels, self.side, self.side), np.uint8)
        for row, file in enumerate(frame["file"]):
            known = self._decoded.pop(file, None)
            pixels[row] = self._read(file) if known is None else known
        return {"pixels": pixels}

    def labelled(self, request: Request) -> encoder.LabelledRows:
        return _rows(request, self)

    def readable(self, frame: pd.DataFrame) -> NDArray[np.bool_]:
        return np.array([error is None for error in self.decode(frame["file"].tolist())], bool)

    def _read(self, file: str | bytes) -> NDArray[np.uint8]:
        """The image as (channels, side, side): the shorter side is resized, the longer one centre-cropped."""
        with opened(file) as whole:
            width, height = whole.size
            if self.side**2 * max(width, height) > MAX_PIXELS * min(width, height):
                raise ValueError(f"{width:,} x {height:,} pixels are too narrow")
            picture = centre(as_seen(whole).convert(self.mode), self.side)
        pixels: NDArray[np.uint8] = np.asarray(picture, np.uint8).reshape(self.side, self.side, -1).transpose(2, 0, 1)
        return pixels

    def inputs(self, view: str, x: Array) -> Inputs:
        return Dense.of(x)

    def to_json(self) -> dict[str, Any]:
        return {"side": self.side, "mode": self.mode}

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Self:
        return cls(content["side"], content["mode"])

    def as_frame(self, examples: Any) -> pd.DataFrame:
        import pandas as pd

        if isinstance(examples, pd.DataFrame):
            return examples
        if isinstance(examples, str | Path):
            folder = Path(examples)
            if not folder.is_dir() and folder.suffix.lower() not in SUFFIXES:
                raise UserError(f"{str(folder)!r} is neither an image ({', '.join(SUFFIXES)}) nor a folder of images")
            examples = sorted(pictures_in(folder)) if folder.is_dir() else [folder]
        for file in examples:
            if not isinstance(file, str | Path | bytes):
                raise UserError(f"expected paths or contents of picture files, got {type(file).__name__}")
        files = [file if isinstance(file, bytes) else str(file) for file in examples]
        return pd.DataFrame({"file": files}, dtype=object)  # strings of pandas must be UTF-8, which names need not be

    def from_records(self, records: Sequence[Any]) -> pd.DataFrame:
        return self.as_frame([_picture(record, f"example {row}") for row, record in enumerate(records, 1)])

    def record_schema(self) -> Schema:
        return {
            "type": "string",
            "contentEncoding": "base64",
            "description": f"an image file ({', '.join(FORMATS)}) in base64",
        }


def _picture(record: Any, where: str) -> bytes:
    """The bytes of an image file. UserError if it is not one, or has too many pixels."""
    try:
        content = base64.b64decode(as_string(record, where), validate=True)
    except ValueError as error:
        if isinstance(error, UserError):
            raise
        raise UserError(f"{where} must be an image file in base64, got {shown(record)}") from None
    try:
        with opened(content) as picture:
            width, height = picture.size
    except UserError:
        raise UserError(f"{where} is not a readable image; send one of: {', '.join(FORMATS)}") from None
    if width * height > MAX_PIXELS:
        raise UserError(f"{where} has {width:,} x {height:,} pixels; send at most {MAX_PIXELS:,}")
    return content


def read(request: Request) -> encoder.LabelledRows:
    """The images of a folder, labelled with the names of their folders. Those that cannot be read are left out."""
    return _rows(request, None)


def _rows(request: Request, decoder: ImagesEncoder | None) -> encoder.LabelledRows:
    """The images of a folder. ``decoder``: that of a model; None: a new one."""
    import pandas as pd

    folder = request.path
    if not folder.is_dir():
        raise UserError(f"images must be in a folder with one subfolder per class; {str(folder)!r} is not a folder")
    own, test = _listed(folder)
    classes = {label for _, label in own}
    if decoder is None and len(classes) == 1:
        raise UserError(
            f"{str(folder)!r} has a single folder of images, {classes.pop()!r}; put those of each class into a folder"
        )
    every = own + (test or [])
    paths = [file for file, _ in every]
    using = decoder or ImagesEncoder.of_sizes(paths)
    good, notes = _readable(paths, folder, using)
    files = list(itertools.compress(every, good))
    if decoder is None and not good.all():  # the headers of damaged images do not count
        kept = [file for file, _ in files]
        without = ImagesEncoder.of_sizes(kept)
        if (without.side, without.mode) != (using.side, using.mode):
            using = without
            using.decode([str(file) for file in kept])
    n_own = int(good[: len(own)].sum())
    lost = sorted({label for _, label in every} - {label for _, label in files})
    notes += [f"no image of these classes can be read: {', '.join(lost)}"] if lost else []
    frame = using.as_frame([file for file, _ in files])
    labels = pd.Series([abridged(label) for _, label in files])
    keys = np.array([hashlib.sha1(file.read_bytes(), usedforsecurity=False).hexdigest() for file, _ in files])
    parts = None
    if test is not None:
        codes = np.unique(labels[:n_own], return_inverse=True)[1]
        valid, train = stratified(codes, share(n_own))
        parts = SplitRows(train, valid, np.arange(n_own, len(files)), "test is the folder test, the rest stratified")
    about = list(map(abridged, (*notes, *_one_too_high(every), *_unused(folder, len(every)), *_others([folder]))))
    return encoder.LabelledRows(frame, labels, "folder", keys, about, parts=parts, details={"encoder": using})


def _listed(folder: Path) -> tuple[list[tuple[Path, str]], list[tuple[Path, str]] | None]:
    """The images with their labels: those to train on, and those of the folder ``test`` if there is one.

    UserError if there are none.
    """
    named = {path.name.lower(): path for path in sorted(folder.iterdir()) if path.is_dir() and not _hidden(path)}
    if named and set(named) <= set(PART_NAMES) and not {"train", "test"} <= set(named):
        raise UserError(
            f"{str(folder)!r} holds splits ({', '.join(named)}); name them train, test and optionally val, "
            "with one folder per class in each, or put the class folders there directly"
        )
    has_test = {"train", "test"} <= set(named)
    roots = [named[name] for name in ("train", "val", "valid", "validation") if name in named] if has_test else [folder]
    own = [each for root in roots for each in labelled(root)]
    test = labelled(named["test"]) if has_test else None
    if own or test:
        return own, test
    n_above = sum(file.suffix.lower() in SUFFIXES for file in folder.iterdir())
    if n_above:
        are = "image is" if n_above == 1 else "images are"
        raise UserError(
            f"{n_above:,} {are} in {str(folder)!r} itself; put those of each class into a subfolder, "
            "or give the parent folder"
        )
    raise UserError(f"{str(folder)!r} must contain one folder of images ({', '.join(SUFFIXES)}) per class; it has none")


def _readable(files: Sequence[Path], folder: Path, decoder: ImagesEncoder) -> tuple[NDArray[np.bool_], list[str]]:
    """Which images can be read, (n,), and a note on the others. UserError if none can."""
    errors = decoder.decode([str(file) for file in files])
    found = [error for error in errors if error is not None]
    if len(found) == len(files):
        raise UserError(f"none of the {len(files):,} images in {str(folder)!r} can be read; the first: {found[0]}")
    good = np.array([error is None for error in errors], bool)
    are = "is left out" if len(found) == 1 else "are left out; the first"
    return good, [f"{len(found):,} of {len(files):,} images {are}: {found[0]}"] if found else []


@contextmanager
def opened(file: str | bytes) -> Iterator[Image.Image]:
    """An open image, from a path or from the bytes of a file. UserError if it cannot be read."""
    from PIL import Image

    name, source = ("an image", io.BytesIO(file)) if isinstance(file, bytes) else (repr(file), file)
    try:
        with Image.open(source, formats=FORMATS) as picture:
            yield picture
    except Image.DecompressionBombError as error:
        raise UserError(f"{name} is too large ({error}); make it smaller") from None
    except UNREADABLE as error:
        raise UserError(f"{name} is not a readable image ({error}); fix or remove it") from None


def as_seen(picture: Image.Image) -> Image.Image:
    """The image upright, in 8 bits per channel, on a white background where it is transparent.

    Pillow itself ignores the EXIF orientation, clips 16 bits to white, and drops transparency.
    """
    from PIL import Image, ImageOps

    of_16_bits = picture.mode.startswith("I;16") or picture.format in ("PNG", "PPM")
    picture = ImageOps.exif_transpose(picture)
    if picture.mode.startswith(("I", "F")):
        pixels = np.nan_to_num(np.asarray(picture, np.float64))
        largest = pixels.max(initial=0.0)
        white = 65_535.0 if of_16_bits or largest > 255 else 1.0 if picture.mode == "F" and largest <= 1 else 255.0
        return Image.fromarray(np.clip(pixels * 255 / white, 0, 255).astype(np.uint8))
    if "A" in picture.mode or "transparency" in picture.info:
        seen = picture.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", seen.size, "white"), seen)
    return picture


def centre(picture: Image.Image, side: int) -> Image.Image:
    """The shorter side resized, the longer one centre-cropped, as torchvision's ``Resize`` and ``CenterCrop`` do it.

    torchvision itself takes seconds to import.
    """
    from PIL import Image

    shorter = min(picture.size)
    width, height = (side * length // shorter for length in picture.size)
    left, top = round((width - side) / 2), round((height - side) / 2)
    resized = picture.resize((width, height), Image.Resampling.BILINEAR)
    return resized.crop((left, top, left + side, top + side))


def labelled(folder: Path) -> list[tuple[Path, str]]:
    """The images in the subfolders of a folder, each with its subfolder's name."""
    classes = [path for path in sorted(folder.iterdir()) if path.is_dir() and not _hidden(path)]
    return [(file, path.name) for path in classes for file in sorted(pictures_in(path))]


def pictures_in(folder: Path) -> list[Path]:
    """All images in a folder and its subfolders, except hidden ones."""
    return [file for file in _files_in(folder) if file.suffix.lower() in SUFFIXES]


def _files_in(folder: Path) -> list[Path]:
    files = (file for file in folder.rglob("*") if file.is_file())
    return [file for file in files if not any(map(_hidden, (file, *file.relative_to(folder).parents)))]


def _hidden(path: Path) -> bool:
    """Whether a file or folder is hidden or metadata that macOS adds to archives."""
    return path.name.startswith(".") or path.name == "__MACOSX"


def _one_too_high(every: Sequence[tuple[Path, str]]) -> list[str]:
    """A note on classes with images in subfolders only, which may be the actual classes."""
    own = {label for file, label in every if file.parent.name == label}
    below: dict[str, Path] = {}
    for file, label in every:
        if label not in own:
            below.setdefault(label, file.parent)
    if not below:
        return []
    first = next(iter(below.values()))
    return [
        f"these classes hold images in subfolders only: {listed(tuple(below))}; if the subfolders, such as "
        f"{first.name!r}, are the classes, give the folder that holds them: --data {first.parent}"
    ]


def _unused(folder: Path, n_used: int) -> list[str]:
    """A note on images beside the folders of classes or of parts, if there are any."""
    n = len(pictures_in(folder)) - n_used
    return [f"images that are not used, as they are in no folder of a class that is read: {n:,}"] if n > 0 else []


def _others(roots: Sequence[Path]) -> list[str]:
    """A note on files of other types, if there are any."""
    suffixes = Counter(
        file.suffix.lower() or "no suffix"
        for root in roots
        for file in _files_in(root)
        if file.suffix.lower() not in SUFFIXES
    )
    counts = ", ".join(f"{suffix} {n:,}" for suffix, n in suffixes.most_common(5))
    return [f"files other than {', '.join(SUFFIXES)} are ignored: {counts}"] if counts else []
