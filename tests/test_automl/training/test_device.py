"""Trainings on a device: waiting for it, its memory, and what is kept there.

The stand-in for a GPU is torch's device `meta`, whose tensors have shapes and no values: what would wait for a value of
the device fails there.
"""

import weakref
from contextlib import nullcontext

import numpy as np
import pytest
import torch
from stand_ins import all_put

from automl.data.datasets.registry import load_data
from automl.data.inputs import constants
from automl.data.targets import Quantiles
from automl.models import build_for
from automl.models.tensor_models import TrainedNetwork
from automl.models.trained import Preprocessing
from automl.task import OutOfMemory, TrainingFailed
from automl.tasks.registry import load_task
from automl.training import device as training_device
from automl.training.device import home_of, memory_errors
from automl.training.examples import DeviceExamples, steps_of
from automl.training.fold_learners import build_learner, learner_class
from automl.training.optimizer import Batch, make_optimizer
from strategies.encoding import Encoding

META, CUDA = torch.device("meta"), torch.device("cuda", 0)
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def small_data(tmp_path_factory):
    with all_put(tmp_path_factory.mktemp("data")):
        yield


def default(name):
    return Encoding(load_task(name).space).default


def on_meta(batch):
    return Batch(batch.to(META), batch)


def examples_on_meta(model, x, y, kept_on):
    """Examples whose labels, and those themselves if ``kept_on`` says so, are on a device that cannot be waited for."""
    found = DeviceExamples(model, x, y)
    found.steps = steps_of(model.preprocessing.inputs, x)  # as for a device that is not the CPU
    found.x, found.y = x.to(kept_on), y.to(META)
    return found


def no_autocast(monkeypatch):
    for module in ("examples", "seq2seq", "language_model"):
        monkeypatch.setattr(f"automl.training.{module}.autocast", lambda device: nullcontext())


# --- waiting ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kept_on", [META, CPU])
@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("digits-cnn", {"augment": 0.5}),
        ("mnist1d-cnn", {"augment": 0.5, "norm": "group"}),
        ("mnist1d-rnn", {}),
        ("mnist1d-transformer", {"augment": 0.5}),
        ("vowels-rnn", {"bidirectional": True, "layers": 2}),
        ("newsgroups-rnn", {}),
        ("reuters52-cnn", {}),
        ("letter-mlp", {"norm": "batch"}),
    ],
)
def test_a_step_of_a_network_never_waits_for_the_device(name, change, kept_on, small_data, monkeypatch):
    training = load_task(name).begin(default(name) | change, 0, CPU)
    training.examples = examples_on_meta(training.model, *training.train_data, kept_on)
    training.model.module.to(META)
    no_autocast(monkeypatch)
    loss = training.loss_of(on_meta(torch.arange(8)), torch.zeros((), dtype=torch.double, device=META))
    loss.backward()
    assert loss.device == META


@pytest.mark.parametrize("kept_on", [META, CPU])
@pytest.mark.parametrize("name", ["g2p-rnn", "bible-transformer"])
def test_a_step_of_an_encoder_decoder_never_waits_for_the_device(name, kept_on, small_data, monkeypatch):
    training = load_task(name).begin(default(name), 0, CPU)
    training.translator.module.to(META)
    training.device, training.source, training.target = META, training.source.to(kept_on), training.target.to(kept_on)
    no_autocast(monkeypatch)
    loss = training.loss_of(on_meta(torch.arange(8)))
    loss.backward()
    assert loss.device == META


@pytest.mark.parametrize("kept_on", [META, CPU])
def test_a_step_of_a_language_model_never_waits_for_the_device(kept_on, small_data, monkeypatch):
    training = load_task("kjv-transformer").begin(default("kjv-transformer"), 0, CPU)
    training.model.module.to(META)
    training.device, training.text = META, training.text.to(kept_on)
    no_autocast(monkeypatch)
    loss = training.loss_of(on_meta(torch.arange(8)))
    loss.backward()
    assert loss.device == META


@pytest.mark.parametrize("kept_on", [META, CPU])
@pytest.mark.parametrize(
    ("data", "family", "target"),
    [
        ("digits", "cnn", None),
        ("vowels", "rnn", None),
        ("newsgroups", "rnn", None),
        ("newsgroups", "transformer", None),
        ("letter", "mlp", Quantiles(0.0, 1.0, (0.1, 0.5, 0.9))),
    ],
)
def test_a_step_of_a_fold_never_waits_for_the_device(data, family, target, kept_on, small_data, monkeypatch):
    splits = load_data(data, None)
    target = target or splits.target
    space = learner_class(family).space(classes=True, with_levels=False)
    config = {name: entry.get("default", entry.get("constant")) for name, entry in space.items()}
    config |= {"digits": {"augment": 0.5}, "newsgroups": {"embedding": 16}}.get(data, {})
    learner = build_learner(family, config, splits.inputs, target, 0)
    module = build_for(splits.inputs, family, config, target).to(META)
    learner.model = TrainedNetwork(module, config, Preprocessing("", family, splits.inputs, target))
    x, y = torch.from_numpy(splits.x_train), torch.zeros(len(splits.x_train))
    y = y if isinstance(target, Quantiles) else y.long()
    no_autocast(monkeypatch)
    loss, _, _ = examples_on_meta(learner.model, x, y, kept_on).loss(on_meta(torch.arange(8)), config)
    loss.backward()
    assert loss.device == META


@pytest.mark.parametrize("name", ["vowels-rnn", "newsgroups-rnn"])
def test_numbers_of_steps_that_are_known_change_nothing(name, small_data):
    training = load_task(name).begin(default(name), 0, CPU)
    raw, rules = training.train_data[0][:9], training.rules
    module = training.model.module.eval()
    known = module(rules(raw), rules.inputs.mask(raw), steps_of(rules.inputs, raw))
    assert torch.equal(known, module(rules(raw), rules.inputs.mask(raw)))


def test_constants_are_on_the_device_once_and_can_be_trained_with():
    with torch.inference_mode():
        first = constants((0.25, 0.5), CPU)
    assert constants((0.25, 0.5), CPU) is first
    assert not first.is_inference()


@pytest.mark.parametrize("optimizer", [{"optimizer": "adamw"}, {"optimizer": "sgd", "momentum": 0.9}])
def test_the_learning_rate_is_read_from_a_tensor_that_is_changed_in_place(optimizer):
    made = make_optimizer(torch.nn.Linear(2, 2), {"lr": 0.1, "weight_decay": 0.0} | optimizer)
    assert all(
        isinstance(group["lr"], torch.Tensor) and group["lr"].dtype == torch.float64 for group in made.param_groups
    )


# --- memory -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "message",
    [
        "CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`",
        "cuDNN error: CUDNN_STATUS_ALLOC_FAILED",
        "CUDA error: out of memory",
    ],
)
def test_allocations_that_fail_in_libraries_are_out_of_memory(message):
    line = r"out of memory on cpu at epoch 2; a smaller batch or model would fit"
    with pytest.raises(TrainingFailed, match=line), memory_errors(CPU, "at epoch 2"):
        raise RuntimeError(message)
    with pytest.raises(RuntimeError, match="device-side assert"), memory_errors(CPU, "at epoch 2"):
        raise RuntimeError("CUDA error: device-side assert triggered")


def test_neighbours_that_hold_the_memory_are_named(monkeypatch):
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (2**30, 80 * 2**30))
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: True)
    for own, crowded, line in (
        (19, True, r"on cuda:0 at epoch 1; other processes hold 60.0 of its 80.0 GiB: use fewer --workers"),
        (70, False, r"on cuda:0 at epoch 1; a smaller batch or model would fit"),
    ):
        monkeypatch.setattr(torch.cuda, "memory_reserved", lambda device, own=own: own * 2**30)
        with pytest.raises(OutOfMemory, match=line) as found, memory_errors(CUDA, "at epoch 1"):
            raise torch.OutOfMemoryError("CUDA out of memory")
        assert found.value.crowded == crowded


def test_a_card_without_room_for_a_process_is_crowded(monkeypatch):
    def fails(device):
        raise RuntimeError("CUDA error: out of memory")

    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.cuda, "mem_get_info", fails)
    line = r"on cuda:0 before the first epoch; other processes leave no room for one more: use fewer --workers"
    with pytest.raises(OutOfMemory, match=line), memory_errors(CUDA, "before the first epoch"):
        raise RuntimeError("CUDA error: out of memory")


def test_what_a_training_had_allocated_is_dropped_with_its_failure():
    held = []

    def trains():
        tensor = torch.zeros(3)
        held.append(weakref.ref(tensor))
        raise torch.OutOfMemoryError("CUDA out of memory")

    try:
        with memory_errors(CPU, "at epoch 1"):
            trains()
    except TrainingFailed:
        assert held[0]() is None


def test_examples_that_would_fill_a_card_stay_on_the_host(monkeypatch):
    x = np.zeros((1_000, 10), np.float32)
    for free, home in ((1e6, CUDA), (1e5, CPU)):
        monkeypatch.setattr(training_device, "free_memory", lambda device, free=free: free)
        assert home_of(x, CUDA) == home
    assert home_of(x, CPU) == CPU


@pytest.mark.gpu
@pytest.mark.parametrize("name", ["digits-cnn", "mnist1d-rnn", "mnist1d-transformer"])
def test_a_gpu_trains_to_about_the_loss_of_a_cpu(name, tmp_path):
    task = load_task(name, train_size=400)
    losses = {
        device: [
            e.loss for e in task.train(default(name), seed=0, epochs=3, checkpoint=tmp_path / device, device=device)
        ]
        for device in ("cpu", "cuda")
    }
    assert losses["cuda"] == pytest.approx(losses["cpu"], abs=0.15)
    assert task.test(tmp_path / "cuda", "cuda").keys() == task.test(tmp_path / "cuda", "cpu").keys()


@pytest.mark.gpu
def test_a_gpu_repeats_itself_where_that_is_asked(monkeypatch):
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    task = load_task("digits-cnn", train_size=400)
    first, again = (
        [e.loss for e in task.train(default("digits-cnn"), seed=0, epochs=3, checkpoint=None, device="cuda")]
        for _ in range(2)
    )
    assert first == again
