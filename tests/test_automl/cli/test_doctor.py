"""`automl doctor`, on whatever this machine has."""

import re

import torch
from typer.testing import CliRunner

from automl.cli.doctor import app


def test_each_device_is_listed_with_the_seconds_of_a_training():
    shown = CliRunner().invoke(app, env={"COLUMNS": "160"}).output
    assert f"torch {torch.__version__}, built for " in shown
    rows = [line.split() for line in shown.splitlines() if re.match(r" *(cpu|cuda:\d)", line)]
    assert len(rows) == 1 + torch.cuda.device_count()
    assert all(float(row[-1]) > 0 for row in rows)
