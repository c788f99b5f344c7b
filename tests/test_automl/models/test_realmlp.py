"""RealMLP: what it learns, that it repeats itself, and tables that are odd."""

import math
import subprocess
import sys

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from sklearn.datasets import load_breast_cancer, load_diabetes

from automl.data.inputs import Columns
from automl.data.targets import Classes, Number
from automl.models.learners import learner_class, realmlp_training
from automl.models.learners.base import Rows
from automl.models.learners.realmlp_encoding import RealMLPEncoding
from automl.models.learners.realmlp_network import Network, Sizes, dropout_masks
from automl.models.learners.realmlp_training import (
    BATCH,
    MIN_EPOCHS,
    PROBE_BATCHES,
    TIME_SHARE,
    is_settled,
    learning_rate,
)
from automl.space.parse import load_space
from automl.task import TrainingFailed

CONFIG = {"width": 32, "epochs": 24, "lr": 0.04, "dropout": 0.15, "weight_decay": 0.02}
TWO = Classes(("no", "yes"))


def mixed_table(n, seed=0):
    """Two numbers, one with missing values, and columns of 3, 4 and 12 codes; all matter for the target."""
    rng = np.random.default_rng(seed)
    codes = np.stack([rng.integers(1, n_codes, n) for n_codes in (3, 4, 12)])
    numbers = rng.normal(size=(2, n))
    y = numbers[0] + (codes[0] == 2) + (codes[1] == 3) * numbers[1] + np.sin(codes[2])
    missing = rng.random(n) < 0.2
    numbers[0, missing] = np.nan
    return Rows(np.concatenate([numbers, codes]).T.astype(np.float32), np.where(missing, 3.0, y))


def learner(rows, target=None, seed=0, cardinalities=(), **change):
    inputs = Columns.of(rows.x, cardinalities)
    return learner_class("realmlp")(CONFIG | change, inputs, target or Number.of(rows.y), seed)


def parts(rows, n):
    return Rows(rows.x[:n], rows.y[:n]), Rows(rows.x[n:], rows.y[n:])


def test_real_classes():
    data = load_breast_cancer()
    order = np.random.default_rng(0).permutation(len(data.target))
    train, valid = parts(Rows(data.data[order].astype(np.float32), data.target[order]), 400)
    model = learner(train, TWO)
    model.fit(train, valid)
    probabilities = model.predict(valid.x)
    assert probabilities.shape == (169, 2)
    assert np.allclose(probabilities.sum(1), 1.0)
    assert (probabilities.argmax(1) == valid.y).mean() > 0.93
    assert -np.log(probabilities[np.arange(169), valid.y]).mean() < 0.2
    assert 1 <= model.rounds[0] <= CONFIG["epochs"]


def test_real_numbers():
    x, y = load_diabetes(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(y))
    train, valid = parts(Rows(x[order].astype(np.float32), y[order]), 330)
    model = learner(train, lr=0.15, epochs=64)
    model.fit(train, valid)
    assert np.sqrt(((model.predict(valid.x) - valid.y) ** 2).mean()) < 0.8 * valid.y.std()


def test_missing_values_and_categories_count():
    train, valid = parts(mixed_table(1500), 1200)
    model = learner(train, cardinalities=(3, 4, 12), lr=0.15, epochs=64, width=64)
    model.fit(train, valid)
    errors = (model.predict(valid.x) - valid.y) ** 2
    missing = np.isnan(valid.x[:, 0])
    assert errors[missing].mean() < 0.05 * valid.y.var()
    assert errors[~missing].mean() < 0.1 * valid.y.var()


def test_predictions_stay_in_the_range_of_the_training_labels():
    x = np.linspace(-1, 1, 300, dtype=np.float32)[:, None]
    train = Rows(x, 5.0 * x[:, 0])
    model = learner(train, lr=0.15)
    model.fit(train)
    predicted = model.predict(20 * x)
    assert predicted.min() >= -5.0
    assert predicted.max() <= 5.0
    assert model.rounds == (CONFIG["epochs"], CONFIG["epochs"])


def test_same_seed_same_model_under_any_global_state_which_stays_as_it_is():
    train, valid = parts(mixed_table(400), 300)

    def predictions(seed, global_seed, n_threads):
        model = learner(train, seed=seed, cardinalities=(3, 4, 12))
        before = torch.get_num_threads()
        torch.set_num_threads(n_threads)
        torch.manual_seed(global_seed)
        state = torch.get_rng_state()
        model.fit(train, valid)
        predicted = model.predict(valid.x)
        assert torch.equal(torch.get_rng_state(), state)
        assert torch.get_num_threads() == n_threads
        torch.set_num_threads(before)
        return predicted

    first = predictions(0, 1, 1)
    assert np.array_equal(first, predictions(0, 2, 2))
    assert not np.array_equal(first, predictions(1, 1, 1))


@pytest.mark.parametrize("target", [TWO, None])
def test_a_stored_model_predicts_the_same_bits(target, tmp_path):
    rows = mixed_table(300)
    train = rows if target is None else Rows(rows.x, (rows.y > 1).astype(np.int64))
    model = learner(train, target, cardinalities=(3, 4, 12), epochs=4)
    model.fit(train, None, (3,))
    model.save(tmp_path)
    assert {path.suffix for path in tmp_path.iterdir()} == {".safetensors", ".json"}
    loaded = learner_class("realmlp").load(tmp_path, model.config, model.inputs, model.target)
    assert np.array_equal(loaded.predict(train.x), model.predict(train.x))
    assert loaded.rounds == model.rounds == (3, 4)


def test_rounds_give_the_epoch_that_early_stopping_kept():
    rng = np.random.default_rng(0)
    train, valid = parts(Rows(mixed_table(400).x, rng.normal(size=400)), 300)  # noise: the best epoch is early
    stopped, fixed = (learner(train, cardinalities=(3, 4, 12), lr=0.15, epochs=60) for _ in range(2))
    stopped.fit(train, valid)
    fixed.fit(train, None, stopped.rounds)
    assert stopped.rounds[0] < stopped.rounds[1] == 60
    assert fixed.rounds == stopped.rounds
    assert np.array_equal(fixed.predict(valid.x), stopped.predict(valid.x))


@pytest.mark.parametrize(("seconds", "epochs"), [(0.0, MIN_EPOCHS), (1e9, 60)])
def test_a_short_time_shortens_the_schedule(seconds, epochs):
    train, valid = parts(mixed_table(600), 400)
    limited, free = (learner(train, cardinalities=(3, 4, 12), lr=0.15, epochs=n) for n in (60, epochs))
    limited.max_seconds, limited.aborts_if_late = seconds, False
    limited.fit(train, valid)
    free.fit(train, valid)
    assert limited.rounds == free.rounds
    assert limited.rounds[1] == epochs
    assert (limited.predict(valid.x) == free.predict(valid.x)).all()
    for known in (None, valid):  # fitted again, the schedule is the shorter one
        again = learner(train, cardinalities=(3, 4, 12), lr=0.15, epochs=60)
        again.fit(train, known, limited.rounds)
        assert again.rounds == limited.rounds
        assert (again.predict(valid.x) == limited.predict(valid.x)).all()


def test_the_time_of_an_epoch_is_that_of_its_batches_and_of_the_validation(monkeypatch):
    train, valid = parts(mixed_table(20 * BATCH + 100), 20 * BATCH)
    model = learner(train, cardinalities=(3, 4, 12), lr=0.15, epochs=60)
    now = 0.0

    def batch(*_):
        nonlocal now
        now += 0.1

    def validation(*_):
        nonlocal now
        now += 1.0
        return 0.0

    monkeypatch.setattr(realmlp_training, "dropout_masks", lambda *_: None)
    monkeypatch.setattr(realmlp_training, "validation_loss", validation)
    monkeypatch.setattr(realmlp_training.time, "perf_counter", lambda: now)
    monkeypatch.setattr(Network, "backpropagate", batch)
    model.max_seconds = 200.0
    model.fit(train, valid)
    probe = 3 * (PROBE_BATCHES * 0.1 + 1.0)
    assert model.rounds[1] == int(TIME_SHARE * (200.0 - probe) / (20 * 0.1 + 1.0))


@pytest.mark.parametrize("n_classes", [3, 0])
def test_odd_tables(n_classes):
    rng = np.random.default_rng(0)
    x = np.stack([rng.normal(size=40), np.full(40, 7.0), np.full(40, np.nan), rng.integers(0, 2, 40) * 1e30,
                  np.full(40, 1), rng.integers(1, 15, 40)], 1).astype(np.float32)  # fmt: skip
    y = rng.integers(0, 2, 40) if n_classes else np.full(40, 4.0)
    train = Rows(x, y)  # the third class has no rows; the numbers are constant
    target = Classes(("a", "b", "c")) if n_classes else None
    model = learner(train, target, cardinalities=(1 + 1, 20), epochs=8)
    model.fit(train, Rows(x, y if n_classes else y + 1))
    new = x[:5].copy()
    new[:, 4:], new[0, 0], new[1, 1], new[2, 2], new[3, 0] = 0, np.nan, -1e38, 3.0, np.inf
    predicted = model.predict(new)
    assert np.isfinite(predicted).all()
    if n_classes:
        assert predicted.shape == (5, 3)
        assert predicted.sum(1) == pytest.approx(1.0)
    else:
        assert np.array_equal(predicted, np.full(5, 4.0))


@pytest.mark.parametrize("n_codes", [3, 12])
def test_a_table_of_categories_alone(n_codes):
    x = np.random.default_rng(0).integers(1, n_codes, (60, 1)).astype(np.float32)
    train = Rows(x, (x[:, 0] % 2).astype(np.int64))
    model = learner(train, TWO, cardinalities=(n_codes,), epochs=48)
    model.fit(train, train)
    assert np.array_equal(model.predict(x).argmax(1), train.y)


def test_divergence_fails_the_trial():
    train = mixed_table(300)
    with pytest.raises(TrainingFailed, match="diverged with a learning rate of 1e\\+30"):
        learner(train, cardinalities=(3, 4, 12), lr=1e30).fit(train)


@pytest.mark.parametrize(("classes", "lr"), [(True, 0.04), (False, 0.15)])
def test_the_default_of_the_space_is_the_preset(classes, lr):
    space = load_space(learner_class("realmlp").space(classes=classes, with_levels=True))
    default = {"width": 128, "epochs": 128, "lr": lr, "dropout": 0.15, "weight_decay": 0.02}
    assert dict(space.get_default_configuration()) == pytest.approx(default)


def reference_outputs(of, x, codes, masks, activation):
    """The outputs as the paper defines them, for autograd."""
    frequencies, phases = of["waves"][:, :, :1], of["waves"][:, :, 1:]
    waves = of["wave_weight"].mT @ (2 * math.pi * frequencies * x[:2, None] + phases).cos() + of["wave_bias"]
    embedded = [of["embedding"][column].T for column in codes]
    hidden = torch.cat([waves.flatten(0, 1), *embedded, x]).T * of["scale"]
    for i in range(3):
        sums = hidden @ of[f"weight{i}"] / math.sqrt(hidden.shape[1]) + of[f"bias{i}"]
        hidden = (sums + of[f"mix{i}"] * (activation(sums) - sums)) * masks[i]
    return hidden @ of["weight3"] / math.sqrt(hidden.shape[1]) + of["bias3"]


@pytest.mark.parametrize("classes", [True, False])
def test_outputs_and_gradient_are_those_of_autograd(classes):
    rng = np.random.default_rng(0)
    network = Network(Sizes(2, 4, (10, 12), 3 if classes else 1, 5, classes), torch.float64)
    x = torch.from_numpy(rng.normal(size=(4, 30)))
    codes = torch.from_numpy(rng.integers((0, 10), (10, 22), (30, 2)).T.copy())
    y = torch.from_numpy(rng.integers(0, 3, 30) if classes else rng.normal(size=30))
    network.initialise(x, codes, rng)
    network.flat += 0.1 * torch.from_numpy(rng.normal(size=len(network.flat)))
    masks = torch.from_numpy((rng.random((3, 30, 5)) < 0.7) / 0.7)
    network.backpropagate(x, codes, y, masks)

    of = {name: values.clone().requires_grad_() for name, values in network.parameters.items()}
    activation = F.selu if classes else F.mish
    assert torch.allclose(network(x, codes), reference_outputs(of, x, codes, torch.ones_like(masks), activation))
    outputs = reference_outputs(of, x, codes, masks, activation)
    (F.cross_entropy(outputs, y) if classes else F.mse_loss(outputs[:, 0], y)).backward()
    for name, values in of.items():
        assert torch.allclose(network.gradients[name], values.grad, atol=1e-12), name


def test_initial_sums_have_variance_one():
    rng = np.random.default_rng(0)
    network = Network(Sizes(6, 6, (), 1, 64, False))
    x, codes = torch.randn(6, 2000, generator=torch.Generator().manual_seed(0)), torch.zeros(0, 2000).long()
    network.initialise(x, codes, rng)
    assert network(x, codes).std().item() == pytest.approx(1.0, abs=1e-3)


def test_dropout_keeps_the_mean():
    masks = dropout_masks((3, 256, 128), 0.25, np.random.Generator(np.random.SFC64(0)))
    assert masks.unique().tolist() == pytest.approx([0.0, 4 / 3])
    assert masks.mean().item() == pytest.approx(1.0, abs=0.01)


def test_encoding():
    x = np.array([[0, 5, 0, 1], [1, 5, 1, 2], [2, 5, 2, 3], [3, 5, 2, 10], [1000, np.nan, 1, 0]], np.float32)
    encoding = RealMLPEncoding.of(x, Columns.of(x, (3, 11)))
    features, codes = encoding(x)
    number, constant, indicator, two_levels = features
    scaled = (np.array([0, 1, 2, 3, 1000]) - 2) / 2  # median 2, quartiles 1 and 3
    assert number == pytest.approx(scaled / np.sqrt(1 + (scaled / 3) ** 2), rel=1e-6)
    assert not constant.any()
    assert len(set(indicator[:4])) == 1
    assert indicator[4] > indicator[0]
    assert two_levels[0] != two_levels[1]
    assert two_levels[2] < two_levels[0] < two_levels[1]  # missing lies between the two
    assert codes.tolist() == [[1, 2, 3, 10, 0]]


def test_training_stops_where_the_cycle_after_that_of_the_best_epoch_ends():
    assert [learning_rate(end / 15) for end in (0, 1, 3, 7, 15)] == pytest.approx([0.0] * 5, abs=1e-12)
    settled = [[epoch for epoch in range(1, 151) if is_settled(epoch, best, 150)] for best in (10, 30, 70)]
    assert settled[0][0] > 30  # where the second cycle ends
    assert settled[1][0] > 70
    assert not settled[2]


def test_the_family_is_described_without_torch():
    code = "import sys, automl.models.learners.realmlp; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_first_import_of_torch_does_not_count_as_training():
    code = """
import sys
import numpy as np
from automl.data.inputs import Columns
from automl.data.targets import Number
from automl.models.learners import learner_class
from automl.models.learners.base import Rows
rng = np.random.default_rng(0)
x = rng.normal(size=(60, 2)).astype(np.float32)
rows = Rows(x, x[:, 0] + x[:, 1])
config = {"width": 16, "epochs": 8, "lr": 0.04, "dropout": 0.15, "weight_decay": 0.02}
learner = learner_class("realmlp")(config, Columns.of(x, ()), Number.of(rows.y), 0)
learner.max_seconds = 0.4
assert "torch" not in sys.modules
learner.fit(Rows(x[:40], rows.y[:40]), Rows(x[40:], rows.y[40:]))
"""
    subprocess.run([sys.executable, "-c", code], check=True)
