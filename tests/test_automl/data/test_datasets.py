"""Data sets: splits, the files of Fashion-MNIST, augmentation, and the command."""

import gzip
import random
import struct
from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from automl.cli import run_command
from automl.cli.data import app
from automl.data.augmentation import augment
from automl.data.datasets import digits, fashion_mnist, mnist1d, packages
from automl.data.datasets.registry import SOURCES, DataMissing, load_data
from automl.data.inputs import Dense
from automl.data.splits import held_out, make_splits, stratified, take_train

HERE = ["mnist1d", "digits"]  # the sources that are on every machine


def rows(x):
    return {example.tobytes() for example in x}


@pytest.mark.parametrize("name", HERE)
def test_splits_have_the_stated_sizes_and_share_no_example(name):
    splits, source = load_data(name, None), SOURCES[name]
    parts = [splits.x_train, splits.x_valid, splits.x_test]
    assert [len(x) for x in parts] == [source.n_train, source.n_valid, source.n_test]
    assert splits.n_classes == source.n_classes
    assert len(set.union(*map(rows, parts))) == sum(map(len, parts))


@pytest.mark.parametrize("name", HERE)
def test_validation_is_stratified(name):
    splits = load_data(name, None)
    train, valid = (np.bincount(y, minlength=10) for y in (splits.y_train, splits.y_valid))
    share = len(splits.y_valid) / (len(splits.y_valid) + len(splits.y_train))
    assert np.all(np.abs(valid - (train + valid) * share) <= 1)


@pytest.mark.parametrize("source", [mnist1d, digits])
def test_loading_again_gives_the_same_splits(source):
    first, second = source.load(), source.load()
    assert np.array_equal(first.x_valid, second.x_valid)
    assert np.array_equal(first.y_train, second.y_train)


def test_the_drawn_examples_never_change():
    chosen, rest = stratified(np.arange(40) % 4, 4)
    assert chosen.tolist() == [11, 4, 2, 1]
    assert sorted([*chosen, *rest]) == list(range(40))


def test_numbers_that_are_held_out_are_as_high_as_the_others():
    y = np.random.default_rng(0).lognormal(0, 1.5, 500)
    means, highest, orders = [], 0, [np.random.default_rng(seed).permutation(500) for seed in range(200)]
    for order in orders:
        chosen, rest = held_out(y[order], 100)
        assert sorted([*chosen, *rest]) == list(range(500))
        ranks = np.sort(np.argsort(np.argsort(y[order]))[chosen])
        assert (ranks // 5 == np.arange(100)).all(), "one of each range"
        means.append(y[order][chosen].mean())
        highest += y[order][chosen].max() == y.max()
    assert np.mean(means) == pytest.approx(y.mean(), rel=0.02)
    assert np.mean(y[stratified(y, 100)[0]]) < 0.95 * y.mean()
    assert 20 <= highest <= 60  # of 200, with a probability of a fifth each


def test_classes_are_held_out_by_their_shares():
    y = np.arange(503) % 3
    assert all((a == b).all() for a, b in zip(held_out(y, 50), stratified(y, 50), strict=True))
    assert len(held_out(y.astype(float), 0)[0]) == 0


@pytest.mark.parametrize("n", [10, 37, 500, 1_077])
def test_a_part_of_the_training_examples_is_stratified_and_leaves_the_rest_alone(n):
    whole, part = load_data("digits", None), load_data("digits", n)
    counts, shares = np.bincount(part.y_train, minlength=10), np.bincount(whole.y_train, minlength=10) * n / 1_077
    assert counts.sum() == n
    assert np.all(np.abs(counts - shares) <= 1)
    assert rows(part.x_train) <= rows(whole.x_train)
    assert part.x_valid is whole.x_valid
    assert part.x_test is whole.x_test


def test_data_are_loaded_once_however_they_are_asked_for():
    part = load_data("digits", 37)
    assert load_data("digits", train_size=37, with_valid=False) is load_data("digits", 37, False) is part


def test_statistics_are_those_of_the_training_examples_alone():
    rng = np.random.default_rng(0)
    x, y = rng.normal(3, 2, (100, 2, 5)).astype(np.float32), np.arange(100) % 5
    splits = make_splits(x, y, x + 1_000, y, n_valid=20, classes=tuple("abcde"))
    part = take_train(splits, 10)
    for each in (splits, part):
        assert each.inputs.mean == pytest.approx(each.x_train.mean((0, 2)), rel=1e-6)
        assert each.inputs.std == pytest.approx(each.x_train.std((0, 2)), rel=1e-6)
    assert part.inputs.mean != splits.inputs.mean


def test_a_constant_channel_is_not_divided_by_zero():
    y = np.arange(20) % 2
    splits = make_splits(
        np.ones((20, 1, 3), np.float32), y, np.ones((2, 1, 3), np.float32), y[:2], n_valid=4, classes=("a", "b")
    )
    assert splits.inputs.std[0] > 0


def test_mnist1d_leaves_the_global_generators_alone():
    np.random.seed(7)  # noqa: NPY002
    random.seed(7)
    expected = (np.random.rand(), random.random())  # noqa: NPY002
    np.random.seed(7)  # noqa: NPY002
    random.seed(7)
    mnist1d.load()
    assert (np.random.rand(), random.random()) == expected  # noqa: NPY002


# --- files of Fashion-MNIST -------------------------------------------------------------------------------------------


def idx(shape, values=b""):
    header = struct.pack(f">HBB{len(shape)}I", 0, 8, len(shape), *shape)
    return header + values + bytes(int(np.prod(shape)) - len(values))


@pytest.fixture
def nowhere(tmp_path, monkeypatch):
    """No Fashion-MNIST anywhere, and an empty root."""
    monkeypatch.setenv("AUTOML_DATA", str(tmp_path / "root"))
    monkeypatch.setattr(fashion_mnist, "DEBIAN", tmp_path / "debian")
    (tmp_path / "debian").mkdir()
    return tmp_path


def test_missing_data_name_every_way_to_get_them(nowhere):
    with pytest.raises(DataMissing) as error:
        fashion_mnist.load()
    for way in ("automl data fetch fashion-mnist", "apt install dataset-fashion-mnist", "AUTOML_DATA"):
        assert way in str(error.value)
    assert "\n" not in str(error.value)


def test_debian_files_are_unpacked_once_and_readable_by_torchvision(nowhere):
    for name, shape in fashion_mnist.SHAPES.items():
        labels = bytes(range(10)) * (shape[0] // 10) if len(shape) == 1 else b""
        (nowhere / "debian" / f"{name}.gz").write_bytes(gzip.compress(idx(shape, labels), 1))
    splits = fashion_mnist.load()
    source = SOURCES["fashion-mnist"]
    assert [len(y) for y in (splits.y_train, splits.y_valid, splits.y_test)] == [
        source.n_train,
        source.n_valid,
        source.n_test,
    ]
    assert splits.shape == (1, 28, 28)
    assert fashion_mnist.fetch(download=False) == "already available"
    assert {path.name for path in fashion_mnist.raw_folder().iterdir()} == set(fashion_mnist.SHAPES)


def test_damaged_files_are_refused_and_leave_nothing_behind(nowhere):
    for name in fashion_mnist.SHAPES:
        (nowhere / "debian" / f"{name}.gz").write_bytes(gzip.compress(idx((3, 28, 28))))
    with pytest.raises(DataMissing, match="damaged"):
        fashion_mnist.fetch(download=False)
    assert list(fashion_mnist.raw_folder().iterdir()) == []


@pytest.mark.parametrize("size", [0, 10, 100])
def test_files_that_break_off_are_missing_and_replaced(nowhere, size):
    for name, shape in fashion_mnist.SHAPES.items():
        (nowhere / "debian" / f"{name}.gz").write_bytes(gzip.compress(idx(shape), 1))
    fashion_mnist.fetch(download=False)
    file = fashion_mnist.raw_folder() / "t10k-labels-idx1-ubyte"
    whole = file.read_bytes()
    file.write_bytes(whole[:size])
    assert "unpacked on first use" in fashion_mnist.where()
    fashion_mnist.fetch(download=False)
    assert file.read_bytes() == whole


def test_other_pictures_under_its_name_are_refused(nowhere):
    folder = fashion_mnist.raw_folder()
    folder.mkdir(parents=True)
    for name, shape in fashion_mnist.SHAPES.items():
        (folder / name).write_bytes(idx((24, *(8 for _ in shape[1:]))))
    with pytest.raises(DataMissing, match="does not hold Fashion-MNIST"):
        fashion_mnist.load()


# --- augmentation -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(6, 2, 40), (6, 2, 28, 28)])
def test_augmentation_grows_with_its_strength(shape):
    x = torch.randn(shape, generator=torch.Generator().manual_seed(0)).cumsum(-1)
    assert augment(x, 0.0) is x
    before = x.clone()
    weak, strong = ((augment(x, strength) - x).abs().mean() for strength in (0.05, 1.0))
    assert weak < strong
    assert torch.equal(x, before)
    assert augment(x, 0.5).shape == x.shape


def test_pictures_are_moved_as_a_whole():
    x = torch.arange(28 * 28.0).reshape(1, 1, 28, 28).repeat(8, 1, 1, 1)
    moved = augment(x, 1.0)
    assert not torch.equal(moved, x)
    middle = moved[:, 0, 6:-6, 6:-6]
    assert torch.all(middle.diff(dim=1) == 28)
    assert torch.all(middle.diff(dim=2).abs() == 1)
    assert torch.isin(moved, x).all()


def test_batches_have_one_shape_whatever_the_strength(monkeypatch):
    margins = []
    pad = torch.nn.functional.pad
    monkeypatch.setattr(torch.nn.functional, "pad", lambda x, by, **how: margins.append(by) or pad(x, by, **how))
    for strength in (0.1, 0.5, 1.0):
        augment(torch.zeros(2, 1, 28, 28), strength)
    assert margins == [(4, 4, 4, 4)] * 3


# --- command line -----------------------------------------------------------------------------------------------------


def test_list_says_what_is_missing(nowhere):
    shown = CliRunner().invoke(app, ["list"], env={"COLUMNS": "200"})
    assert shown.exit_code == 0
    [row] = [line.split() for line in shown.output.splitlines() if line.split()[:1] == ["fashion-mnist"]]
    assert row[1] == "no"
    assert "3,200" in shown.output
    shown = CliRunner().invoke(app, ["list", "fashion-mnist"])
    assert "automl data fetch fashion-mnist" in shown.output


def test_fetch_of_several_fetches_each():
    shown = CliRunner().invoke(app, ["fetch", "digits", "mnist1d"])
    assert shown.exit_code == 0
    for name in ("digits", "mnist1d"):
        assert f"{name}: nothing to fetch" in shown.output


def test_fetch_of_an_unknown_name_names_the_known_and_fetches_nothing(capsys):
    with pytest.raises(SystemExit, match="2"):
        run_command("data", ["fetch", "digits", "fashion"])
    shown = capsys.readouterr()
    assert "choose one of: mnist1d, digits, fashion-mnist" in shown.err
    assert not shown.out


def test_without_the_network_of_its_authors_the_pictures_come_out_of_the_debian_package(nowhere, monkeypatch):
    def not_reached(root, download):
        raise RuntimeError("name or service not known")

    def unpacked(self, paths, folder):
        for path in paths:
            shape = fashion_mnist.SHAPES[Path(path).stem]
            file = folder / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(gzip.compress(idx(shape, b""), 1))

    monkeypatch.setattr("torchvision.datasets.FashionMNIST", not_reached)
    monkeypatch.setattr(packages.Debian, "unpack", unpacked)
    assert "dataset-fashion-mnist" in fashion_mnist.fetch(download=True)
    assert fashion_mnist.fetch(download=False) == "already available"


def test_fetch_says_where_the_files_are(nowhere):
    folder = fashion_mnist.raw_folder()
    folder.mkdir(parents=True)
    for name in fashion_mnist.SHAPES:
        (folder / name).touch()
    shown = CliRunner().invoke(app, ["fetch", "fashion-mnist"])
    assert shown.exit_code == 0
    assert str(Path(folder)) in shown.output


def test_constant_channels_and_fingerprints_are_not_blown_up_by_new_data():
    x = np.zeros((6, 2, 3), np.float32)
    x[:, 0] = np.arange(18).reshape(6, 3)
    x[:, 1] = 5.0
    inputs = Dense.of(x)
    assert inputs.std[1] == 1.0
    bits = Dense.as_is((4,))
    assert bits.refitted(np.eye(4, dtype=np.float32)) == bits
    assert Dense.of(x).refitted(x + 1).mean[0] == pytest.approx(inputs.mean[0] + 1)
