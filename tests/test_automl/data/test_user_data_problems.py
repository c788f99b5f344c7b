"""Problems in users' texts, images, sequences, series, molecules and pairs, and their reports."""

import json
import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from automl.continual.new_data import TooFewNewExamples, read_new
from automl.data.datasets.registry import load_data
from automl.data.ingest import images
from automl.data.ingest.kinds import load_encoder
from automl.data.ingest.prepare import Facts, prepare
from automl.data.ingest.read_table import read_table
from automl.data.ingest.request import Request
from automl.data.ingest.sequences import read_ts
from automl.data.pairs import read_pairs
from automl.data.targets import Classes
from automl.errors import UserError


def told(tmp_path, data, **said):
    """The report, or the line that answers."""
    try:
        report = prepare(Request(str(data), **said), tmp_path / f"data-{len(list(tmp_path.iterdir()))}")
    except UserError as error:
        return str(error)
    return "\n".join([*(f"{name} {value}" for name, value in report.facts.items()), *report.notes])


# --- copies -----------------------------------------------------------------------------------------------------------


def test_copies_of_an_example_stay_together(tmp_path):
    rng = np.random.default_rng(0)
    texts = [" ".join(rng.choice(list("abcdefgh"), 9)) for _ in range(60)]
    frame = pd.DataFrame({"text": texts * 3, "label": np.repeat(rng.choice(["x", "y"], 60)[None], 3, 0).ravel()})
    frame.to_csv(tmp_path / "a.csv", index=False)
    report = prepare(Request(str(tmp_path / "a.csv"), "label", text="text"), tmp_path / "data")
    assert report.facts["duplicates"] == "120"
    splits = load_data(str(tmp_path / "data" / "tokens"), None)
    parts = [{row.tobytes() for row in np.asarray(x)} for x in (splits.x_train, splits.x_valid, splits.x_test)]
    assert not parts[0] & parts[1] | parts[0] & parts[2] | parts[1] & parts[2]
    assert sum(map(len, parts)) == 60


def test_translations_of_a_sentence_stay_together(tmp_path):
    pairs = [(f"sentence {i} of many", f"oracion {i} version {j}") for i in range(60) for j in range(5)]
    pd.DataFrame(pairs, columns=["en", "es"]).to_csv(tmp_path / "a.tsv", sep="\t", index=False)
    prepare(Request(str(tmp_path / "a.tsv"), source="en", into="es"), tmp_path / "data")
    data = read_pairs(tmp_path / "data")
    parts = [
        {tuple(row) for row in np.asarray(side).tolist()}
        for side in (data.train_source, data.valid_source, data.test_source)
    ]
    assert not parts[0] & parts[1] | parts[0] & parts[2] | parts[1] & parts[2]


# --- options ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "line"),
    [
        ({"kind": "images", "group": "patient"}, "--group does not apply to data of kind images"),
        (
            {"target": "y", "text": "words", "time": "t", "horizon": 3},
            "--horizon does not apply to data of kind text; it takes --target, --text",
        ),
        ({"source": "words", "into": "t", "target": "y"}, "--target does not apply to data of kind pairs"),
    ],
)
def test_an_option_that_the_kind_has_no_use_for_is_answered(said, line, tmp_path):
    (tmp_path / "a.csv").write_text("words,t,y\na b,1,2\n")
    assert line in told(tmp_path, tmp_path / "a.csv", **said)


# --- tables -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_labels_of_rows_are_no_feature(suffix, tmp_path):
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"x": rng.normal(size=300), "y": np.repeat(["a", "b", "c"], 100)}).sample(
        frac=0.7, random_state=0
    )
    frame.to_csv(tmp_path / "a.csv") if suffix == "csv" else frame.to_parquet(tmp_path / "a.parquet")
    said = told(tmp_path, tmp_path / f"a.{suffix}", target="y")
    assert "is left out: it is a saved row index" in said
    assert "columns 1 used: numbers 1" in said


def test_large_numbers_with_fractions_stay_in_order(tmp_path):
    seconds = 1_700_000_000.25 + 10 * np.arange(50)
    pd.DataFrame({"t": seconds}).to_csv(tmp_path / "a.csv", index=False)
    assert read_table(tmp_path / "a.csv").frame["t"].tolist() == seconds.tolist()


def test_stray_quotes_in_a_tsv_do_not_glue_lines(tmp_path):
    lines = [f"{'' if i % 10 else chr(34)}sentence {i}\toracion {i}" for i in range(60)]
    (tmp_path / "a.tsv").write_text("en\tes\n" + "\n".join(lines) + "\n")
    frame = read_table(tmp_path / "a.tsv", texts=["en", "es"]).frame
    assert len(frame) == 60
    assert frame["en"][10] == '"sentence 10'
    (tmp_path / "b.tsv").write_text('en\tes\n"two\nlines"\t"said ""so"""\nplain\tplain\n')
    assert read_table(tmp_path / "b.tsv", texts=["en", "es"]).frame.iloc[0].tolist() == ["two\nlines", 'said "so"']


@pytest.mark.parametrize("short", [[], ["alone"]])
def test_a_stray_quote_far_down_in_a_tsv_counts_also_if_a_line_lacks_a_value(short, tmp_path):
    lines = [f"sentence {i}\toracion {i}" for i in range(6_000)]
    lines[5_000], lines[5_500] = '"sentence\toracion', 'said: "Yes\toracion'
    (tmp_path / "a.tsv").write_text("\n".join(["en\tes", *short, *lines]) + "\n")
    assert len(read_table(tmp_path / "a.tsv", texts=["en", "es"]).frame) == 6_000 + len(short)


def test_quotes_in_a_tsv_of_one_column_are_characters_unless_they_all_come_in_pairs(tmp_path):
    (tmp_path / "a.tsv").write_text('en\nIt rains.\n"A dog, he said.\nI see it.\nand "so" on"\n"again\n')
    assert read_table(tmp_path / "a.tsv", texts=["en"]).frame["en"].tolist()[1::3] == ['"A dog, he said.', '"again']
    texts = ["two\nlines", 'said "so"\nand\n\nso', "plain"]
    pd.DataFrame({"en": texts}).to_csv(tmp_path / "b.tsv", sep="\t", index=False)
    assert read_table(tmp_path / "b.tsv", texts=["en"]).frame["en"].tolist() == texts


def test_columns_that_are_not_read_are_reported(tmp_path):
    frame = pd.DataFrame({"body": [f"a text {i} of words" for i in range(60)], "y": list("ab") * 30, "title": "t"})
    frame.to_csv(tmp_path / "a.csv", index=False)
    assert "columns not used: title" in told(tmp_path, tmp_path / "a.csv", target="y", text="body")


def test_an_unquoted_separator_in_a_text_is_reported_and_cuts_nothing_off(tmp_path):
    rows = [f"{'ab'[i % 2]},a text {i} of words{', and more' * (i == 40)}" for i in range(60)]
    (tmp_path / "a.csv").write_text("\n".join(["label,text", *rows]) + "\n")
    line = "line 42 has 3 values, but the header has 2 columns; is a value that contains ',' not quoted?"
    assert line in told(tmp_path, tmp_path / "a.csv", target="label", text="text")
    with pytest.raises(UserError, match="line 42 has 3 values"):
        read_table(tmp_path / "a.csv", columns=["label"])


# --- pictures ---------------------------------------------------------------------------------------------------------


def pictures(folder, n, seed=0):
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    for i in range(n):
        Image.fromarray(rng.integers(0, 255, (16, 16), np.uint8)).save(folder / f"{i}.png")


def test_a_folder_of_pictures_one_too_high_is_noted(tmp_path):
    for seed, place in enumerate(("known/cat", "known/dog", "unlabelled")):
        pictures(tmp_path / "photos" / place, 25, seed)
    said = told(tmp_path, tmp_path / "photos")
    assert "these classes hold images in subfolders only: known; if the subfolders, such as 'cat', are the" in said
    assert f"--data {tmp_path / 'photos' / 'known'}" in said


def test_pictures_outside_the_folders_that_are_read_are_counted(tmp_path):
    for seed, name in enumerate(("train/cat", "train/dog", "test/cat", "test/dog", "validate/cat", "validate/dog")):
        pictures(tmp_path / "photos" / name, 25, seed)
    assert "images that are not used, as they are in no folder of a class that is read: 50" in told(
        tmp_path, tmp_path / "photos"
    )


def test_what_a_computer_puts_beside_pictures_is_not_read(tmp_path):
    for seed, name in enumerate(("cat", "dog")):
        pictures(tmp_path / "photos" / name, 25, seed)
        pictures(tmp_path / "photos" / name / ".ipynb_checkpoints", 5, seed)
        (tmp_path / "photos" / name / "._0.png").write_bytes(b"resource fork")
        (tmp_path / "photos" / name / "0.heic").write_bytes(b"another kind")
    pictures(tmp_path / "photos" / "__MACOSX", 9)
    said = told(tmp_path, tmp_path / "photos")
    assert "classes 2; cat: 25, dog: 25" in said
    assert re.search(r"files other than \.png, .* are ignored: \.heic 2", said)
    assert len(images.pictures_in(tmp_path / "photos" / "cat")) == 25


@pytest.mark.parametrize(
    ("folders", "line"),
    [
        (("train/cat", "train/dog", "val/cat", "val/dog"), "holds splits (train, val); name them train, test"),
        (("train/cat", "train/dog", "test/bird", "test/cow"), "the test set has no class of the training set"),
        (("train/cat", "train/dog", "test"), "training, validation or test set is empty (40, 10, 0)"),
    ],
)
def test_folders_of_parts_that_do_not_fit_are_answered(folders, line, tmp_path):
    for seed, folder in enumerate(folders):
        pictures(tmp_path / "photos" / folder, 25, seed)
    assert line in told(tmp_path, tmp_path / "photos")


# --- sequences --------------------------------------------------------------------------------------------------------


def test_sequences_without_a_class_are_read_to_predict_and_refused_to_train(tmp_path):
    (tmp_path / "a.ts").write_text(
        "\ufeff@classLabel false\n@data\n1,2,inf,4:5,6,7,8\n1,?,3,4:1,1,1,1\n", encoding="utf-8"
    )
    sequences, labels = read_ts(tmp_path / "a.ts")
    assert labels == ["", ""]
    assert sequences[0].tolist() == [[1, 2, 3, 4], [5, 6, 7, 8]]
    assert "has no classes (@classLabel false)" in told(tmp_path, tmp_path / "a.ts")
    (tmp_path / "b.ts").write_text("@classLabel true false true\n@data\n1,2:false\n3,4:true\n")
    assert read_ts(tmp_path / "b.ts")[1] == ["false", "true"]


def test_a_test_file_in_small_letters_and_numbers_as_labels(tmp_path):
    rng = np.random.default_rng(0)
    for name, n in (("a_train.TS", 60), ("a_test.TS", 20)):
        rows = ["@data", *(",".join(map(str, rng.normal(size=5).round(3))) + f":{i / 7:.3f}" for i in range(n))]
        (tmp_path / name).write_text("\n".join(rows) + "\n")
    said = told(tmp_path, tmp_path / "a_train.TS", kind="regression")
    assert "test is a_test.TS" in said
    assert "class 0 to 8.429" in said


# --- series -----------------------------------------------------------------------------------------------------------


def series(n=120, **columns):
    rng = np.random.default_rng(0)
    return pd.DataFrame(
        {"day": pd.date_range("2020-01-01", periods=n).strftime("%Y-%m-%d"), "v": rng.poisson(3, n)} | columns
    )


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (lambda f: f, "series, regression of 'v'"),  # counts are numbers, however few
        (
            lambda f: f,
            "120 rows, 1 day apart, give 112 examples: each is a window of 8 steps and the value 1 step later",
        ),
        (lambda f: f.assign(**{"": None}), "empty columns are left out: Unnamed: 2"),
        (lambda f: f.assign(w=[None] * 30 + [1.0] * 90), "constant columns are left out: w"),
        (
            lambda f: f.assign(w=[None] * 30 + [1.0, 2.0] * 45),
            "30 time steps are left out, as not every column has a value yet",
        ),
        (
            lambda f: pd.concat([f, f.assign(v=f["v"] + 1), f.assign(v=f["v"] + 2)]),
            "240 of 360 rows share their time with another row: for several series, identify",
        ),
        (lambda f: pd.concat([f, f[:3].assign(v=99)]), "3 rows share their time with another row"),
        (lambda f: pd.concat([f, f[:3]]), "3 rows equal to an earlier one are left out"),
        (lambda f: f.assign(v=None), "the target 'v' has no values"),
    ],
)
def test_odd_series_are_reported(change, line, tmp_path):
    change(series()).to_csv(tmp_path / "a.csv", index=False)
    said = told(tmp_path, tmp_path / "a.csv", target="v", time="day", horizon=1)
    assert line in said


def test_short_series_and_those_without_a_name_are_reported(tmp_path):
    shops = pd.concat([series(shop="a"), series(shop="b"), series(2, shop="tiny")])
    shops.to_csv(tmp_path / "a.csv", index=False)
    said = told(tmp_path, tmp_path / "a.csv", target="v", time="day", horizon=1, group="shop")
    assert "1 series is left out: it has fewer rows than the 8 that a forecast needs" in said
    shops.assign(shop=[None, *shops["shop"][1:]]).to_csv(tmp_path / "b.csv", index=False)
    said = told(tmp_path, tmp_path / "b.csv", target="v", time="day", horizon=1, group="shop")
    assert "the group column 'shop' must have a value in every row: row 1 has none" in said


def test_new_data_that_the_run_has_already_are_left_out(tmp_path):
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"x": rng.normal(size=300), "y": rng.choice(["a", "b"], 300)})
    for name, rows in (("first", slice(0, 200)), ("all", slice(None)), ("again", slice(50, 150))):
        frame[rows].to_csv(tmp_path / f"{name}.csv", index=False)
    prepare(Request(str(tmp_path / "first.csv"), "y"), tmp_path / "data")
    encoder = load_encoder(tmp_path / "data" / "encoder")[0]
    target = load_data(str(tmp_path / "data" / "columns"), None).target
    new = read_new(encoder, Request(str(tmp_path / "all.csv"), "y"), target, tmp_path / "data")
    assert "200 examples that the run's data already have are left out" in new.notes
    assert sorted(new.arrays["columns"][:, 0]) == sorted(frame["x"][200:].astype(np.float32))
    with pytest.raises(TooFewNewExamples, match="no new examples: all 100 are already in the run's data"):
        read_new(encoder, Request(str(tmp_path / "again.csv"), "y"), target, tmp_path / "data")
    frame.assign(y="a").to_csv(tmp_path / "other.csv", index=False)  # known ones with another label are new
    other = read_new(encoder, Request(str(tmp_path / "other.csv"), "y"), target, tmp_path / "data")
    assert len(other.y) == 100 + int((frame["y"][:200] != "a").sum())
    pd.concat([frame[:200], frame[200:230]]).to_csv(tmp_path / "grown.csv", index=False)
    with pytest.raises(
        TooFewNewExamples, match="needs at least 40 new examples: 200 of 230 are already in the run's data"
    ):
        read_new(encoder, Request(str(tmp_path / "grown.csv"), "y"), target, tmp_path / "data")


def test_class_codes_keep_their_zeros_in_new_data(tmp_path):
    frame = pd.DataFrame({"x": np.random.default_rng(0).normal(size=120), "y": ["01", "02", "1A"] * 40})
    frame.to_csv(tmp_path / "a.csv", index=False)
    prepare(Request(str(tmp_path / "a.csv"), "y"), tmp_path / "data")
    frame[frame["y"] != "1A"].assign(x=lambda f: f["x"] + 0.01).to_csv(tmp_path / "new.csv", index=False)
    encoder = load_encoder(tmp_path / "data" / "encoder")[0]
    target = load_data(str(tmp_path / "data" / "columns"), None).target
    new = read_new(encoder, Request(str(tmp_path / "new.csv"), "y"), target, tmp_path / "data")
    assert (new.new_classes, set(new.y.tolist())) == ((), {0, 1})


@pytest.mark.parametrize(
    ("spelled", "names", "older"),
    [
        (["01", "02"], ("01", "02"), ("1", "2")),
        (["false", "true", "TRUE"], ("false", "true"), ("False", "True")),
        (["1", "2"], ("1", "2"), ("01", "02")),
    ],
)
def test_classes_are_named_as_spelled_and_known_in_other_spellings(spelled, names, older, tmp_path):
    n = 40 * len(spelled)
    frame = pd.DataFrame({"x": np.random.default_rng(0).normal(size=n), "y": spelled * 40})
    frame.to_csv(tmp_path / "a.csv", index=False)
    prepare(Request(str(tmp_path / "a.csv"), "y"), tmp_path / "data")
    target = load_data(str(tmp_path / "data" / "columns"), None).target
    assert target.names == names
    encoder = load_encoder(tmp_path / "data" / "encoder")[0]
    frame.assign(x=frame["x"] + 0.01).to_csv(tmp_path / "new.csv", index=False)
    for known in (target, Classes(older)):
        new = read_new(encoder, Request(str(tmp_path / "new.csv"), "y"), known, tmp_path / "data")
        assert (new.new_classes, new.y.tolist()) == ((), [0, *[1] * (len(spelled) - 1)] * 40)


def test_new_classes_that_differ_from_known_ones_only_in_case_are_reported(tmp_path):
    frame = pd.DataFrame({"x": np.random.default_rng(0).normal(size=120), "y": ["No", "Yes"] * 60})
    frame.to_csv(tmp_path / "a.csv", index=False)
    prepare(Request(str(tmp_path / "a.csv"), "y"), tmp_path / "data")
    frame.replace({"y": {"No": "NO"}}).to_csv(tmp_path / "new.csv", index=False)
    encoder = load_encoder(tmp_path / "data" / "encoder")[0]
    target = load_data(str(tmp_path / "data" / "columns"), None).target
    new = read_new(encoder, Request(str(tmp_path / "new.csv"), "y"), target, tmp_path / "data")
    assert new.new_classes == ("NO",)
    assert "classes that differ only in case are treated as different: No, NO" in new.notes


def prices(n, start, rng):
    """A table with decimal commas and days first, and a text to each row."""
    frame = pd.DataFrame({"x": rng.integers(0, 99, n), "day": pd.date_range(start, periods=n)})
    frame["note"] = [" ".join(rng.choice(list("abcdefgh"), 9)) for _ in range(n)]
    return frame.assign(w=np.arange(n) + 1_001, y=200_000 + np.arange(n) * 1_001)


def thousands(values):
    return values.map("{:,}".format).str.replace(",", ".")


@pytest.mark.parametrize("text", [None, "note"])
def test_labels_weights_and_times_of_new_data_are_read_as_those_of_the_run(text, tmp_path):
    rng = np.random.default_rng(0)
    old, new = prices(120, "2024-01-01", rng), prices(60, "2025-01-01", rng)
    new["day"] = pd.to_datetime(new["day"].dt.strftime("2025-%m-") + (new["day"].dt.day % 12 + 1).astype(str))
    for name, frame, end in (("a", old, ",50 €"), ("new", new, "")):
        told = {"day": frame["day"].dt.strftime("%d/%m/%Y")}
        told |= {column: thousands(frame[column]) + end for column in ("w", "y")}
        frame.assign(**told).to_csv(tmp_path / f"{name}.csv", index=False, sep=";", decimal=",")
    request = Request(str(tmp_path / "a.csv"), "y", text=text, time="day", weight=None if text else "w")
    prepare(request, tmp_path / "data")
    encoder, facts = load_encoder(tmp_path / "data" / "encoder")
    target = load_data(str(tmp_path / "data" / encoder.views.usual), None).target
    found = read_new(encoder, replace(request, data=str(tmp_path / "new.csv")), target, tmp_path / "data")
    assert (found.y + target.offset).tolist() == new["y"].tolist()
    assert found.weights is None if text else found.weights.tolist() == new["w"].tolist()
    days = new["day"].to_numpy()
    assert days[found.parts.train].max() <= days[found.parts.test].min()
    saved = tmp_path / "data" / "encoder" / "encoder.json"  # as written by an earlier version
    saved.write_text(json.dumps({name: value for name, value in facts.items() if name != "formats"}))
    found = read_new(encoder, replace(request, data=str(tmp_path / "new.csv")), target, tmp_path / "data")
    assert len(found.y) == len(new)


def test_padded_numbers_that_are_many_are_no_classes(tmp_path):
    pd.DataFrame({"x": np.arange(200) * 1.5, "y": [f"{i:03}" for i in range(200)]}).to_csv(tmp_path / "a.csv")
    prepare(Request(str(tmp_path / "a.csv"), "y"), tmp_path / "data")
    assert Facts.read(tmp_path / "data").target_kind == "number"


def test_what_was_missing_in_training_is_no_class_in_new_data(tmp_path):
    rng = np.random.default_rng(0)
    for name in ("a", "new"):
        pd.DataFrame({"x": rng.normal(size=300), "y": ["0", "1"] * 145 + ["-"] * 10}).to_csv(
            tmp_path / f"{name}.csv", index=False
        )
    prepare(Request(str(tmp_path / "a.csv"), "y"), tmp_path / "data")
    encoder = load_encoder(tmp_path / "data" / "encoder")[0]
    target = load_data(str(tmp_path / "data" / "columns"), None).target
    new = read_new(encoder, Request(str(tmp_path / "new.csv"), "y"), target, tmp_path / "data")
    assert (new.new_classes, len(new.y)) == ((), 290)


def test_few_different_texts_stay_in_all_parts_and_that_is_reported(tmp_path):
    frame = pd.DataFrame({"text": ["a good thing this is", "a bad thing that was"] * 60, "y": ["x", "y"] * 60})
    frame.to_csv(tmp_path / "a.csv", index=False)
    said = told(tmp_path, tmp_path / "a.csv", target="y", text="text")
    assert "they are kept in all sets, and the test score may be too optimistic" in said


# --- molecules --------------------------------------------------------------------------------------------------------


def test_molecules_of_one_scaffold_are_drawn_at_random(tmp_path):
    frame = pd.DataFrame({"smiles": [f"c1ccccc1{'C' * (i + 1)}" for i in range(60)], "y": np.arange(60) / 7})
    frame.to_csv(tmp_path / "a.csv", index=False)
    said = told(tmp_path, tmp_path / "a.csv", target="y")
    assert "nearly all molecules have the same scaffold: the split is random, not by scaffold" in said
    assert "stratified at random" in said
