"""Predictions of a run's model for new data: ``automl predict RUN --data new.csv --out predictions.csv``."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from automl.errors import UserError, abridged, writes

if TYPE_CHECKING:
    import pandas as pd

    from automl.deployment.predictor import Predictor
    from automl.deployment.several_targets import JointPredictor

OTHER_FORMATS = (".parquet", ".pq", ".feather")

app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)


@app.command()
def predict(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="The folder of a run on your own data, or of its model.")],
    data: Annotated[Path, typer.Option(help="New data of the same kind: a file, or a folder of images.")],
    out: Annotated[Path, typer.Option(help="CSV file to write.")],
    keep: Annotated[
        str | None, typer.Option(metavar="COLUMNS", help="Columns of the data to copy to the output, such as id,name.")
    ] = None,
) -> None:
    """Predict for every example in a file or folder of any size."""
    from automl.cli.console import literal_console
    from automl.cli.terminal import show_line
    from automl.data.ingest.csv_copy import SUFFIXES

    if not data.exists():
        raise UserError(f"there is no file or folder {str(data)!r}")
    place = Path(os.path.realpath(out))  # a link is kept and its target written, unless links form a loop
    if (out.exists() and not out.is_file()) or place.is_symlink() or not place.parent.is_dir():
        raise UserError(f"--out must be a file in an existing folder, got {str(out)!r}")
    if out.suffix.lower() in (*OTHER_FORMATS, *SUFFIXES):
        raise UserError(f"predictions are written as CSV: give an --out that ends in .csv, not {str(out)!r}")
    if out.exists() and out.samefile(data):
        raise UserError(f"--out {str(out)!r} is the file given by --data; choose another")
    from automl.data.ingest.encoder import N_READ, NOTES
    from automl.deployment.predictor import about_unusable
    from automl.deployment.several_targets import load

    console = literal_console()
    model, n, n_read = load(run), 0, 0
    without = {name: _MissingPredictions(part.why_none) for name, part in _parts(model).items()}
    copies = None if keep is None else _copies(keep, data, model)
    unusable: Counter[str] = Counter()
    notes: list[str] = []
    aside = place.with_name(f".{place.name}.{os.getpid()}")
    try:
        with (
            writes(out),
            aside.open("w", encoding="utf-8", errors="backslashreplace", newline="") as file,  # names need no UTF-8
            console.status("predicting") as status,
        ):
            for part in model.stream(data, unusable):
                notes += part.attrs[NOTES]
                whole = part if copies is None else _joined(next(copies), part)
                whole.to_csv(file, index=False, header=n == 0)
                n += len(part)
                n_read += part.attrs[N_READ]
                identity = part.columns[list(part.columns).index(model.columns[0]) - 1]
                for name, found in without.items():
                    found.count(part.loc[part[name].isna(), identity])
                status.update(f"predicting: {n:,} done")
        if not n:
            raise UserError(f"{str(data)!r} has no examples to predict")
        aside.replace(place)
    finally:
        aside.unlink(missing_ok=True)
    show_line(console, f"{_predicted(model.target, n, without)} in {out}")
    if model.about_predictions is not None:
        show_line(console, model.about_predictions)
    for note in notes:
        show_line(console, note)
    for name, found in without.items():
        if found.n:
            show_line(console, found.in_words(f" of {name!r}" if len(without) > 1 else ""))
    counts = ", ".join(f"{name!r} {count:,}" for name, count in unusable.most_common() if count)
    if counts:
        show_line(console, f"values treated as missing (not a number or date, or an unseen category): {counts}")
    if doubt := about_unusable(unusable, n_read):
        show_line(console, f"warning: {doubt}")


@dataclass
class _MissingPredictions:
    """The examples without a prediction of one target."""

    why: str
    n: int = 0
    first: str = ""

    def count(self, examples: pd.Series[Any]) -> None:
        """Add examples, given by the column that identifies them."""
        if len(examples) and not self.n:
            self.first = abridged(f"{examples.name} {examples.iloc[0]!s}")
        self.n += len(examples)

    def in_words(self, of: str) -> str:
        if self.n == 1:
            return f"1 example {self.why} has no prediction{of}: {self.first}"
        return f"{self.n:,} examples {self.why} have no prediction{of}; the first is {self.first}"


def _parts(model: Predictor | JointPredictor) -> dict[str, Predictor]:
    """The model of each target, by a column that is missing where there is no prediction."""
    from automl.deployment.several_targets import JointPredictor

    return model.parts if isinstance(model, JointPredictor) else {model.columns[0]: model}


def _predicted(target: str, n: int, without: Mapping[str, _MissingPredictions]) -> str:
    """The number of predictions, of each target if they differ."""
    counts = {name: n - found.n for name, found in without.items()}
    if len(set(counts.values())) == 1:
        counts = {target: n - next(iter(without.values())).n}
    return ", ".join(f"{count:,} prediction{'s' * (count != 1)} of {name!r}" for name, count in counts.items())


def _copies(keep: str, data: Path, model: Predictor | JointPredictor) -> Iterator[pd.DataFrame]:
    """The columns of ``--keep`` as spelled in the file, in chunks like those of the predictions."""
    from automl.data.ingest.file_formats import open_source
    from automl.data.ingest.request import column

    if not model.predicts_rows:
        raise UserError("--keep is for data with one prediction per row, such as tables: leave it out")
    source = open_source(data)
    names = [keep] if keep in source.names else [name.strip() for name in keep.split(",")]
    for name in names:
        column(name, source.names, "--keep")
    return (chunk[[*dict.fromkeys(names)]].reset_index(drop=True) for chunk in source.copies())


def _joined(copies: pd.DataFrame, predicted: pd.DataFrame) -> pd.DataFrame:
    for name in copies:
        if name in predicted:
            raise UserError(f"--keep {name!r} would be in the output twice: leave it out, or rename it in the file")
    return copies.join(predicted)
