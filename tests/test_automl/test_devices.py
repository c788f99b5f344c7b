"""Names of devices, the cards behind them, and what a process sees of them."""

import pytest
import torch

from automl import devices
from automl.devices import cards, check_device, only, return_memory
from automl.errors import UserError
from automl.models.device import _deterministic, autocast, find_device
from automl.runs.settings import Settings, default_workers


@pytest.fixture
def two_cards(monkeypatch):
    monkeypatch.setattr(devices, "n_cards", lambda: 2)


def test_auto_and_cuda_are_all_cards_and_a_list_is_those_in_it(two_cards):
    assert cards("auto") == cards("cuda") == (0, 1)
    assert cards("cuda:1") == (1,)
    assert cards("cuda:1,cuda:0,cuda:1") == (1, 0)
    assert cards("cpu") == ()


def test_a_training_in_this_process_takes_the_first_card(two_cards):
    assert find_device("auto") == torch.device("cuda", 0)
    assert find_device("cuda:1,cuda:0") == torch.device("cuda", 1)


def test_a_card_that_is_not_there_is_named(two_cards, monkeypatch):
    with pytest.raises(UserError, match=r"'cuda:9' is not available, torch finds cuda:0 to cuda:1; use one of these"):
        find_device("cuda:0,cuda:9")
    monkeypatch.setattr(devices, "n_cards", lambda: 0)
    assert find_device("auto") == torch.device("cpu")
    for name in ("cuda", "cuda:0"):
        with pytest.raises(UserError, match=f"'{name}' is not available, torch finds no such GPU; use auto or cpu"):
            find_device(name)


@pytest.mark.parametrize("name", ["gpu", "cuda:", "cpu,cuda:0", "auto,cuda:0", "cuda:0,", "CUDA"])
def test_a_name_of_no_device_is_refused(name):
    with pytest.raises(UserError, match="device must be auto, cpu, cuda, cuda:N or a list such as cuda:0,cuda:1"):
        Settings(device=name)


def test_a_device_without_float64_is_refused():
    with pytest.raises(UserError, match="'mps' is not supported: trainings sum in float64, which it lacks; use cpu"):
        check_device("mps")


def test_there_is_a_worker_for_each_card_and_without_cards_for_each_core(two_cards):
    assert default_workers("auto") == default_workers("cuda:0,cuda:1") == 2
    assert default_workers("cuda:1") == 1
    assert Settings(device="cuda:0,cuda:1").with_defaults().n_workers == 2
    assert default_workers("cpu") >= 1


def test_a_process_sees_one_of_the_cards_that_its_parent_sees(monkeypatch):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert only(1) == {"CUDA_VISIBLE_DEVICES": "1"}
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "5, GPU-8932f937")
    assert only(1) == {"CUDA_VISIBLE_DEVICES": "GPU-8932f937"}


def test_memory_kept_for_later_is_returned_once_a_card_was_used(monkeypatch):
    returned = []
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: returned.append(1))
    return_memory()
    assert returned == []
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: True)
    return_memory()
    assert returned == [1]


def test_steps_are_in_float32_where_bfloat16_is_emulated(monkeypatch):
    monkeypatch.setattr("automl.models.device.has_bfloat16", lambda device: False)
    with autocast(torch.device("cuda")):
        assert not torch.is_autocast_enabled("cuda")


def test_deterministic_algorithms_are_used_within_and_not_after():
    def state():
        warns = torch.is_deterministic_algorithms_warn_only_enabled()
        return torch.are_deterministic_algorithms_enabled(), warns, torch.backends.cudnn.benchmark

    before = state()
    torch.backends.cudnn.benchmark = True
    try:
        with _deterministic(True):
            assert state() == (True, True, False)
        assert state() == (*before[:2], True)
        with _deterministic(False):
            assert state() == (*before[:2], True)
    finally:
        torch.backends.cudnn.benchmark = before[2]


@pytest.mark.gpu
def test_auto_is_the_gpu():
    assert find_device("auto").type == "cuda"
    torch.zeros(1, device=find_device("auto"))
