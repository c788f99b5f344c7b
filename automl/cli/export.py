"""A run's model as an ONNX file: ``automl export RUN --onnx --out model.onnx``."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path
from typing import Annotated

import typer

from automl.errors import UserError, install_command

app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)


@app.command()
def export(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="The folder of a run, or of its model.")],
    onnx: Annotated[bool, typer.Option("--onnx", help="Export to ONNX, the only format.")] = False,
    out: Annotated[Path, typer.Option(help="File to write.")] = Path("model.onnx"),
) -> None:
    """Export a run's model to ONNX, and check it against the model itself."""
    if not onnx:
        raise UserError("no export format given; add --onnx")
    if out.is_dir() or not out.absolute().parent.is_dir():
        raise UserError(f"--out must be a file in an existing folder, got {str(out)!r}")
    for package in ("onnx", "onnxruntime"):
        if importlib.util.find_spec(package) is None:
            raise UserError(f"ONNX needs the package {package}; install it with: {install_command('onnx')}")
    os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")  # tracing warns about shapes, which the check covers
    write_onnx(run, out)


def write_onnx(run: Path, out: Path) -> None:
    """Write the file and print what it holds. UserError, and no file, if its predictions differ from the model's."""
    from rich.console import Console

    from automl.cli.terminal import show_line
    from automl.deployment.onnx_model import TOLERANCE, as_onnx, examples_to_check, inputs_of, largest_difference
    from automl.deployment.predictor import load_predictor, model_folder

    console, predictor = Console(), load_predictor(model_folder(run))
    content = as_onnx(predictor).SerializeToString()
    examples, what = examples_to_check(predictor, run)
    difference = largest_difference(predictor, content, examples)
    unit = "" if predictor.classes else " standard deviations"
    if not difference <= TOLERANCE:
        raise UserError(
            f"the ONNX graph differs from the model by up to {difference:.2g}{unit} on {what}, {TOLERANCE:g} is "
            "allowed; no file was written, use the model from Python, automl.load(run), or with automl serve"
        )
    aside = out.with_name(f".{out.name}.{os.getpid()}")
    try:
        aside.write_bytes(content)
        aside.replace(out)
    finally:
        aside.unlink(missing_ok=True)
    output = "probabilities" if predictor.classes else "predictions"
    reads = ", ".join(f"{name} (n, {', '.join(map(str, each.shape))})" for name, each in inputs_of(predictor).items())
    show_line(console, f"{out}: {len(content):,} bytes, reads {reads}, gives {output} of {predictor.target!r}")
    show_line(
        console,
        f"onnxruntime and the model differ by at most {difference:.2g}{unit} on {what} ({TOLERANCE:g} is allowed)",
    )
    if predictor.encoder is not None:
        show_line(
            console, "the file does not encode raw data (categories, dates, tokens, image sizes): see encoder.json"
        )
