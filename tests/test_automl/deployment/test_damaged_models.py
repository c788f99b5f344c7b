"""Model folders that were damaged, mixed up or made to do harm: one line each, before anything is unpacked."""

import functools
import io
import json
import os
import shutil
import zipfile

import pytest
import skops.io
import small_models

import automl
from automl.errors import UserError


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """One with an estimator, and one with a network."""
    found = {}
    for family in ("gradient_boosting", "mlp"):
        run = tmp_path_factory.mktemp(family) / "run"
        small_models.table(run, classes=True)
        found[family] = small_models.trained(run, family, epochs=1) / "model"
    return found


def changed(file, **fields):
    content = json.loads(file.read_text())
    file.write_text(json.dumps({key: value for key, value in (content | fields).items() if value != "absent"}))


def bomb(folder):
    """As a file of skops with 100 MB of zeros in it."""
    with zipfile.ZipFile(folder / "model.skops", "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("zeros.npy", bytes(100_000_000))


def outside(folder):
    shutil.copytree(folder, folder.parent / "other", dirs_exist_ok=True)
    changed(folder / "model.json", members=[{"folder": "../other", "weight": 1.0}])


def foreign_type(folder):
    with zipfile.ZipFile(folder / "model.skops") as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    schema = json.loads(parts["schema.json"])
    schema["__class__"], schema["__module__"] = "system", "os"
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in (parts | {"schema.json": json.dumps(schema).encode()}).items():
            archive.writestr(name, content)
    (folder / "model.skops").write_bytes(buffer.getvalue())


TEXTS = ("model.json", "encoder.json", "preprocessing.json", "config.json")
DAMAGES = {"empty": b"", "cut": b'{"task": ', "list": b"[1]", "bytes": b"\xff\xfe\x00", "deep": b"[" * 100_000}
CASES = {
    **{f"{name} {damage}": (name, content) for name in TEXTS for damage, content in DAMAGES.items()},
    "model.skops empty": ("model.skops", b""),
    "model.skops other": ("model.skops", b"PK not an archive"),
    "model.safetensors empty": ("model.safetensors", b""),
    "model.safetensors other": ("model.safetensors", b"\x10\x00\x00\x00\x00\x00\x00\x00{}"),
}
CHANGES = {
    "no model": lambda folder: changed(folder / "preprocessing.json", model="absent"),
    "another model": lambda folder: changed(folder / "preprocessing.json", model="quantum"),
    "no classes": lambda folder: changed(folder / "preprocessing.json", classes="absent"),
    "number": lambda folder: changed(folder / "preprocessing.json", classes="absent", target_mean="a", target_std=1),
    "fewer columns": lambda folder: changed(folder / "preprocessing.json", mean=[0.0], std=[1.0]),
    "no kind": lambda folder: changed(folder / "encoder.json", kind="absent"),
    "another kind": lambda folder: changed(folder / "encoder.json", kind="audio"),
    "no target": lambda folder: changed(folder / "encoder.json", target="absent"),
    "temperature": lambda folder: changed(folder / "model.json", temperature="hot"),
    "members": lambda folder: changed(folder / "model.json", members=[{"folder": "."}]),
    "weight": lambda folder: changed(folder / "model.json", members=[{"folder": ".", "weight": "all"}]),
    "outside": outside,
    "targets outside": lambda folder: changed(folder / "model.json", targets={"price": "../../other"}),
}


def call(folder):
    """Of a function, when the file is read."""
    skops.io.dump(functools.partial(os.system, f"touch {folder / 'called'}"), folder / "model.skops")


OF_ESTIMATORS = {"bomb": bomb, "foreign type": foreign_type, "call": call}


def refused(folder):
    with pytest.raises(UserError) as error:
        automl.load(folder)
    assert "\n" not in str(error.value)
    assert str(folder) in str(error.value) or "../other" in str(error.value)
    assert len(str(error.value)) < 1_000


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("family", ["gradient_boosting", "mlp"])
def test_a_damaged_file_is_one_line(models, tmp_path, family, case):
    name, content = CASES[case]
    if not (models[family] / name).exists():
        return
    shutil.copytree(models[family], tmp_path / "model")
    (tmp_path / "model" / name).write_bytes(content)
    refused(tmp_path / "model")


@pytest.mark.parametrize("case", CHANGES)
@pytest.mark.parametrize("family", ["gradient_boosting", "mlp"])
def test_files_that_do_not_fit_each_other_are_one_line(models, tmp_path, family, case):
    shutil.copytree(models[family], tmp_path / "model")
    CHANGES[case](tmp_path / "model")
    refused(tmp_path / "model")


@pytest.mark.parametrize("case", OF_ESTIMATORS)
def test_an_estimator_that_would_do_harm_is_refused(models, tmp_path, case):
    shutil.copytree(models["gradient_boosting"], tmp_path / "model")
    OF_ESTIMATORS[case](tmp_path / "model")
    refused(tmp_path / "model")
    assert not (tmp_path / "model" / "called").exists()
