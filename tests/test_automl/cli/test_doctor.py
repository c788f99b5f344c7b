"""`automl doctor`, on whatever this machine has."""

import re

import torch
from typer.testing import CliRunner

from automl import devices
from automl.cli import doctor
from automl.cli.doctor import app


def test_each_device_is_listed_with_the_seconds_of_a_training():
    shown = CliRunner().invoke(app, env={"COLUMNS": "160"}).output
    assert f"torch {torch.__version__}, built for " in shown
    rows = [line.split() for line in shown.splitlines() if re.match(r" *(cpu|cuda:\d)", line)]
    assert len(rows) == 1 + torch.cuda.device_count()
    assert all(float(row[-1]) > 0 for row in rows)


def test_a_driver_whose_cards_torch_does_not_find_is_named(monkeypatch, tmp_path):
    version = tmp_path / "version"
    version.write_text("NVRM version: NVIDIA UNIX x86_64 Kernel Module  570.86.15  Thu Jan 23\nGCC version: 12\n")
    monkeypatch.setattr(devices, "has_driver", lambda: True)
    monkeypatch.setattr(devices, "n_cards", lambda: 0)
    monkeypatch.setattr(doctor, "seconds", lambda device: 1.0)
    for place, line in (
        (version, "driver: NVRM version: NVIDIA UNIX x86_64 Kernel Module 570.86.15 Thu Jan 23\n"),
        (tmp_path / "none", "driver: found, of unknown version\n"),
    ):
        monkeypatch.setattr(doctor, "NVIDIA", place)
        shown = CliRunner().invoke(app, env={"COLUMNS": "160"}).output
        assert line in shown
        assert "there is a driver, but torch finds no GPU: install a build of torch that supports it" in shown


def test_a_card_has_a_name_its_memory_and_how_it_computes_in_bfloat16(monkeypatch):
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (3 * 2**29, 16 * 2**30))
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: f"Tesla T4 at {device}")
    monkeypatch.setattr("automl.models.device.has_bfloat16", lambda device: False)
    assert doctor.facts(1) == ("Tesla T4 at cuda:1", "1.5 GiB", "16.0 GiB", "emulated: float32 is used")
