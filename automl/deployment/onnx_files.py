"""ONNX files, checked against the model; for several targets, a folder with one file each and a manifest."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from automl.deployment.onnx_model import TOLERANCE, as_onnx, examples_to_check, inputs_of, largest_difference
from automl.deployment.predictor import Predictor
from automl.deployment.several_targets import JointPredictor, folder_names
from automl.errors import UserError
from automl.study.run_folder import RunFolder

MANIFEST = "manifest.json"


@dataclass(frozen=True)
class OnnxFile:
    """The content of an ONNX file, and how far its predictions are from the model's."""

    content: bytes
    target: str
    inputs: dict[str, tuple[int, ...]]  # name -> shape of an example
    output: str  # probabilities or predictions
    difference: float  # the largest, in ``unit``
    unit: str
    examples: str  # those it was measured on

    @property
    def described(self) -> list[str]:
        """The content and the result of the check, in two lines."""
        reads = ", ".join(f"{name} (n, {', '.join(map(str, shape))})" for name, shape in self.inputs.items())
        unit = f" {self.unit}" if self.unit else ""
        return [
            f"{len(self.content):,} bytes, reads {reads}, gives {self.output} of {self.target!r}",
            f"onnxruntime and the model differ by at most {self.difference:.2g}{unit} on {self.examples} "
            f"({TOLERANCE:g} is allowed)",
        ]


def onnx_file(predictor: Predictor, run: Path) -> OnnxFile:
    """The model of one target as ONNX, checked on the validation examples of ``run`` if these are still available.

    UserError if it cannot be exported, or if its predictions differ from the model's.
    """
    content = as_onnx(predictor).SerializeToString()
    examples, what = examples_to_check(predictor, run)
    difference = largest_difference(predictor, content, examples)
    unit = "" if predictor.classes else "standard deviations"
    if not difference <= TOLERANCE:
        raise UserError(
            f"the ONNX graph differs from the model by up to {difference:.2g}{unit and f' {unit}'} on {what}, "
            f"{TOLERANCE:g} is allowed; no file was written, use the model from Python, automl.load(run), or with "
            "automl serve"
        )
    inputs = {name: tuple(each.shape) for name, each in inputs_of(predictor).items()}
    output = "probabilities" if predictor.classes else "predictions"
    return OnnxFile(content, predictor.target, inputs, output, difference, unit, what)


def write_one(file: OnnxFile, out: Path) -> None:
    """Write the file atomically; a link stays one."""
    out = out.resolve()
    aside = out.with_name(f".{out.name}.{os.getpid()}")
    try:
        aside.write_bytes(file.content)
        aside.replace(out)
    finally:
        aside.unlink(missing_ok=True)


def write_several(predictor: JointPredictor, run: Path, out: Path) -> dict[str, OnnxFile]:
    """Write a folder with the file of each target and a manifest, atomically; returns the files by name.

    UserError with the reasons, and no folder, if a target cannot be exported.
    """
    places, runs = folder_names(list(predictor.parts)), RunFolder(run).targets
    files, refused = {}, {}
    for name, part in predictor.parts.items():
        try:
            files[f"{places[name]}.onnx"] = onnx_file(part, runs / places[name])
        except UserError as error:
            refused[name] = str(error)
    if refused:
        others = [name for name in predictor.parts if name not in refused]
        rest = f"; of {', '.join(others)} there would be one, from the folder of that model alone" if others else ""
        reasons = "; ".join(f"target {name!r}: {reason}" for name, reason in refused.items())
        raise UserError(f"{reasons}{rest}")
    aside = out.with_name(f".{out.name}.{os.getpid()}")
    try:
        aside.mkdir()
        for file_name, file in files.items():
            (aside / file_name).write_bytes(file.content)
        (aside / MANIFEST).write_text(json.dumps(_manifest(predictor, files), indent=2) + "\n", encoding="utf-8")
        aside.replace(out)
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    return files


def _manifest(predictor: JointPredictor, files: dict[str, OnnxFile]) -> dict[str, Any]:
    about = {name: predictor.card.get(name) for name in ("task", "metric", "versions")}
    return {
        "format": 1,
        **about,
        "targets": {
            target: {
                "file": name,
                "sha256": hashlib.sha256(file.content).hexdigest(),
                "inputs": {each: ["n", *shape] for each, shape in file.inputs.items()},
                "output": file.output,
                "largest_difference": file.difference,
                "unit": file.unit,
                "allowed": TOLERANCE,
                "checked_on": file.examples,
            }
            for target, (name, file) in zip(predictor.parts, files.items(), strict=True)
        },
    }
