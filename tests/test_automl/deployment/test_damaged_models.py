"""Model folders that were damaged, mixed up or made to do harm: one line each, before anything is unpacked."""

import functools
import io
import json
import os
import shutil
import zipfile

import numpy as np
import pytest
import small_models

import automl
from automl.data.inputs import Columns, Texts, text_array
from automl.data.targets import Classes
from automl.errors import UserError
from automl.models.learners import learner_class
from automl.models.learners.base import Rows
from automl.models.trained import Preprocessing, TrainedLearner


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """One with an estimator, and one with a network."""
    found = {}
    for family in ("gradient_boosting", "mlp"):
        run = tmp_path_factory.mktemp(family) / "run"
        small_models.table(run, classes=True)
        found[family] = small_models.trained(run, family, epochs=1) / "model"
    return found


LEARNERS = {  # family -> changes of its defaults that make it quick
    "lightgbm": {}, "catboost": {"depth": 2}, "extra_trees": {}, "linear": {}, "realmlp": {"width": 8, "epochs": 2},
    "tfidf": {}, "lsa_lightgbm": {"vectors": 2},
}  # fmt: skip
OF_TEXTS = ("tfidf", "lsa_lightgbm")


@pytest.fixture(scope="module")
def learners(tmp_path_factory):
    """A folder of each family that is fitted in one go, as an ensemble of the default plan has them."""
    rng, target = np.random.default_rng(0), Classes(("no", "yes"))
    y = rng.integers(0, 2, 80)
    columns = np.column_stack([rng.normal(size=(80, 2)), rng.integers(0, 4, 80), rng.integers(1, 80, 80)])
    texts = text_array([f"it was {('awful', 'superb')[label]} and {rng.choice(['long', 'short'])}" for label in y])
    found = {}
    for family, change in LEARNERS.items():
        kind = learner_class(family)
        x, inputs = columns.astype(np.float32), Columns.of(columns, (4, 80))
        if family in OF_TEXTS:
            x, inputs = kind.read(texts), Texts()
        space = kind.space(classes=True, with_levels=True)
        config = {name: entry["default"] for name, entry in space.items()} | change
        learner = kind(config, inputs, target, 0)
        learner.fit(Rows(x, y), rounds=(30 if family == "extra_trees" else 2,))
        found[family] = tmp_path_factory.mktemp(family) / "model"
        TrainedLearner(learner, config, Preprocessing("small", family, inputs, target)).save(found[family])
    return found


def changed(file, **fields):
    content = json.loads(file.read_text())
    file.write_text(json.dumps({key: value for key, value in (content | fields).items() if value != "absent"}))


def bomb(folder, name="model.skops"):
    """With 20 MB of zeros in an archive."""
    with zipfile.ZipFile(folder / name, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("zeros.npy", bytes(20_000_000))


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
    "shifts": lambda folder: changed(folder / "model.json", shifts=["far"]),
    "no list of shifts": lambda folder: changed(folder / "model.json", shifts={}),
    "shifts of other quantiles": lambda folder: changed(folder / "model.json", shifts=[0.5]),
    "members": lambda folder: changed(folder / "model.json", members=[{"folder": "."}]),
    "weight": lambda folder: changed(folder / "model.json", members=[{"folder": ".", "weight": "all"}]),
    "outside": outside,
    "targets outside": lambda folder: changed(folder / "model.json", targets={"price": "../../other"}),
}


def call(folder):
    """Of a function, when the file is read."""
    import skops.io  # slow

    skops.io.dump(functools.partial(os.system, f"touch {folder / 'called'}"), folder / "model.skops")


OF_ESTIMATORS = {"bomb": bomb, "foreign type": foreign_type, "call": call}


def refused(folder, named=None):
    """By its path, unless the line names another place."""
    with pytest.raises(UserError) as error:
        automl.load(folder)
    assert "\n" not in str(error.value)
    assert (named or str(folder)) in str(error.value)
    assert len(str(error.value)) < 1_000


@pytest.mark.parametrize(
    ("family", "case"),
    [
        (family, case)
        for family, weights in (("gradient_boosting", "model.skops"), ("mlp", "model.safetensors"))
        for case, (name, _) in CASES.items()
        if name in (*TEXTS, weights)
    ],
)
def test_a_damaged_file_is_one_line(models, tmp_path, family, case):
    name, content = CASES[case]
    assert (models[family] / name).exists()
    shutil.copytree(models[family], tmp_path / "model")
    (tmp_path / "model" / name).write_bytes(content)
    refused(tmp_path / "model")


@pytest.mark.parametrize("case", CHANGES)
@pytest.mark.parametrize("family", ["gradient_boosting", "mlp"])
def test_files_that_do_not_fit_each_other_are_one_line(models, tmp_path, family, case):
    shutil.copytree(models[family], tmp_path / "model")
    CHANGES[case](tmp_path / "model")
    refused(tmp_path / "model", "../other" if "outside" in case else None)


@pytest.mark.parametrize("case", OF_ESTIMATORS)
def test_an_estimator_that_would_do_harm_is_refused(models, tmp_path, case):
    shutil.copytree(models["gradient_boosting"], tmp_path / "model")
    OF_ESTIMATORS[case](tmp_path / "model")
    refused(tmp_path / "model")
    assert not (tmp_path / "model" / "called").exists()


# --- families that are fitted in one go, and ensembles ----------------------------------------------------------------

ARCHIVES = {"lightgbm": "levels.npz", "extra_trees": "model.skops", "linear": "model.skops", "tfidf": "text.npz"}


def without_checksums(folder):
    """As the maker of a hostile folder leaves them out."""
    (folder / "learner.json").write_text("{}")


@pytest.mark.parametrize("checked", [True, False], ids=["with checksums", "without checksums"])
@pytest.mark.parametrize("family", LEARNERS)
def test_a_damaged_file_of_a_learner_is_one_line(learners, tmp_path, family, checked):
    automl.load(learners[family])
    names = [file.name for file in learners[family].iterdir() if file.suffix != ".json"]
    assert names
    for name in names:
        content = (learners[family] / name).read_bytes()
        for place, damage in enumerate((b"", b"PK not a model", content[: len(content) // 2])):
            if name == "model.txt" and not checked and damage:
                continue  # LightGBM may crash
            folder = shutil.copytree(learners[family], tmp_path / f"{name}-{place}")
            (folder / name).write_bytes(damage)
            if not checked:
                without_checksums(folder)
            refused(folder)


def test_a_changed_bit_of_a_learner_is_found(learners, tmp_path):
    folder = shutil.copytree(learners["linear"], tmp_path / "model")
    content = bytearray((folder / "model.skops").read_bytes())
    content[len(content) // 2] ^= 1
    (folder / "model.skops").write_bytes(content)
    refused(folder)


@pytest.mark.parametrize("family", [family for family in LEARNERS if family not in OF_TEXTS])
def test_a_learner_of_other_columns_is_one_line(learners, tmp_path, family):
    folder = shutil.copytree(learners[family], tmp_path / "model")
    changed(folder / "preprocessing.json", mean=[0.0] * 5, std=[1.0] * 5, cardinalities=[])
    refused(folder)


def test_a_damaged_member_of_an_ensemble_is_one_line(learners, tmp_path):
    families = ("lightgbm", "linear", "realmlp")
    members = [{"folder": f"members/{family}", "weight": 1.0} for family in families]
    for family in families:
        shutil.copytree(learners[family], tmp_path / "model" / "members" / family)
    (tmp_path / "model" / "model.json").write_text(json.dumps({"members": members}))
    assert len(automl.load(tmp_path / "model").members) == 3
    (tmp_path / "model" / "members" / "linear" / "model.skops").write_bytes(b"PK")
    refused(tmp_path / "model")


@pytest.mark.parametrize("family", ARCHIVES)
def test_an_archive_that_unpacks_to_much_more_than_its_size_is_refused(learners, tmp_path, family):
    folder = shutil.copytree(learners[family], tmp_path / "model")
    bomb(folder, ARCHIVES[family])
    without_checksums(folder)
    refused(folder)
