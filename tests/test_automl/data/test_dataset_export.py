"""Data sets exported as user files, and read back as user data."""

import shlex
from pathlib import Path

import pandas as pd
import pytest
from stand_ins import all_put
from typer.testing import CliRunner

from automl.cli.data import app
from automl.data.datasets.export import FORMATS, export
from automl.data.datasets.registry import load_data, load_parts
from automl.data.ingest.prepare import prepare
from automl.data.ingest.request import Request
from automl.errors import UserError

HERE = [name for name in FORMATS if name != "fashion-mnist"]  # that is 60,000 pictures
KINDS = {
    "digits": "images",
    "newsgroups": "text",
    "bible": "pairs",
    "cmudict": "pairs",
    "chembl234": "molecules",
    "letter": "table",
}  # those of which the small data are enough to learn from


@pytest.fixture(scope="module", autouse=True)
def small_data(tmp_path_factory):
    with all_put(tmp_path_factory.mktemp("data")):
        yield


@pytest.mark.parametrize("name", HERE)
def test_both_files_are_written_and_nothing_else(name, tmp_path):
    known, new, _ = export(name, tmp_path / "there" / "out")
    assert {file.name for file in (tmp_path / "there" / "out").iterdir()} == {known.name, new.name}
    assert list((tmp_path / "there").iterdir()) == [tmp_path / "there" / "out"]


@pytest.mark.parametrize(("name", "kind"), KINDS.items())
def test_what_is_written_is_read_as_own_data(name, kind, tmp_path):
    known, _, options = export(name, tmp_path / "out")
    words = shlex.split(options)
    said = {option.removeprefix("--"): value for option, value in zip(words[::2], words[1::2], strict=True)}
    report = prepare(Request(str(known), **said), tmp_path / "prepared")
    assert report.facts["kind"].startswith(kind)


def test_every_known_and_new_example_is_there(tmp_path):
    known, new, _ = export("chembl234", tmp_path / "molecules")
    parts = load_parts("chembl234", None)
    assert pd.read_csv(known)["smiles"].tolist() == parts.train.x + parts.valid.x
    assert pd.read_csv(new)["affinity"].tolist() == pytest.approx(parts.test.y)


def test_pictures_have_the_full_range_and_a_folder_a_class(tmp_path):
    from PIL import Image

    known, new, _ = export("digits", tmp_path / "digits", 100)
    splits = load_data("digits", 100)
    assert len(list(known.glob("*/*.png"))) == 100
    assert {folder.name for folder in new.iterdir()} == {str(digit) for digit in range(10)}
    with Image.open(known / str(splits.y_train[0]) / "0.png") as picture:
        assert picture.getextrema() == (0, 255)


def test_what_cannot_be_written_is_refused_and_leaves_nothing(tmp_path):
    with pytest.raises(UserError, match=r"'kjv' cannot be exported.*chembl234"):
        export("kjv", tmp_path / "out")
    for name in ("sp500", "osuleaf"):
        with pytest.raises(UserError, match="leave --size out"):
            export(name, tmp_path / "out", 50)
    for name, size in (("letter", 25), ("bible", 10_000), ("chembl234", 10_000)):
        with pytest.raises(UserError, match="number of training examples must be between"):
            export(name, tmp_path / "out", size)
    assert not list(tmp_path.iterdir())
    (tmp_path / "out").mkdir()
    with pytest.raises(UserError, match="already exists"):
        export("digits", tmp_path / "out")


def test_the_command_says_how_to_go_on(tmp_path):
    shown = CliRunner().invoke(app, ["export", "cmudict", "--out", str(tmp_path / "words")])
    assert shown.exit_code == 0
    assert f"--data {Path(tmp_path / 'words' / 'known.csv')} --source word --into phones" in shown.output
    again = CliRunner().invoke(app, ["export", "cmudict", "--out", str(tmp_path / "words")])
    assert isinstance(again.exception, UserError)
    assert "already exists" in str(again.exception)
