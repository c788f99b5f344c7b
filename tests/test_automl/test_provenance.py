"""The versions and the commit that are recorded with results."""

import subprocess
from pathlib import Path

from automl.provenance import commit, versions

ROOT = Path(__file__).parents[2]


def test_the_commit_is_that_of_the_checkout():
    command = ["git", "-C", str(ROOT), "rev-parse", "HEAD"]
    head = subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
    assert (commit() or "").removesuffix("+") == head  # both empty outside a checkout


def test_the_versions_include_those_of_the_libraries():
    assert versions().keys() >= {"python", "automl", "torch", "optuna"}
