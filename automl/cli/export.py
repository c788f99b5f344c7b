"""A run's model as an ONNX file, or one for each of several targets: ``automl export RUN --out model.onnx``."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path
from typing import Annotated

import typer

from automl.errors import UserError, install_command, writes

app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)


@app.command()
def export(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="The folder of a run, or of its model.")],
    onnx: Annotated[
        bool, typer.Option("--onnx", help="To ONNX: the default, and the only format.", show_default=False)
    ] = True,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="PATH", help="File to write; a new folder for several targets. [default: model.onnx, or model-onnx]"
        ),
    ] = None,
) -> None:
    """Export a run's model to ONNX, and check that both predict the same."""
    if out is not None and not out.resolve().parent.is_dir():
        raise UserError(f"--out must be in an existing folder, got {str(out)!r}")
    for package in ("onnx", "onnxruntime"):
        if importlib.util.find_spec(package) is None:
            raise UserError(f"ONNX needs the package {package}; install it with: {install_command('onnx')}")
    os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")  # tracing warns about shapes, which the check covers
    with writes(out or Path.cwd()):
        write_onnx(run, out)


def write_onnx(run: Path, out: Path | None) -> None:
    """Write the files and print what they hold. UserError, and no file, if the predictions differ from the model's."""
    from automl.cli.console import literal_console
    from automl.cli.terminal import show_line
    from automl.deployment.onnx_files import MANIFEST, onnx_file, write_one, write_several
    from automl.deployment.several_targets import JointPredictor, load

    console, predictor = literal_console(), load(run)
    if isinstance(predictor, JointPredictor):
        out = out or Path("model-onnx")
        if out.exists() and (not out.is_dir() or any(out.iterdir())):
            raise UserError(f"--out must be a new folder, as the model has several targets, got {str(out)!r}")
        files = {out / name: file for name, file in write_several(predictor, run, out).items()}
        show_line(console, f"{out / MANIFEST}: the file of each target, its inputs, its output and its check")
        raw = "the files do"
    else:
        out = out or Path("model.onnx")
        if out.exists() and not out.is_file():
            raise UserError(f"--out must be a file, got {str(out)!r}")
        files = {out: onnx_file(predictor, run)}
        write_one(files[out], out)
        raw = "the file does" if predictor.encoder is not None else ""
    for place, file in files.items():
        what, check = file.described
        show_line(console, f"{place}: {what}")
        show_line(console, check)
    if raw:
        show_line(console, f"{raw} not encode raw data (categories, dates, tokens, image sizes): see encoder.json")
