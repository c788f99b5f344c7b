"""Several trainings in one program: each equals the same training alone, and depends on no other."""

from dataclasses import replace
from itertools import product
from pathlib import Path

import pytest
import small_models
import torch
from stand_ins import all_put

from automl.space.parse import load_space
from automl.task import OutOfMemory, TrainingFailed
from automl.tasks.registry import load_task
from automl.tasks.supervised import Supervised
from automl.tasks.training_space import SCHEDULES
from automl.tasks.user_data import own_task
from automl.training import lanes
from automl.training.base import trained_model
from automl.training.checkpoint import read_checkpoint
from automl.training.examples import DeviceExamples
from automl.training.lanes import Program, can_share, next_epochs, shape_of, train_lanes
from automl.training.optimizer import Descent
from automl.tuning.jobs import Job
from strategies.encoding import Encoding

CPU = torch.device("cpu")
ADAMW, SGD = {"optimizer": "adamw"}, {"optimizer": "sgd", "momentum": 0.9, "lr": 0.02}
NESTEROV = SGD | {"nesterov": True, "momentum": 0.7}
N_VALID = 120  # more are of no use here, and take most of the time
STOCHASTIC = {"dropout": 0.3, "augment": 0.6}
# Every optimizer with every schedule, with and without what is random; weight decay and learning rate differ too.
MIXED = [
    optimizer
    | {"schedule": schedule, "warmup": 0.1, "weight_decay": 10.0 ** -(1 + i % 4)}
    | (STOCHASTIC if i % 2 else {})
    for i, (optimizer, schedule) in enumerate(product((ADAMW, SGD, NESTEROV), SCHEDULES))
]
PERCEPTRONS = {"mnist1d-mlp": "mnist1d-cnn", "digits-mlp": "digits-cnn"}  # tasks of these tests, on the data of another
SHAPES = [
    *(("mnist1d-cnn", {"norm": norm}) for norm in ("batch", "group", "none")),
    ("mnist1d-cnn", {"downsample": "max", "kernel_size": 3, "layers": 4, "width": 12, "batch_size": 32}),
    ("osuleaf-cnn", {"pooling": "max", "width": 16, "kernel_size": 9}),
    ("osuleaf-cnn", {"pooling": "mean", "width": 16, "norm": "group", "downsample": "stride"}),
    *(("mnist1d-mlp", {"norm": norm, "layers": layers}) for norm, layers in (("batch", 2), ("none", 3))),
    ("digits-mlp", {"norm": "none", "layers": 1}),
    *(("letter-mlp", {"norm": norm, "width": 32}) for norm in ("batch", "none")),
    ("chembl234-mlp", {"norm": "none", "width": 64}),
    *(("digits-cnn", {"norm": norm}) for norm in ("batch", "group", "none")),
    ("digits-cnn", {"layers": 3, "width": 8, "kernel_size": 5, "batch_size": 32}),
    ("mnist1d-transformer", {"width": 16, "patch": 8}),
    ("mnist1d-transformer", {"width": 16, "layers": 1, "heads": 8, "patch": 10, "overlap": False}),
    ("mnist1d-transformer", {"width": 16, "layers": 1, "patch": 6}),  # which does not divide the signals
    ("mnist1d-rnn", {"width": 16}),
    ("mnist1d-rnn", {"width": 16, "layers": 2, "summary": "max"}),
    ("mnist1d-rnn", {"width": 16, "bidirectional": True, "summary": "last"}),
]
# Fingerprints have bits of almost no variance, which batch normalisation blows up: a relative change of 1e-7 in the
# first weights moves the loss of an epoch by 1e-3, so that it is compared in float64 alone.
SENSITIVE = ("chembl234-mlp", {"norm": "batch", "width": 64})


@pytest.fixture(scope="module", autouse=True)
def small_data(tmp_path_factory):
    with all_put(tmp_path_factory.mktemp("data")):
        yield


def task_of(name):
    if name not in PERCEPTRONS:
        return load_task(name, train_size=100 if name.startswith(("mnist1d", "digits")) else None)
    space = load_space({"width": {"constant": 32}, "layers": {"int": [1, 3]}, "norm": {"choice": ["batch", "none"]}})
    return replace(load_task(PERCEPTRONS[name], train_size=100), name=name, model="mlp", space=space)


def config_of(name, shape):
    default = Encoding(load_task(PERCEPTRONS.get(name, name)).space).default
    return {"width": 32, "batch_size": 16} | {k: v for k, v in default.items() if k != "batch_size"} | shape


def begun(name, shape, changes, seed=0):
    config = config_of(name, shape) | changes
    if not name.endswith("cnn"):
        config.pop("augment", None)
    if name == "letter-mlp":
        config["label_smoothing"] = 0.1 * (seed % 2)
    if name == "chembl234-mlp" and seed % 2:
        config["clip_norm"] = 0.2
    training = task_of(name).begin(config, seed, CPU)
    x, y = training.valid_data
    training.valid_data = x[:N_VALID], y[:N_VALID]
    return training


class InDouble:
    """Preprocessing to float64."""

    def __init__(self, rules):
        self.rules, self.inputs, self.target = rules, rules.inputs, rules.target

    def __call__(self, x):
        return self.rules(x).double()


def in_double(training):
    training.model.module.double()
    training.rules = InDouble(training.rules)
    x, y = training.train_data
    training.train_data = x, y.double() if y.is_floating_point() else y
    object.__setattr__(training.model, "preprocessing", training.rules)
    training.examples = DeviceExamples(training.model, *training.train_data)
    training.descent = Descent(training.model.module, training.own)
    return training


def state(training):
    return {name: tensor.clone() for name, tensor in training.tensors().items()}


def equal(one, other):
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


# --- alone ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "shape"), [*SHAPES, SENSITIVE])
def test_a_lane_has_the_weights_of_a_training_alone(name, shape):
    alone, together = ([in_double(begun(name, shape, each, i)) for i, each in enumerate(MIXED)] for _ in range(2))
    for _ in range(2):
        losses = [training.next_epoch().loss for training in alone]
        assert [epoch.loss for epoch in next_epochs(together)] == pytest.approx(losses, abs=1e-9)
    # A bias before batch normalisation has no gradient but rounding, which AdamW divides by 1e-8.
    tolerance = 1e-8 if (name, shape) == SENSITIVE else 1e-9
    for one, other in zip(alone, together, strict=True):
        expected, found = state(one), state(other)
        assert expected.keys() == found.keys()
        assert all(torch.allclose(found[part], expected[part], rtol=0, atol=tolerance) for part in expected)


@pytest.fixture(scope="module")
def series(tmp_path_factory):
    run = tmp_path_factory.mktemp("series") / "run"
    small_models.sales(run)
    return own_task(run / "data", None, "rmse")


@pytest.mark.parametrize("family", ["mlp", "cnn", "rnn", "transformer"])
def test_lanes_of_the_changes_of_a_series_have_the_weights_of_trainings_alone(family, series):
    encoding = Encoding(series.space)
    default = encoding.build(lambda dim: {"model": family, "batch_size": 32}.get(dim.name, dim.default))
    rates = (1e-2, 1e-3)
    alone, together = (
        [in_double(series.begin(default | {"lr": lr}, seed, CPU)) for seed, lr in enumerate(rates)] for _ in range(2)
    )
    assert default["lags"] == "relative"
    assert all(can_share(training) for training in together)
    losses = [training.next_epoch().loss for training in alone]
    assert [epoch.loss for epoch in next_epochs(together)] == pytest.approx(losses, abs=1e-9)
    for one, other in zip(alone, together, strict=True):
        expected, found = state(one), state(other)
        assert all(torch.allclose(found[part], expected[part], rtol=0, atol=1e-9) for part in expected)


@pytest.mark.parametrize(("name", "shape"), SHAPES)
def test_in_float32_its_metrics_differ_by_rounding_alone(name, shape):
    alone, together = ([begun(name, shape, each, i) for i, each in enumerate(MIXED)] for _ in range(2))
    expected = [training.next_epoch().metrics for training in alone]
    for of_lane, of_one in zip(next_epochs(together), expected, strict=True):
        losses = [part for part in of_one if "accuracy" not in part]
        assert of_lane.metrics.keys() == of_one.keys()
        assert [of_lane.metrics[part] for part in losses] == pytest.approx([of_one[part] for part in losses], rel=1e-4)


# --- neighbours -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "shape"), [*SHAPES, SENSITIVE])
def test_neighbours_change_no_bit(name, shape):
    def trained(chosen):
        trainings = [begun(name, shape, MIXED[i], i) for i in chosen]
        for _ in range(2):
            next_epochs(trainings)
        return {i: state(training) for i, training in zip(chosen, trainings, strict=True)}

    every = trained(range(len(MIXED)))
    for chosen in ([3, 1], [8, 1, 4]):
        assert all(equal(found, every[i]) for i, found in trained(chosen).items())
    for alone in (1, 4):  # some CPUs multiply a single matrix by other instructions
        found = trained([alone])[alone]
        assert all(torch.allclose(found[part], every[alone][part], rtol=0, atol=1e-6) for part in found)


def test_a_lane_that_diverges_leaves_the_others_as_they_would_be_without_it():
    def lane(i, **change):
        return begun("mnist1d-cnn", {"norm": "none"}, MIXED[i] | change, i)

    alone = [lane(0), lane(4)]
    beside = [lane(0), lane(1, lr=1e30), lane(4)]
    for epoch in range(2):
        next_epochs(alone)
        ended = next_epochs([beside[i] for i in ((0, 1, 2) if epoch == 0 else (0, 2))])
        assert isinstance(ended[1], TrainingFailed) == (epoch == 0)
    assert equal(state(beside[0]), state(alone[0]))
    assert equal(state(beside[2]), state(alone[1]))
    assert (beside[1].epoch, beside[0].epoch) == (0, 2)


# --- pausing, stopping, memory ----------------------------------------------------------------------------------------


def lanes_in(folder, n=3, **change):
    config = config_of("mnist1d-cnn", STOCHASTIC)
    return [Job(seed, config | change, seed, 1, folder=str(folder / str(seed))) for seed in range(n)]


def run(chosen, epochs, **options):
    found = {}
    jobs = [replace(lane, epochs=epochs) for lane in chosen]
    for number, ended in train_lanes(task_of("mnist1d-cnn"), jobs, device="cpu", **options):
        found.setdefault(number, []).append(ended if isinstance(ended, TrainingFailed) else ended.loss)
    return found


def checkpoints(chosen):
    return [read_checkpoint(Path(lane.folder)) for lane in chosen]


def test_pausing_changes_no_bit_even_with_other_neighbours(tmp_path):
    whole, parts = lanes_in(tmp_path / "whole"), lanes_in(tmp_path / "parts")
    losses = run(whole, 3)
    first = run(parts[:2], 1)
    rest = run(parts, 3)
    assert {n: first.get(n, []) + rest[n] for n in range(3)} == losses
    for (one, record), (other, other_record) in zip(checkpoints(whole), checkpoints(parts), strict=True):
        assert record == other_record
        assert equal(one, other)


def test_a_lane_is_continued_alone_and_scored_and_exported_as_any_training(tmp_path):
    [lane, *_] = chosen = lanes_in(tmp_path)
    run(chosen, 1)
    task = task_of("mnist1d-cnn")
    folder = Path(lane.folder)
    [second] = task.train(lane.config, seed=lane.seed, epochs=2, checkpoint=folder, device="cpu")
    assert second.epoch == 2
    assert 0 <= task.test(folder, "cpu")["accuracy"] <= 1
    assert trained_model(folder).config == lane.config


def test_failed_lanes_end_and_the_others_go_on(tmp_path):
    chosen = lanes_in(tmp_path, norm="none")
    chosen[1] = replace(chosen[1], config=chosen[1].config | SGD | {"lr": 1e30})
    found = run(chosen, 3)
    assert [len(found[n]) for n in range(3)] == [3, 1, 3]
    assert "diverged" in str(found[1][0])
    assert not Path(chosen[1].folder).exists()


def test_a_lane_that_is_stopped_ends_and_changes_no_bit_of_the_others(tmp_path):
    expected = run(lanes_in(tmp_path / "expected"), 3)
    chosen, asked = lanes_in(tmp_path / "stopped"), []

    def is_stopped(key):
        asked.append(key)
        return key == 1 and asked.count(1) > 1

    found = run(chosen, 3, is_stopped=is_stopped)
    assert found == expected | {1: expected[1][:1]}
    assert not Path(chosen[1].folder).exists()


def test_lanes_have_lengths_and_schedules_of_their_own(tmp_path):
    task, chosen = task_of("mnist1d-cnn"), lanes_in(tmp_path, schedule="cosine")
    jobs = [replace(chosen[0], epochs=2, schedule=2), replace(chosen[1], epochs=1), replace(chosen[2], epochs=2)]
    found = list(train_lanes(task, jobs, device="cpu"))
    assert [number for number, _ in found] == [0, 1, 2, 0, 2]
    shorter, own = replace(task, max_epochs=2), replace(jobs[0], schedule=None, folder=str(tmp_path / "own"))
    losses = [ended.metrics for number, ended in found if number == 0]
    assert [ended.metrics for _, ended in train_lanes(shorter, [own], device="cpu")] == losses


def test_lanes_that_do_not_fit_together_are_trained_in_halves_with_the_same_result(tmp_path, monkeypatch):
    expected = run(lanes_in(tmp_path / "expected", 5), 2)
    sizes, trained = [], lanes.next_epochs

    def fits_two(trainings):
        sizes.append(len(trainings))
        if len(trainings) > 2:
            raise OutOfMemory("out of memory")
        return trained(trainings)

    monkeypatch.setattr(lanes, "next_epochs", fits_two)
    few = lanes_in(tmp_path / "halved", 5)
    assert run(few, 2) == expected
    assert sizes == [5, 2, 3, 1, 2] * 2


def test_lanes_that_cannot_begin_for_want_of_memory_say_so(tmp_path, monkeypatch):
    def fails(self, config, seed, device):
        raise RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`")

    monkeypatch.setattr(Supervised, "begin", fails)
    with pytest.raises(OutOfMemory, match="out of memory on cpu before the first epoch"):
        run(lanes_in(tmp_path), 1)


# --- shapes -----------------------------------------------------------------------------------------------------------


def test_lanes_of_two_shapes_are_refused(tmp_path):
    narrow, wide = lanes_in(tmp_path, 1, width=8), lanes_in(tmp_path, 1, width=24)
    task = task_of("mnist1d-cnn")
    assert shape_of(task, narrow[0].config) != shape_of(task, wide[0].config)
    assert shape_of(task, narrow[0].config) == shape_of(task, narrow[0].config | SGD | {"dropout": 0.5})
    with pytest.raises(ValueError, match="lanes must be of one shape"):
        run(narrow + wide, 1)


@pytest.mark.parametrize("name", ["lstm", "vowels-rnn", "reuters52-cnn"])
def test_other_networks_have_no_lanes_and_are_trained_in_turn(name, tmp_path):
    task = load_task("mnist1d-rnn", train_size=100) if name == "lstm" else load_task(name)
    config = Encoding(task.space).default | ({"cell": "lstm"} if name == "lstm" else {})
    assert not can_share(task.begin(config, 0, CPU))
    chosen = [Job(seed, config, seed, 1, folder=str(tmp_path / str(seed))) for seed in range(2)]
    found = list(train_lanes(task, chosen, device="cpu"))
    [alone] = task.train(config, seed=1, epochs=1, checkpoint=None, device="cpu")
    assert [number for number, _ in found] == [0, 1]
    assert found[1][1].metrics == alone.metrics


# --- GPUs -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "shape"), SHAPES)
def test_a_step_never_waits_for_the_device(name, shape):
    meta = torch.device("meta")  # without values: what would wait for one fails
    still = {"dropout": 0.0}  # there are no random numbers on it
    trainings = [begun(name, shape, optimizer | still, i) for i, optimizer in enumerate((ADAMW, SGD, NESTEROV))]
    for training in trainings:
        training.model.module.to(meta)
        training.device = meta
    program = Program(trainings)
    x, y = trainings[0].train_data
    chosen = torch.arange(24).reshape(3, 8)
    program.step(x[chosen].to(meta), y[chosen].to(meta), torch.ones(3, device=meta), [])
    assert program.losses.device == meta


@pytest.mark.gpu
def test_lanes_on_a_gpu_train_to_about_the_losses_of_a_cpu(tmp_path):
    found = {}
    for device in ("cpu", "cuda"):
        chosen = lanes_in(tmp_path / device)
        jobs = [replace(lane, epochs=3) for lane in chosen]
        for number, ended in train_lanes(task_of("mnist1d-cnn"), jobs, device=device):
            found[device, number] = ended.metrics["cross_entropy"]
    assert [found["cuda", n] for n in range(3)] == pytest.approx([found["cpu", n] for n in range(3)], rel=0.2)
