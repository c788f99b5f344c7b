"""Users' images, sequences and time series: reading, splitting, learning, predicting."""

import os
import shutil
import subprocess
import sys
from collections import Counter
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import small_models
from PIL import Image
from processes import invoke
from sklearn.datasets import load_digits
from user_models import trained

from automl.data.datasets.registry import load_data
from automl.data.ingest import images
from automl.data.ingest.kinds import load_encoder
from automl.data.ingest.prepare import Facts, prepare
from automl.data.ingest.request import Request
from automl.data.ingest.sequences import SequencesEncoder, read_ts
from automl.data.ingest.series import SeriesEncoder
from automl.errors import UserError
from automl.tasks.user_data import own_task

# --- pictures ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def photos(tmp_path):
    """Digits 0, 1 and 7 as small pictures of odd sizes, a folder each."""
    digits = load_digits()
    for number, (image, label) in enumerate(zip(digits.images, digits.target, strict=True)):
        if label in (0, 1, 7) and number < 700:
            folder = tmp_path / "photos" / {0: "zero", 1: "one", 7: "seven"}[label]
            folder.mkdir(parents=True, exist_ok=True)
            picture = Image.fromarray((image * 15).astype(np.uint8)).resize((20 + number % 3, 18))
            picture.save(folder / f"{number:04d}.{('png', 'bmp')[number % 2]}")
    return tmp_path / "photos"


def test_a_folder_a_class_is_learnt_and_new_pictures_are_judged(photos, tmp_path):
    report = prepare(Request(str(photos)), tmp_path / "data")
    assert report.facts["kind"] == "images, classification of 'folder'"
    splits = load_data(str(tmp_path / "data" / "pixels"), None)
    assert splits.shape == (1, 16, 16)
    assert splits.x_train.dtype == np.uint8
    last, predictor = trained(tmp_path / "data", "cnn", tmp_path, 4, lr=0.01, batch_size=32)
    assert last.metrics["accuracy"] > 0.9
    files = sorted((photos / "seven").iterdir())[:20]
    assert (predictor.predict(files) == "seven").mean() > 0.8
    assert predictor.predict(photos / "zero").tolist().count("zero") > 0.8 * len(list((photos / "zero").iterdir()))
    assert "augment" in own_task(tmp_path / "data", "cnn", None).space
    for metric, usual in (("accuracy", np.bincount(splits.y_test).max() / len(splits.y_test)), ("auc", 0.5)):
        baseline = own_task(tmp_path / "data", "cnn", metric).baseline()
        assert baseline["name"] == "majority class"
        assert baseline["score"] == pytest.approx(usual)
    (photos / "seven" / "broken.png").write_bytes(b"\x89PNG nothing")
    [told] = predictor.stream(photos / "seven")
    without = told[told["folder"].isna()]
    assert without["file"].tolist() == [str(photos / "seven" / "broken.png")]
    assert without["probability of one"].isna().all()
    assert (told["folder"] == "seven").mean() > 0.8
    with pytest.raises(UserError, match=r"broken\.png' is not a readable image"):
        predictor.predict(photos / "seven")


def test_a_picture_is_decoded_once(photos, tmp_path, monkeypatch):
    times, read = Counter(), images.ImagesEncoder._read

    def counted(self, file):
        times[file] += 1
        return read(self, file)

    monkeypatch.setattr(images.ImagesEncoder, "_read", counted)
    (photos / "seven" / "broken.png").write_bytes(b"\x89PNG nothing")
    prepare(Request(str(photos)), tmp_path / "data")
    assert len(times) == len(list(photos.glob("*/*")))
    assert set(times.values()) == {1}
    encoder, _ = load_encoder(tmp_path / "data" / "encoder")
    rows = encoder.labelled(Request(str(photos)))
    assert encoder.encode(rows.frame)["pixels"].shape == (len(times) - 1, 1, 16, 16)
    assert set(times.values()) == {2}


def test_folders_of_train_and_test_are_kept_and_copies_of_test_pictures_leave_training(photos, tmp_path):
    (tmp_path / "both").mkdir()
    photos.rename(tmp_path / "both" / "train")
    for name in ("zero", "one", "seven"):
        folder = tmp_path / "both" / "test" / name
        folder.mkdir(parents=True)
        own = sorted((tmp_path / "both" / "train" / name).iterdir())
        for file in own[:8]:
            file.rename(folder / file.name)
        (folder / "copy.png").write_bytes(own[9].read_bytes())
    report = prepare(Request(str(tmp_path / "both")), tmp_path / "data")
    splits = load_data(str(tmp_path / "data" / "pixels"), None)
    assert len(splits.y_test) == 27
    assert any("3 rows were left out of training or validation" in note for note in report.notes)


def damaged_in_every_way(photos):
    """Eight files that no decoder reads to their end; two of them are the same."""
    rng = np.random.default_rng(0)
    picture = Image.fromarray(rng.integers(0, 255, (40, 40, 3), dtype=np.uint8))
    for name in ("cut.png", "cut.jpg", "cut.webp", "cut.gif", "cut.bmp", "cut.tif"):
        picture.save(photos / "zero" / name)
        content = (photos / "zero" / name).read_bytes()
        (photos / "zero" / name).write_bytes(content[: len(content) // 2])
    for name in ("one/a.png", "seven/b.png"):
        (photos / name).write_bytes(b"\x89PNG nothing")
    return 8


def test_damaged_pictures_are_counted_and_left_out_of_duplicates_and_splits(photos, tmp_path):
    prepare(Request(str(photos)), tmp_path / "before")
    n_good = len(list(photos.rglob("*.*")))
    n_bad = damaged_in_every_way(photos)
    report = prepare(Request(str(photos)), tmp_path / "data")
    [note] = [note for note in report.notes if "images are left out" in note]
    assert note.startswith(f"{n_bad} of {n_good + n_bad} images are left out; the first: '{photos}/one/a.png' is not a")
    assert report.facts["duplicates"] == "none"
    assert not any("different label" in note for note in report.notes)
    before, after = (load_data(str(tmp_path / name / "pixels"), None) for name in ("before", "data"))
    for part in ("x_train", "y_train", "x_valid", "y_valid", "x_test", "y_test"):
        assert np.array_equal(getattr(before, part), getattr(after, part))


def test_a_picture_too_narrow_to_be_resized_is_left_out(photos, tmp_path):
    Image.new("L", (1_000_000, 1)).save(photos / "one" / "line.png")
    report = prepare(Request(str(photos)), tmp_path / "data")
    [note] = [note for note in report.notes if "left out" in note]
    assert "line.png' is not a readable image (1,000,000 x 1 pixels are too narrow); fix or remove it" in note


def test_names_in_another_encoding_are_escaped_where_they_are_written(tmp_path):
    photos = small_models.pictures(tmp_path / "run")
    odd = os.fsdecode(b"\xe9")
    (photos / "seven").rename(photos / f"s{odd}ven")
    for file in list(photos.glob("*ven/*")):
        file.rename(file.with_name(f"{odd}-{file.name}"))
    (photos / "zero" / f"broken-{odd}.png").write_bytes(b"\x89PNG nothing")
    (photos / "zero" / f"note.{odd}").touch()
    report = prepare(Request(str(photos)), tmp_path / "new" / "data")
    assert "s\\udce9ven" in report.facts["classes"]
    assert any(note.endswith(": .\\udce9 1") for note in report.notes)
    small_models.trained(tmp_path / "new", "mlp", epochs=1)
    out = invoke("predict", tmp_path / "new", "--data", photos, "--out", tmp_path / "told.csv")
    assert "1 example that cannot be read has no prediction: file " in out
    told = pd.read_csv(tmp_path / "told.csv")
    assert told["file"].str.contains("s\\udce9ven/\\udce9-", regex=False).sum() > 30
    assert set(told["folder"].dropna()) == {"one", "zero", "s\\udce9ven"}
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="has no examples to predict"):
        invoke("predict", tmp_path / "new", "--data", tmp_path / "empty", "--out", tmp_path / "none.csv")
    assert not (tmp_path / "none.csv").exists()


def test_damaged_pictures_leave_the_test_folder_and_a_class_that_is_lost_is_named(photos, tmp_path):
    (tmp_path / "both").mkdir()
    photos.rename(tmp_path / "both" / "train")
    for name in ("zero", "one", "seven"):
        folder = tmp_path / "both" / "test" / name
        folder.mkdir(parents=True)
        for file in sorted((tmp_path / "both" / "train" / name).iterdir())[:8]:
            file.rename(folder / file.name)
    first = min((tmp_path / "both" / "test" / "one").iterdir())
    first.write_bytes(first.read_bytes()[:40])
    for file in (tmp_path / "both").glob("*/zero/*"):
        file.write_bytes(b"")
    report = prepare(Request(str(tmp_path / "both")), tmp_path / "data")
    assert "no image of these classes can be read: zero" in report.notes
    splits = load_data(str(tmp_path / "data" / "pixels"), None)
    assert (splits.n_classes, len(splits.y_test)) == (2, 15)


def test_a_program_that_is_named_like_a_picture_is_not_run(photos, tmp_path, monkeypatch):
    """PostScript, for which Pillow would start Ghostscript."""
    (tmp_path / "bin").mkdir()
    ghostscript = tmp_path / "bin" / "gs"
    ghostscript.write_text(f"#!/bin/sh\ntouch {tmp_path}/started\n")
    ghostscript.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"), prepend=os.pathsep)
    (photos / "zero" / "script.png").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n%%EOF\n")
    report = prepare(Request(str(photos)), tmp_path / "data")
    assert any("1 of" in note and "script.png' is not a readable image" in note for note in report.notes)
    assert not (tmp_path / "started").exists()


def test_a_single_folder_of_pictures_is_refused(photos, tmp_path):
    shutil.rmtree(photos / "one")
    shutil.rmtree(photos / "seven")
    with pytest.raises(UserError, match="has a single folder of images, 'zero'; put those of each class into a folder"):
        prepare(Request(str(photos)), tmp_path / "data")


def test_folders_without_a_picture_that_can_be_read_are_refused(photos, tmp_path):
    for file in photos.rglob("*.*"):
        file.write_bytes(b"\x89PNG nothing")
    with pytest.raises(UserError, match=r"^none of the \d+ images in .* can be read; the first: '.*' is not"):
        prepare(Request(str(photos)), tmp_path / "data")
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="must contain one folder of images"):
        prepare(Request(str(tmp_path / "empty")), tmp_path / "data")


def test_pictures_are_read_as_they_are_seen(tmp_path):
    deep = np.full((16, 16), 200 * 257, np.uint16)
    drawn = np.zeros((16, 16, 4), np.uint8)
    drawn[:8, :, 3] = 255  # black above; below transparent, and black beneath
    pictures = {
        "deep.png": (Image.fromarray(deep), 200, 200),
        "shares.tif": (Image.fromarray(np.full((16, 16), 0.2, np.float32)), 51, 51),
        "drawn.png": (Image.fromarray(drawn), 0, 255),
        "plain.png": (Image.fromarray(np.full((16, 16), 90, np.uint8)), 90, 90),
    }
    upside_down = Image.Exif()
    upside_down[0x0112] = 3
    half = Image.fromarray(np.repeat(np.array([[0], [250]], np.uint8), 8, 0).repeat(16, 1))
    pictures["turned.png"] = (half, 250, 0)
    for name, (picture, above, below) in pictures.items():
        picture.save(tmp_path / name, **({"exif": upside_down} if name == "turned.png" else {}))
        encoder = images.ImagesEncoder(16, "L")
        [[pixels]] = encoder.encode(encoder.as_frame([tmp_path / name]))["pixels"]
        assert (pixels[0, 0], pixels[-1, -1]) == (above, below), name


@pytest.mark.parametrize("size", [(16, 16), (40, 31), (31, 40), (9, 100), (1, 3)])
def test_pictures_are_resized_and_cropped_as_by_torchvision(size):
    from torchvision.transforms import functional  # slow to import

    picture = Image.fromarray(np.random.default_rng(0).integers(0, 256, (*size, 3), np.uint8))
    wanted = functional.center_crop(functional.resize(picture, [24]), [24])
    assert np.array_equal(images.centre(picture, 24), wanted)


def test_pictures_that_lie_in_no_folder_of_a_class_and_a_target_are_answered(photos):
    with pytest.raises(UserError, match=r"images are in '.*zero' itself; put those of each class"):
        images.read(Request(str(photos / "zero")))
    with pytest.raises(UserError, match="--target does not apply to data of kind images"):
        prepare(Request(str(photos), "y"), photos / "data")


# --- sequences --------------------------------------------------------------------------------------------------------


def write_ts(file, n, *, ragged, channels=2):
    rng = np.random.default_rng(n)
    lines = ["# made up", "@problemName waves", "@timeStamps false", "@classLabel true slow fast", "@data"]
    for i in range(n):
        steps = np.arange(rng.integers(20, 41) if ragged else 30)
        wave = [np.sin(steps * (0.3 + 0.5 * (i % 2)) + rng.random() * 6) for _ in range(channels)]
        text = [",".join("?" if i == 0 and j == 3 else f"{v:.4f}" for j, v in enumerate(channel)) for channel in wave]
        lines.append(":".join([*text, ("slow", "fast")[i % 2]]))
    file.write_text("\n".join(lines) + "\n")


@pytest.mark.parametrize("ragged", [False, True])
def test_sequences_of_one_or_of_several_lengths_are_learnt(ragged, tmp_path):
    write_ts(tmp_path / "waves_TRAIN.ts", 120, ragged=ragged)
    write_ts(tmp_path / "waves_TEST.ts", 50, ragged=ragged)
    report = prepare(Request(str(tmp_path / "waves_TRAIN.ts")), tmp_path / "data")
    assert "test is waves_TEST.ts" in report.facts["split"]
    assert Facts.read(tmp_path / "data").ragged == ragged
    splits = load_data(str(tmp_path / "data" / "steps"), None)
    assert splits.inputs.kind == ("padded" if ragged else "dense")
    assert len(splits.y_test) == 50
    assert np.isnan(splits.x_train).any() == ragged
    for family, epochs in (("cnn", 6), ("random_forest", 1), ("transformer", 1), ("rnn", 1)):
        change = {"lr": 0.01, "batch_size": 32} if family != "random_forest" else {}
        last, predictor = trained(tmp_path / "data", family, tmp_path, epochs, **change)
        if family == "cnn":
            assert last.metrics["accuracy"] > 0.9
        sequences, labels = read_ts(tmp_path / "waves_TEST.ts")
        assert np.array_equal(predictor.predict(sequences), predictor.predict(tmp_path / "waves_TEST.ts"))
        if family == "cnn":
            assert (predictor.predict(sequences) == labels).mean() > 0.8


def test_sequences_in_python_are_read_as_in_files(tmp_path):
    encoder = SequencesEncoder(1, 5, same_length=True)
    wanted = encoder.encode(encoder.from_records([[[1, 2, None, 4, 5]]]))["steps"]
    for given in ([np.array([[1, 2, np.nan, 4, 5]])], [[[1, 2, np.inf, 4, 5]]]):
        assert encoder.encode(encoder.as_frame(given))["steps"].tolist() == wanted.tolist()
    for wrong in (1.0, [1, 2], [["x"]], [[1], [1, 2]]):
        with pytest.raises(UserError, match=r"example 1 must be an array of numbers, \(channels, steps\)"):
            encoder.as_frame([wrong])
    with pytest.raises(UserError, match="there is no file"):
        encoder.as_frame(tmp_path / "none.ts")


def test_the_keys_that_split_sequences_are_the_same_in_every_process(tmp_path):
    write_ts(tmp_path / "waves.ts", 60, ragged=False)
    code = "import sys; from automl.data.ingest.sequences import read, Request; print(read(Request(sys.argv[1])).keys)"
    keys = {
        subprocess.run(
            [sys.executable, "-c", code, str(tmp_path / "waves.ts")],
            env={**os.environ, "PYTHONHASHSEED": seed}, check=True, capture_output=True,
        ).stdout
        for seed in "12"
    }  # fmt: skip
    assert len(keys) == 1


@pytest.mark.parametrize(
    ("content", "line"),
    [
        ("@data\n1,2,x:a\n", "line 2: could not convert string to float: 'x'"),
        ("@data\n1,2\n", "line 2 has no class"),
        ("@data\n1,2:3,4:a\n1,2:b\n", "line 3 has 1 channels, the first 2"),
        ("@timeStamps true\n@data\n(0,1):a\n", "has time stamps"),
        ("@data\n", "has no sequences"),
    ],
)
def test_bad_ts_files_are_named_with_their_line(content, line, tmp_path):
    (tmp_path / "a.ts").write_text(content)
    with pytest.raises(UserError, match=line):
        read_ts(tmp_path / "a.ts")


# --- series -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def sales(tmp_path):
    """A weekly rhythm with noise, rows in no order, a gap, and a column of words."""
    n = 400
    rng = np.random.default_rng(0)
    days = pd.date_range("2022-01-01", periods=n)
    frame = pd.DataFrame({"date": days.strftime("%d.%m.%Y"), "price": rng.normal(size=n).round(3)})
    frame["volume"] = (50 + 10 * np.sin(np.arange(n) * 2 * np.pi / 7) + rng.normal(size=n)).round(3)
    frame["weather"] = [f"kind {i % 50}" for i in range(n)]
    frame.loc[100, "price"] = None
    frame = frame.sample(frac=1, random_state=0)
    frame.to_csv(tmp_path / "sales.csv", index=False)
    return frame


def test_a_series_is_forecast_from_its_past_alone(sales, tmp_path):
    request = Request(str(tmp_path / "sales.csv"), "volume", time="date", horizon=3)
    report = prepare(request, tmp_path / "data")
    assert report.facts["kind"] == "series, regression of 'volume'"
    assert "columns that are neither numbers nor of 2 to 20 values are left out: weather" in report.notes
    assert "models also read weekday of the time that they forecast" in report.notes
    [naive] = [float(note.split("rmse of ")[1]) for note in report.notes if "the value 7 days earlier" in note]
    splits = load_data(str(tmp_path / "data" / "windows"), None)
    ordered = sales.assign(when=pd.to_datetime(sales["date"], dayfirst=True)).sort_values("when")
    volume = ordered["volume"].to_numpy(np.float32)
    window = splits.shape[1]
    assert splits.shape == (2 + 2, window)  # and the weekday as waves
    assert np.array_equal(splits.x_train[0, 0], volume[:window])
    assert splits.y_train[0] == volume[window - 1 + 3]
    assert np.array_equal(splits.y_test, volume[-len(splits.y_test) :])
    assert naive == pytest.approx(np.sqrt(np.mean((splits.y_test - splits.x_test[:, 0, -5]) ** 2)), rel=1e-3)
    for family, epochs in (("linear", 1), ("gradient_boosting", 2), ("rnn", 1)):
        last, predictor = trained(tmp_path / "data", family, tmp_path, epochs)
        assert np.isfinite(last.loss)
        forecasts = predictor.predict(sales)
        assert len(forecasts) == len(sales) - window + 1  # a window each; the last is of what is not known yet
        if family == "linear":
            assert last.metrics["rmse"] < naive
            assert np.abs(forecasts[:-3] - volume[window + 2 :]).mean() < 2
    baseline = own_task(tmp_path / "data", None, None).baseline()
    assert baseline["name"] == "value 7 days earlier"
    assert baseline["score"] == pytest.approx(naive, rel=1e-3)
    with pytest.raises(UserError, match="a forecast needs the last"):
        predictor.predict(ordered.head(3))
    with pytest.raises(UserError, match="the frame has two columns named 'volume'; rename one of them"):
        predictor.predict(pd.concat([sales, sales["volume"]], axis=1))


@pytest.mark.parametrize(
    ("frequency", "n", "n_steps"),
    [
        ("MS", 144, 13), ("MS", 53, 13), ("MS", 52, 4), ("QS", 60, 5), ("W", 300, 53), ("W", 150, 7), ("B", 100, 6),
        ("D", 2_000, 64), ("h", 240, 25), ("15min", 500, 97), ("YS", 60, 4), ("2h", 240, 13), (None, 144, 7),
    ],
)  # fmt: skip
def test_a_window_covers_a_season_of_dates(frequency, n, n_steps, tmp_path):
    when = np.arange(n) if frequency is None else pd.date_range("1980-01-01", periods=n, freq=frequency)
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"when": when, "sold": rng.normal(size=n), "shop": "a"})
    pd.concat([frame, frame.assign(shop="b")]).sample(frac=1, random_state=0).to_csv(tmp_path / "f.csv", index=False)
    prepare(Request(str(tmp_path / "f.csv"), "sold", time="when", horizon=1, group="shop"), tmp_path / "data")
    assert load_data(str(tmp_path / "data" / "windows"), None).shape[1] == n_steps


@pytest.mark.parametrize(
    ("written", "n_steps"),
    [
        ("%Y%m", 13), ("%Y%m01", 13), ("{0.year}Q{0.quarter}", 5), ("Q{0.quarter} {0.year}", 5),
        ("{0.year}-q{0.quarter}", 5),
    ],
)  # fmt: skip
def test_months_as_whole_numbers_and_quarters_have_a_season_and_their_order(written, n_steps, tmp_path):
    is_quarter = "{" in written
    n = 60 if is_quarter else 144
    when = pd.date_range("1950-01-01", periods=n, freq="QS" if is_quarter else "MS")
    said = [written.format(each) for each in when] if is_quarter else when.strftime(written).astype(int)
    frame = pd.DataFrame({"when": said, "sold": np.arange(n, dtype=float)})
    frame.sample(frac=1, random_state=0).to_csv(tmp_path / "f.csv", index=False)
    notes = prepare(Request(str(tmp_path / "f.csv"), "sold", time="when", horizon=1), tmp_path / "data").notes
    assert "89" not in " ".join(note for note in notes if "steps vary" in note)
    splits = load_data(str(tmp_path / "data" / "windows"), None)
    assert splits.x_train.shape[2] == n_steps
    assert (np.diff(splits.x_train[:, 0]) == 1).all()


@pytest.mark.parametrize("numbers", [np.arange(100_000, 100_144), np.arange(144) + 0.5])
def test_other_numbers_are_no_dates(numbers, tmp_path):
    pd.DataFrame({"when": numbers, "sold": range(144)}).to_csv(tmp_path / "f.csv", index=False)
    prepare(Request(str(tmp_path / "f.csv"), "sold", time="when", horizon=1), tmp_path / "data")
    assert load_data(str(tmp_path / "data" / "windows"), None).shape == (1, 7)


def test_a_table_of_only_a_target_and_its_time_is_told_how_to_forecast(tmp_path):
    pd.DataFrame({"when": pd.date_range("2020-01-01", periods=90), "sold": range(90)}).to_csv(
        tmp_path / "sales.csv", index=False
    )
    with pytest.raises(UserError, match="to forecast 'sold' from its own past, give --horizon too"):
        prepare(Request(str(tmp_path / "sales.csv"), "sold", time="when"), tmp_path / "data")


def test_several_series_do_not_run_into_each_other(sales, tmp_path):
    both = pd.concat([sales.assign(shop="a"), sales.assign(shop="b", volume=sales["volume"] + 1_000)])
    both.to_csv(tmp_path / "both.csv", index=False)
    prepare(Request(str(tmp_path / "both.csv"), "volume", time="date", horizon=1, group="shop"), tmp_path / "data")
    splits = load_data(str(tmp_path / "data" / "windows"), None)
    assert np.ptp(splits.x_train[:, 0], axis=1).max() < 100
    assert abs(len(splits.y_test) - 150) < 20


def test_series_keep_the_names_that_the_file_gives_them(sales, tmp_path):
    names = ["01", "1", "1234567890123456701", "1234567890123456702"]
    shops = pd.concat([sales.assign(shop=name) for name in names])
    shops.to_csv(tmp_path / "shops.csv", index=False)
    request = Request(str(tmp_path / "shops.csv"), "volume", time="date", horizon=1, group="shop")
    report = prepare(request, tmp_path / "data")
    assert not any("share their time" in note for note in report.notes)
    found = load_encoder(tmp_path / "data" / "encoder")[0].as_frame(tmp_path / "shops.csv")
    assert list(found["series"].unique()) == names


def test_a_target_named_time_does_not_replace_the_times_of_its_forecasts(sales, tmp_path):
    sales.rename(columns={"volume": "time"}).to_csv(tmp_path / "times.csv", index=False)
    prepare(Request(str(tmp_path / "times.csv"), "time", time="date", horizon=1), tmp_path / "data")
    _, predictor = trained(tmp_path / "data", "linear", tmp_path, 1)
    [found] = predictor.stream(tmp_path / "times.csv")
    assert list(found) == ["time of the example", "time"]
    assert found["time of the example"].iloc[-1] == pd.Timestamp("2023-02-04")


def test_a_short_series_and_a_wrong_target_are_answered(sales, tmp_path):
    sales.head(30).to_csv(tmp_path / "short.csv", index=False)
    with pytest.raises(UserError, match="the series is too short: 30 rows give 24 windows of 4 steps"):
        prepare(Request(str(tmp_path / "short.csv"), "volume", time="date", horizon=3), tmp_path / "data")
    with pytest.raises(UserError, match="the target 'weather' of a time series must be numeric"):
        prepare(Request(str(tmp_path / "sales.csv"), "weather", time="date", horizon=3), tmp_path / "data")


def test_rows_without_a_window_are_explained_when_a_model_reads_them(sales, tmp_path):
    sales.to_csv(tmp_path / "sales.csv", index=False)
    request = Request(str(tmp_path / "sales.csv"), "volume", time="date", horizon=1)
    prepare(request, tmp_path / "data")
    encoder = load_encoder(tmp_path / "data" / "encoder")[0]
    assert isinstance(encoder, SeriesEncoder)
    with pytest.raises(UserError, match="column 'volume' has no numbers, of which a forecast reads the last 20"):
        encoder.as_frame(sales.assign(volume="a few"))
    n = encoder.reach
    ordered = sales.assign(when=pd.to_datetime(sales["date"], dayfirst=True)).sort_values("when").drop(columns="when")
    with pytest.raises(UserError, match=f"no series has {n} rows with a value in every column; the longest has 400"):
        encoder.as_frame(ordered.assign(price=[None] * (400 - n + 1) + [5.0] * (n - 1)))
    ordered.assign(price=[None] * 20 + [5.0] * 380).to_csv(tmp_path / "later.csv", index=False)
    read = encoder.labelled(replace(request, data=str(tmp_path / "later.csv")))
    assert "20 time steps are left out, as not every column has a value yet (with gaps: price)" in read.notes
